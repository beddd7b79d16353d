// Between events and records: JSON, keyed by the order's id.

import MillraceClient
import NIOCore

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension OrderEvent {
  func record(to topic: String) throws -> ProducerRecord {
    ProducerRecord(
      topic: topic, key: ByteBuffer(string: orderId), value: ByteBuffer(bytes: try JSONEncoder().encode(self)))
  }

  init(_ record: ConsumerRecord) throws {
    try self.init(json: record.value ?? ByteBuffer())
  }

  init(json: ByteBuffer) throws {
    self = try JSONDecoder().decode(Self.self, from: Data(json.readableBytesView))
  }
}

extension ConsumerRecord {
  /// The id of the order that a record is about; there even when the value makes no sense.
  var orderId: String { key.map { String(buffer: $0) } ?? "" }
}

extension OrderPlaced {
  /// - Throws: `HandlerFailure` that says to give the record up: no second try makes sense of it.
  init(checking record: ConsumerRecord) throws {
    do {
      try self.init(record)
    } catch {
      throw HandlerFailure(.reject, exceptionClass: Self.malformed, message: "the value is no order: \(error)")
    }
    guard orderId == record.orderId else {
      throw Self.nonsense("it is order '\(orderId)' by its value, not by its key")
    }
    guard quantity > 0 else { throw Self.nonsense("nobody orders \(quantity) of a product") }
    guard totalCents > 0 else { throw Self.nonsense("\(totalCents) cents cannot be charged") }
  }

  static let malformed = "MalformedOrder"

  private static func nonsense(_ message: String) -> HandlerFailure {
    HandlerFailure(.reject, exceptionClass: malformed, message: message)
  }
}

enum Clock {
  /// Milliseconds since 1970.
  static func nowMs() -> Int64 { Int64(Date().timeIntervalSince1970 * 1000) }
}
