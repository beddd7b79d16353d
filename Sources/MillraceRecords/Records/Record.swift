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
  let fields: RecordFields
  package let offset: Int64
  /// The batch's append time when its timestamps are the broker's.
  package let timestamp: Int64

  /// Bytes of the record, its length prefix included.
  package var sizeInBytes: Int { fields.next &- start }
  /// Not used by Kafka so far: always 0.
  package var attributes: Int8 { Int8(bitPattern: fields.attributes) }
  package var offsetDelta: Int32 { fields.offsetDelta }
  package var timestampDelta: Int64 { fields.timestampDelta }
  package var headerCount: Int { fields.headerCount }

  package var hasKey: Bool { fields.keyCount >= 0 }
  package var hasValue: Bool { fields.valueCount >= 0 }

  package var keyRange: Range<Int>? {
    hasKey ? fields.keyStart..<(fields.keyStart &+ fields.keyCount) : nil
  }
  package var valueRange: Range<Int>? {
    hasValue ? fields.valueStart..<(fields.valueStart &+ fields.valueCount) : nil
  }
  /// Where the header count is.
  package var headersStart: Int { fields.valueStart &+ max(0, fields.valueCount) }

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
