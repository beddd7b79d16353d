// Records that were read, as JSON; the form is drawn in JSONRecord.swift.
import MillraceClient
import NIOCore

extension JSONRecord {
  static func append(_ record: ConsumerRecord, to bytes: inout [UInt8]) {
    append(
      record.topicPartition, offset: record.offset, timestamp: record.timestamp, key: record.key, value: record.value,
      headers: record.headers, to: &bytes)
  }

  static func append(
    _ partition: TopicPartition, offset: Int64, timestamp: Int64, key: ByteBuffer?, value: ByteBuffer?,
    headers: [RecordHeader], to bytes: inout [UInt8]
  ) {
    bytes += #"{"topic":"#.utf8
    JSONText.appendString(partition.topic.utf8, to: &bytes)
    bytes += #","partition":\#(partition.partition),"offset":\#(offset),"timestamp":\#(timestamp),"key":"#.utf8
    append(key, to: &bytes)
    bytes += #","value":"#.utf8
    append(value, to: &bytes)
    bytes += #","headers":"#.utf8
    append(headers, to: &bytes)
    bytes += "}\n".utf8
  }

  static func append(_ headers: [RecordHeader], to bytes: inout [UInt8]) {
    bytes += "[".utf8
    for (index, header) in headers.enumerated() {
      bytes += (index == 0 ? #"{"name":"# : #",{"name":"#).utf8
      JSONText.appendString(header.key.utf8, to: &bytes)
      bytes += #","value":"#.utf8
      append(header.value, to: &bytes)
      bytes += "}".utf8
    }
    bytes += "]".utf8
  }

  static func append(_ content: ByteBuffer?, to bytes: inout [UInt8]) {
    guard let content else {
      bytes += "null".utf8
      return
    }
    let view = content.readableBytesView
    if String(validating: view, as: UTF8.self) != nil {
      JSONText.appendString(view, to: &bytes)
    } else {
      bytes += #"{"base64":"\#(Base64.encode(view))"}"#.utf8
    }
  }
}
