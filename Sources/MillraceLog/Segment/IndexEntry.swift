// The two kinds of sparse index entry, as they are on disk. All integers are big-endian.
//
//   .index       0               4               8
//                ┌───────────────┬───────────────┐
//                │relativeOffset │ position      │   the batch at `position` in the .log file ends with the offset
//                └───────────────┴───────────────┘   base + relativeOffset
//
//   .timeindex   0                               8               12
//                ┌───────────────────────────────┬───────────────┐
//                │ timestamp                     │relativeOffset │   no record up to base + relativeOffset is
//                └───────────────────────────────┴───────────────┘   younger than `timestamp`
//
// Relative offsets count from the segment's base offset. Both columns rise; the time index only has an entry where the
// timestamp rose.

protocol IndexEntry: Sendable {
  static var byteCount: Int { get }
  static var kind: LogFileKind { get }
  /// `bytes` holds `byteCount` bytes from `position`.
  init(_ bytes: UnsafeRawBufferPointer, at position: Int)
  func write(to bytes: UnsafeMutableRawBufferPointer, at position: Int)
  /// Whether this entry may stand after `previous`.
  func follows(_ previous: Self) -> Bool
}

package struct OffsetIndexEntry: IndexEntry, Hashable {
  package var relativeOffset: Int32
  package var position: Int32

  static let byteCount = 8
  static let kind = LogFileKind.index

  init(relativeOffset: Int32, position: Int32) {
    self.relativeOffset = relativeOffset
    self.position = position
  }

  init(_ bytes: UnsafeRawBufferPointer, at position: Int) {
    relativeOffset = bytes.bigEndian(at: position)
    self.position = bytes.bigEndian(at: position + 4)
  }

  func write(to bytes: UnsafeMutableRawBufferPointer, at position: Int) {
    bytes.storeBigEndian(relativeOffset, at: position)
    bytes.storeBigEndian(self.position, at: position + 4)
  }

  func follows(_ previous: Self) -> Bool {
    relativeOffset > previous.relativeOffset && position > previous.position && previous.position >= 0
  }
}

package struct TimeIndexEntry: IndexEntry, Hashable {
  package var timestamp: Int64
  package var relativeOffset: Int32

  static let byteCount = 12
  static let kind = LogFileKind.timeIndex

  init(timestamp: Int64, relativeOffset: Int32) {
    self.timestamp = timestamp
    self.relativeOffset = relativeOffset
  }

  init(_ bytes: UnsafeRawBufferPointer, at position: Int) {
    timestamp = bytes.bigEndian(at: position)
    relativeOffset = bytes.bigEndian(at: position + 8)
  }

  func write(to bytes: UnsafeMutableRawBufferPointer, at position: Int) {
    bytes.storeBigEndian(timestamp, at: position)
    bytes.storeBigEndian(relativeOffset, at: position + 8)
  }

  func follows(_ previous: Self) -> Bool {
    timestamp > previous.timestamp && relativeOffset >= previous.relativeOffset && previous.relativeOffset >= 0
  }
}
