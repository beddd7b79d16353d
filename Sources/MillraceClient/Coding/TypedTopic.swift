// A topic whose keys and values have types, so that the rest of a program need not know how they are written.

import NIOCore

/// A topic with the types of its keys and values and how they are written.
///
/// Said once, it serves everything that reads or writes the topic:
///
/// ```swift
/// let orders = TypedTopic("orders", key: .string, value: .json(Order.self))
///
/// // To write, also in a transaction:
/// try await producer.send(orders, key: order.id, value: order)
///
/// // To read:
/// for try await record in consumer.records {
///   try await bill(try orders.decode(record).value)
/// }
///
/// // To process. What is no order goes to the dead letters without being tried again.
/// try await RecordWorker(configuration).run(
///   [orders.name], orders.handler { order, _ in try await bill(order.value) })
/// ```
public struct TypedTopic<Key, Value>: Sendable {
  /// The topic's name.
  public let name: String
  /// How keys are written.
  public let key: RecordCoder<Key>
  /// How values are written.
  public let value: RecordCoder<Value>

  /// A topic of this name with these coders. Nothing is asked of a broker.
  public init(_ name: String, key: RecordCoder<Key>, value: RecordCoder<Value>) {
    self.name = name
    self.key = key
    self.value = value
  }

  /// The record of a key and a value, to be sent.
  ///
  /// - Throws: `KafkaError` with code `.invalidArgument` when one of them cannot be encoded.
  public func record(
    key: Key, value: Value, partition: Int32? = nil, headers: [RecordHeader] = [], timestamp: Int64? = nil
  ) throws(KafkaError) -> ProducerRecord {
    ProducerRecord(
      topic: name, partition: partition, key: try encode(key, self.key, "key"),
      value: try encode(value, self.value, "value"), headers: headers, timestamp: timestamp)
  }

  /// What a record holds.
  ///
  /// - Throws: `KafkaError` with code `.undecodable`, which names the record by topic, partition and offset.
  public func decode(_ record: ConsumerRecord) throws(KafkaError) -> TypedRecord<Key, Value> {
    TypedRecord(
      key: try record.decode(record.key, key, "key"), value: try record.decode(record.value, value, "value"),
      record: record)
  }

  /// A handler for a ``RecordWorker`` or a ``ShareWorker`` that is given keys and values. A record that cannot be decoded
  /// is rejected: it becomes a dead letter without further attempts.
  public func handler(
    _ body: @escaping @Sendable (TypedRecord<Key, Value>, RecordDelivery) async throws -> Void
  ) -> RecordHandler {
    { delivery in try await body(try decode(delivery.record), delivery) }
  }

  private func encode<T>(_ value: T, _ coder: RecordCoder<T>, _ part: String) throws(KafkaError) -> ByteBuffer? {
    do {
      return try coder.encode(value)
    } catch {
      throw KafkaError(.invalidArgument, "the \(part) of a record for topic '\(name)' cannot be encoded: \(error)")
    }
  }
}

/// A record that was read, with its key and value decoded.
public struct TypedRecord<Key, Value> {
  /// The decoded key.
  public let key: Key
  /// The decoded value.
  public let value: Value
  /// The record as it was read, with its offset, timestamp and headers.
  public let record: ConsumerRecord
}

extension TypedRecord: Sendable where Key: Sendable, Value: Sendable {}

extension ConsumerRecord {
  /// Decodes the value.
  ///
  /// - Throws: `KafkaError` with code `.undecodable`, which names the record by topic, partition and offset.
  public func value<Value>(_ coder: RecordCoder<Value>) throws(KafkaError) -> Value {
    try decode(value, coder, "value")
  }

  /// Decodes the key.
  ///
  /// - Throws: `KafkaError` with code `.undecodable`, which names the record by topic, partition and offset.
  public func key<Key>(_ coder: RecordCoder<Key>) throws(KafkaError) -> Key {
    try decode(key, coder, "key")
  }

  fileprivate func decode<T>(
    _ bytes: ByteBuffer?, _ coder: RecordCoder<T>, _ part: String
  ) throws(KafkaError) -> T {
    do {
      return try coder.decode(bytes)
    } catch {
      throw KafkaError(
        .undecodable,
        "the \(part) of the record at offset \(offset) of partition \(topicPartition) is not of type \(T.self): \(error)"
      )
    }
  }
}

extension Producer {
  /// Sends a record of a typed topic and waits until it is written.
  ///
  /// ```swift
  /// let orders = TypedTopic("orders", key: .string, value: .json(Order.self))
  /// try await producer.send(orders, key: order.id, value: order)
  /// ```
  ///
  /// - Throws: as ``send(_:)``; with code `.invalidArgument` when the key or the value cannot be encoded.
  @discardableResult
  public func send<Key, Value>(
    _ topic: TypedTopic<Key, Value>, key: Key, value: Value, headers: [RecordHeader] = []
  ) async throws(KafkaError) -> RecordMetadata {
    try await send(try topic.record(key: key, value: value, headers: headers))
  }

  /// Hands a record of a typed topic over to be sent: see ``enqueue(_:token:)``.
  public func enqueue<Key, Value>(
    _ topic: TypedTopic<Key, Value>, key: Key, value: Value, headers: [RecordHeader] = [], token: UInt64 = 0
  ) async throws(KafkaError) {
    try await enqueue(try topic.record(key: key, value: value, headers: headers), token: token)
  }
}

extension Transaction {
  /// Sends a record of a typed topic and waits until it is written: see ``send(_:)``.
  @discardableResult
  public func send<Key, Value>(
    _ topic: TypedTopic<Key, Value>, key: Key, value: Value, headers: [RecordHeader] = []
  ) async throws(KafkaError) -> RecordMetadata {
    try await send(try topic.record(key: key, value: value, headers: headers))
  }

  /// Hands a record of a typed topic over to be sent: see ``enqueue(_:token:)``.
  public func enqueue<Key, Value>(
    _ topic: TypedTopic<Key, Value>, key: Key, value: Value, headers: [RecordHeader] = [], token: UInt64 = 0
  ) async throws(KafkaError) {
    try await enqueue(try topic.record(key: key, value: value, headers: headers), token: token)
  }
}
