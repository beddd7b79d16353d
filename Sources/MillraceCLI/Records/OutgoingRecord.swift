// A record on its way to a topic, as it was read from a line, a JSON object or a file.
import MillraceClient
import NIOCore

struct OutgoingRecord: Equatable, Sendable {
  struct Header: Equatable, Sendable {
    var name: String
    var value: [UInt8]?
  }

  var key: [UInt8]?
  var value: [UInt8]?
  var headers: [Header] = []
  var partition: Int32?
  var timestamp: Int64?

  func producerRecord(topic: String) -> ProducerRecord {
    var record = ProducerRecord(
      topic: topic, partition: partition, key: key.map(ByteBuffer.init(bytes:)),
      value: value.map(ByteBuffer.init(bytes:)))
    record.headers = headers.map { RecordHeader(key: $0.name, value: $0.value.map(ByteBuffer.init(bytes:))) }
    record.timestamp = timestamp
    return record
  }
}

/// A line could not be understood.
struct RecordFailure: Error, Equatable, CustomStringConvertible {
  let description: String
}
