// The last offset of each key, by 128 bits of a hash of the key: what compaction keeps in memory. Open addressing in one
// block of memory whose size is fixed; 24 bytes a key, however long keys are. The hash is keyed with this process's own
// random numbers, so that nobody can make two keys that count as one.

final class OffsetMap {
  static let slotByteCount = MemoryLayout<Slot>.stride

  private struct Slot: BitwiseCopyable {
    var first: UInt64
    var second: UInt64
    /// The offset and one; 0 in an empty slot.
    var next: Int64
  }

  private let slots: UnsafeMutableBufferPointer<Slot>
  /// The most keys.
  let capacity: Int
  private(set) var count = 0
  /// Everything up to here is in the map.
  var latestOffset: Int64 = -1

  /// A map of `slotCount` slots, of which `loadFactor` may be taken.
  init(slotCount: Int, loadFactor: Double) {
    let slotCount = max(slotCount, 2)
    slots = .allocate(capacity: slotCount)
    slots.initialize(repeating: Slot(first: 0, second: 0, next: 0))
    // One stays empty: a search ends there.
    capacity = min(slotCount - 1, max(1, Int(Double(slotCount) * min(max(loadFactor, 0.01), 1))))
  }

  deinit { slots.deallocate() }

  var isFull: Bool { count >= capacity }

  func put(_ key: UnsafeRawBufferPointer, _ offset: Int64) {
    let (first, second) = Self.hash(key)
    let index = find(first, second)
    if slots[index].next == 0 { count += 1 }
    slots[index] = Slot(first: first, second: second, next: offset + 1)
  }

  /// The last offset of the key; nil if it is not in the map.
  func offset(of key: UnsafeRawBufferPointer) -> Int64? {
    let (first, second) = Self.hash(key)
    let next = slots[find(first, second)].next
    return next == 0 ? nil : next - 1
  }

  /// The slot that has the key, or the empty one where it would be.
  private func find(_ first: UInt64, _ second: UInt64) -> Int {
    var index = Int(first.multipliedFullWidth(by: UInt64(slots.count)).high)
    while slots[index].next != 0, slots[index].first != first || slots[index].second != second {
      index += 1
      if index == slots.count { index = 0 }
    }
    return index
  }

  private static func hash(_ key: UnsafeRawBufferPointer) -> (UInt64, UInt64) {
    func half(_ number: UInt8) -> UInt64 {
      var hasher = Hasher()
      hasher.combine(number)
      hasher.combine(bytes: key)
      return UInt64(bitPattern: Int64(hasher.finalize()))
    }
    return (half(0), half(1))
  }
}
