// A buffer that codecs write into and that is used again for the next batch. It grows by doubling as output really
// arrives, so memory follows what was produced and not what some header promised.

package struct ByteScratch: ~Copyable {
  private var storage: UnsafeMutableRawBufferPointer
  /// How many bytes hold output.
  package private(set) var count = 0

  /// What the first growth allocates at least.
  static let minimumCapacity = 64 << 10

  package init() {
    storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  deinit {
    storage.deallocate()
  }

  package var capacity: Int { storage.count }

  /// The output, good until the scratch is written again or goes away.
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: storage[..<count])
  }

  /// Forgets the output and keeps the memory.
  package mutating func removeAll() {
    count = 0
  }

  /// Gives memory beyond `limit` back to the system.
  mutating func shrink(to limit: Int) {
    guard storage.count > limit else { return }
    storage.deallocate()
    storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    count = 0
  }

  /// Room for at least `needed` more bytes.
  mutating func reserve(_ needed: Int) {
    guard storage.count - count < needed else { return }
    let capacity = max(count + needed, storage.count * 2, Self.minimumCapacity)
    let grown = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 16)
    grown.copyMemory(from: bytes)
    storage.deallocate()
    storage = grown
  }

  /// The memory behind the output.
  var free: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: storage[count...])
  }

  /// Makes `written` bytes that were put in `free` part of the output.
  mutating func advance(_ written: Int) {
    precondition(written >= 0 && written <= storage.count - count, "more output than memory")
    count += written
  }

  mutating func append(_ source: UnsafeRawBufferPointer) {
    reserve(source.count)
    free.copyMemory(from: source)
    advance(source.count)
  }
}
