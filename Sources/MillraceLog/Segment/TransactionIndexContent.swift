// What a `.txnindex` file holds: entries by the offsets of their markers, and behind them a seal. An index that lacks an
// entry would show aborted records to `read_committed` readers, and an index file may be missing, cut or stale like any
// other hint; the seal is how its reader knows that it is whole, and up to where:
//
//   ver. 0 │ "MILL", CRC-32C 4 │ firstOffset: 2^63 - 1 │ lastOffset: through - 1 │ lastStableOffset at `through`
//
// The index has every abort marker of its segment before `through`, and the checksum covers all bytes before the seal and
// the seal's own from `firstOffset` on. To Kafka the seal is an entry that no fetch can ask for, since its first offset
// is beyond every log, and whose last stable offset is true. The next entry is written over it.

import MillraceRecords

package struct TransactionIndexContent: Sendable, Equatable {
  package var entries: [AbortedTransactionEntry]
  /// The index knows every abort of its segment before this offset.
  package var through: Int64
  /// Where the earliest transaction began that is open at `through`, or `through`.
  package var lastStableOffset: Int64

  private static let mark: UInt32 = 0x4D49_4C4C
  private static let sealedFrom = 10

  init(entries: [AbortedTransactionEntry], through: Int64, lastStableOffset: Int64) {
    self.entries = entries
    self.through = through
    self.lastStableOffset = lastStableOffset
  }

  func encode() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity((entries.count + 1) * AbortedTransactionEntry.byteCount)
    for entry in entries { entry.append(to: &bytes) }
    let seal = bytes.count
    AbortedTransactionEntry(
      producerId: 0, firstOffset: .max, lastOffset: through - 1, lastStableOffset: lastStableOffset
    ).append(to: &bytes)
    bytes.withUnsafeMutableBytes { buffer in
      buffer.storeBigEndian(Self.mark, at: seal + 2)
      buffer.storeBigEndian(Self.checksum(UnsafeRawBufferPointer(buffer), seal: seal), at: seal + 6)
    }
    return bytes
  }

  /// Nil for anything that `encode` does not write: Kafka's own indexes too, which say nothing about being whole.
  init?(fileContent: [UInt8]) {
    let size = AbortedTransactionEntry.byteCount
    guard fileContent.count >= size, fileContent.count % size == 0 else { return nil }
    let seal = fileContent.count - size
    let found = fileContent.withUnsafeBytes { bytes -> (last: AbortedTransactionEntry, isWhole: Bool)? in
      AbortedTransactionEntry(bytes, at: seal).map { last in
        let isWhole =
          bytes.bigEndian(at: seal + 2, as: UInt32.self) == Self.mark
          && bytes.bigEndian(at: seal + 6, as: UInt32.self) == Self.checksum(bytes, seal: seal)
        return (last, isWhole)
      }
    }
    guard let (last, isWhole) = found, isWhole, last.firstOffset == .max, last.lastOffset < .max,
      let entries = Self.entries(Array(fileContent[..<seal]))
    else { return nil }
    self.init(entries: entries, through: last.lastOffset + 1, lastStableOffset: last.lastStableOffset)
  }

  /// The entries in the order of the file; nil when they are not in order or one is cut.
  private static func entries(_ bytes: [UInt8]) -> [AbortedTransactionEntry]? {
    var previous: Int64 = -1
    var entries: [AbortedTransactionEntry] = []
    entries.reserveCapacity(bytes.count / AbortedTransactionEntry.byteCount)
    return bytes.withUnsafeBytes { buffer in
      for position in stride(from: 0, to: buffer.count, by: AbortedTransactionEntry.byteCount) {
        guard let entry = AbortedTransactionEntry(buffer, at: position), entry.follows(previous) else { return nil }
        previous = entry.lastOffset
        entries.append(entry)
      }
      return entries
    }
  }

  private static func checksum(_ bytes: UnsafeRawBufferPointer, seal: Int) -> UInt32 {
    CRC32C.update(
      CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<seal])),
      UnsafeRawBufferPointer(rebasing: bytes[(seal + sealedFrom)..<(seal + AbortedTransactionEntry.byteCount)]))
  }
}
