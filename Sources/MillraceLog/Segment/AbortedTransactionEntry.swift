// One entry of a `.txnindex` file, as Kafka writes it (version 0). All integers are big-endian.
//
//   0     2               10              18              26                 34
//   ┌─────┬───────────────┬───────────────┬───────────────┬──────────────────┐
//   │ver. │ producerId    │ firstOffset   │ lastOffset    │ lastStableOffset │
//   └─────┴───────────────┴───────────────┴───────────────┴──────────────────┘
//
// The transaction's first record is at `firstOffset` and its abort marker at `lastOffset`, which lies in the index's
// segment. No transaction that began before `lastStableOffset` was still open behind the marker, so that a search for
// transactions up to there ends here.

package struct AbortedTransactionEntry: Sendable, Hashable {
  package static let byteCount = 34
  package static let version: Int16 = 0

  package var producerId: Int64
  package var firstOffset: Int64
  package var lastOffset: Int64
  package var lastStableOffset: Int64

  init(producerId: Int64, firstOffset: Int64, lastOffset: Int64, lastStableOffset: Int64) {
    self.producerId = producerId
    self.firstOffset = firstOffset
    self.lastOffset = lastOffset
    self.lastStableOffset = lastStableOffset
  }

  /// The entry at `position`, which has its bytes; nil for another version.
  init?(_ bytes: UnsafeRawBufferPointer, at position: Int) {
    guard bytes.bigEndian(at: position, as: Int16.self) == Self.version else { return nil }
    producerId = bytes.bigEndian(at: position + 2)
    firstOffset = bytes.bigEndian(at: position + 10)
    lastOffset = bytes.bigEndian(at: position + 18)
    lastStableOffset = bytes.bigEndian(at: position + 26)
  }

  func append(to bytes: inout [UInt8]) {
    bytes.appendBigEndian(Self.version)
    bytes.appendBigEndian(producerId)
    bytes.appendBigEndian(firstOffset)
    bytes.appendBigEndian(lastOffset)
    bytes.appendBigEndian(lastStableOffset)
  }

  /// Whether this entry may stand after one whose marker is at `previous`.
  func follows(_ previous: Int64) -> Bool { lastOffset > previous && firstOffset >= 0 && firstOffset <= lastOffset }
}
