// One record as it lies in its batch, a view that is good while the record section's bytes are.
//
//    ┌─────────┬────────────┬──────────────────┬───────────────┬──────────────┬─────┬────────────────┬───────┬─
//    │ length v│ attributes1│ timestampDelta  V│ offsetDelta  v│ key length  v│ key │ value length  v│ value │…
//    └─────────┴────────────┴──────────────────┴───────────────┴──────────────┴─────┴────────────────┴───────┴─
//   ─┬───────────────┬───────────────────────────────────────────────┐
//   …│ header count v│ (key length v, key, value length v, value)…   │
//   ─┴───────────────┴───────────────────────────────────────────────┘
//
//   v, V   zigzag varint of 32 and 64 bits. A negative length of a key or value is null; length counts the bytes after it.

package struct Record {
  /// The record section that the record is part of; `keyRange` and `valueRange` count from its start.
  package let section: UnsafeRawBufferPointer
  /// Where the record begins in the section, its length prefix included.
  package let start: Int
  /// Bytes of the record, its length prefix included.
  package let sizeInBytes: Int
  /// Not used by Kafka so far: always 0.
  package let attributes: Int8
  package let offsetDelta: Int32
  package let timestampDelta: Int64
  package let offset: Int64
  /// The batch's append time when its timestamps are the broker's.
  package let timestamp: Int64

  let keyStart: Int
  /// Negative for null.
  let keyCount: Int
  let valueStart: Int
  let valueCount: Int
  package let headerCount: Int
  let headersStart: Int

  package var hasKey: Bool { keyCount >= 0 }
  package var hasValue: Bool { valueCount >= 0 }

  package var keyRange: Range<Int>? { keyCount < 0 ? nil : keyStart..<(keyStart &+ keyCount) }
  package var valueRange: Range<Int>? { valueCount < 0 ? nil : valueStart..<(valueStart &+ valueCount) }

  package var key: UnsafeRawBufferPointer? {
    keyRange.map { UnsafeRawBufferPointer(rebasing: section[$0]) }
  }

  package var value: UnsafeRawBufferPointer? {
    valueRange.map { UnsafeRawBufferPointer(rebasing: section[$0]) }
  }

  /// The record's own bytes, its length prefix included.
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: section[start..<(start &+ sizeInBytes)])
  }

  /// The header count and the headers as they are in the record.
  var encodedHeaders: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: section[headersStart..<(start &+ sizeInBytes)])
  }

  package var headers: RecordHeaders {
    RecordHeaders(
      section: UnsafeRawBufferPointer(rebasing: section[..<(start &+ sizeInBytes)]), start: headersStart,
      count: headerCount)
  }
}
