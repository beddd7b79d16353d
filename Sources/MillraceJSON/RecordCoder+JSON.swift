// JSON in keys and values. A module of its own, because it needs Foundation, which makes a static program three times as
// large: who does not import it does not pay for it.

import MillraceClient
import NIOCore

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension RecordCoder where Value: Codable & Sendable {
  /// JSON, by `Codable`.
  ///
  /// ```swift
  /// import MillraceClient
  /// import MillraceJSON
  ///
  /// struct Order: Codable, Sendable {
  ///   var id: String
  ///   var total: Double
  /// }
  /// let orders = TypedTopic("orders", key: .string, value: .json(Order.self))
  /// try await producer.send(orders, key: "o-1", value: Order(id: "o-1", total: 12.5))
  /// ```
  ///
  /// Keys of objects are written in a fixed order, so that equal values are equal bytes: as a record's key they choose
  /// the same partition.
  ///
  /// - Parameters:
  ///   - type: the type of the values.
  ///   - encoder: called for each value to make an encoder, to say how dates and keys are written.
  ///   - decoder: called for each value to make a decoder.
  public static func json(
    _ type: Value.Type = Value.self, encoder: @escaping @Sendable () -> JSONEncoder = { .ofRecords },
    decoder: @escaping @Sendable () -> JSONDecoder = { JSONDecoder() }
  ) -> RecordCoder {
    RecordCoder { value in
      ByteBuffer(bytes: try encoder().encode(value))
    } decode: { bytes in
      try decoder().decode(Value.self, from: Data(bytes.readableBytesView))
    }
  }
}

extension JSONEncoder {
  /// Sorts keys and leaves slashes as they are.
  public static var ofRecords: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }
}
