// Records that were read, as JSON; the form is drawn in JSONRecord.swift.
import MillraceClient
import NIOCore

extension JSONRecord {
  static func append(_ record: ConsumerRecord, to bytes: inout [UInt8]) {
    bytes += #"{"topic":"#.utf8
    JSONText.appendString(record.topic.utf8, to: &bytes)
    bytes +=
      #","partition":\#(record.partition),"offset":\#(record.offset),"timestamp":\#(record.timestamp),"key":"#.utf8
    append(record.key, to: &bytes)
    bytes += #","value":"#.utf8
    append(record.value, to: &bytes)
    bytes += #","headers":["#.utf8
    for (index, header) in record.headers.enumerated() {
      bytes += (index == 0 ? #"{"name":"# : #",{"name":"#).utf8
      JSONText.appendString(header.key.utf8, to: &bytes)
      bytes += #","value":"#.utf8
      append(header.value, to: &bytes)
      bytes += "}".utf8
    }
    bytes += "]}\n".utf8
  }

  private static func append(_ content: ByteBuffer?, to bytes: inout [UInt8]) {
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
