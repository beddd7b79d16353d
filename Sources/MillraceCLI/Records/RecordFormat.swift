// How `consume` writes records.
import MillraceClient
import NIOCore

enum RecordFormat: Sendable {
  case columns(ColumnFormat)
  /// One JSON object a line.
  case json
  /// For a person: partition, offset and time, key and value, headers.
  case long
  /// Nothing; records are only counted.
  case none

  /// - Parameter deliveryCount: of a record that a share group delivered.
  func append(_ record: ConsumerRecord, deliveryCount: Int? = nil, to bytes: inout [UInt8]) {
    switch self {
    case .columns(let format): format.append(record, deliveryCount: deliveryCount, to: &bytes)
    case .json: JSONRecord.append(record, to: &bytes)
    case .long:
      bytes += "\(record.topic)-\(record.partition)@\(record.offset) \(TimestampText.iso8601(record.timestamp)) ".utf8
      if let deliveryCount, deliveryCount > 1 { bytes += "(delivery \(deliveryCount)) ".utf8 }
      if let key = record.key {
        bytes += key.readableBytesView
        bytes += ": ".utf8
      }
      bytes += record.value.map { Array($0.readableBytesView) } ?? Array("(null)".utf8)
      for header in record.headers {
        bytes += "\n    \(header.key): ".utf8
        bytes += header.value.map { Array($0.readableBytesView) } ?? Array("(null)".utf8)
      }
      bytes.append(0x0A)
    case .none: break
    }
  }
}

/// Chosen parts of a record between separators, by the names of Kafka's console consumer (`print.key`, …).
struct ColumnFormat: Sendable {
  var printsTimestamp = false
  var printsPartition = false
  var printsOffset = false
  var printsDelivery = false
  var printsEpoch = false
  var printsHeaders = false
  var printsKey = false
  var printsValue = true
  /// Between the parts.
  var keySeparator = "\t"
  var lineSeparator = "\n"
  var headersSeparator = ","
  var nullLiteral = "null"
  var keyText = FieldText.bytes
  var valueText = FieldText.bytes
  var headersText = FieldText.bytes

  init() {}

  init(properties: [String: String]) throws(RecordFailure) {
    func isTrue(_ name: String, _ otherwise: Bool) -> Bool {
      properties[name].map { $0.filter { $0 != " " }.lowercased() == "true" } ?? otherwise
    }
    printsTimestamp = isTrue("print.timestamp", false)
    printsPartition = isTrue("print.partition", false)
    printsOffset = isTrue("print.offset", false)
    printsDelivery = isTrue("print.delivery", false)
    printsEpoch = isTrue("print.epoch", false)
    printsHeaders = isTrue("print.headers", false)
    printsKey = isTrue("print.key", false)
    printsValue = isTrue("print.value", true)
    keySeparator = properties["key.separator"] ?? keySeparator
    lineSeparator = properties["line.separator"] ?? lineSeparator
    headersSeparator = properties["headers.separator"] ?? headersSeparator
    nullLiteral = properties["null.literal"] ?? nullLiteral
    if let name = properties["key.deserializer"] { keyText = try FieldText(deserializer: name) }
    if let name = properties["value.deserializer"] { valueText = try FieldText(deserializer: name) }
    if let name = properties["headers.deserializer"] ?? properties["header.deserializer"] {
      headersText = try FieldText(deserializer: name)
    }
  }

  func append(_ record: ConsumerRecord, deliveryCount: Int? = nil, to bytes: inout [UInt8]) {
    var first = true
    func column() {
      if !first { bytes += keySeparator.utf8 }
      first = false
    }
    if printsTimestamp {
      column()
      bytes += "\(record.hasAppendTime ? "LogAppendTime" : "CreateTime"):\(record.timestamp)".utf8
    }
    if printsPartition {
      column()
      bytes += "Partition:\(record.partition)".utf8
    }
    if printsOffset {
      column()
      bytes += "Offset:\(record.offset)".utf8
    }
    if printsDelivery {
      column()
      bytes += "Delivery:\(deliveryCount.map { "\($0)" } ?? "NOT_PRESENT")".utf8
    }
    if printsEpoch {
      column()
      bytes += "Epoch:\(record.leaderEpoch.map(String.init) ?? "NOT_PRESENT")".utf8
    }
    if printsHeaders {
      column()
      let headers = record.headers
      if headers.isEmpty { bytes += "NO_HEADERS".utf8 }
      for (index, header) in headers.enumerated() {
        if index > 0 { bytes += headersSeparator.utf8 }
        bytes += "\(header.key):".utf8
        append(header.value, headersText, to: &bytes)
      }
    }
    if printsKey {
      column()
      append(record.key, keyText, to: &bytes)
    }
    if printsValue {
      column()
      append(record.value, valueText, to: &bytes)
    }
    if !first { bytes += lineSeparator.utf8 }
  }

  private func append(_ content: ByteBuffer?, _ text: FieldText, to bytes: inout [UInt8]) {
    if let content {
      text.append(content.readableBytesView, to: &bytes)
    } else {
      bytes += nullLiteral.utf8
    }
  }
}
