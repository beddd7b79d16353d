// The public face of producing. What happens behind it: `Accumulator` batches, `ProduceSender` sends.

import MillraceProtocol
import MillraceRecords
import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Sends records to a Kafka cluster.
///
/// ```swift
/// let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
/// let producer = try await Producer(ProducerConfiguration(client))
/// let written = try await producer.send(ProducerRecord(topic: "orders", key: "42", value: "{}"))
/// print(written.partition, written.offset)
/// await producer.close()
/// ```
///
/// Records are collected in batches, one for each partition, and sent when a batch is full, has waited for
/// ``ProducerConfiguration/linger``, or has a record that ``send(_:)`` waits for and nothing before it. For throughput
/// run many ``send(_:)`` at once, or use ``enqueue(_:token:)``, which waits only while the buffer is full. Either way the
/// records of a partition are written in the order of the calls.
///
/// A failure that may pass is retried until ``ProducerConfiguration/deliveryTimeout``. An idempotent producer, which is
/// the default, neither writes a record twice nor out of order by that.
public final class Producer: Sendable {
  let sender: ProduceSender

  /// Connects to the cluster.
  ///
  /// - Parameters:
  ///   - configuration: the cluster, and how to write to it.
  ///   - onDelivery: told what became of each batch, in the order of batches of a partition. It is called on an event
  ///     loop, so it must be quick and must not wait.
  /// - Throws: `KafkaError` with code `.connectionFailed` when no bootstrap server answers, `.configuration` when the
  ///   configuration cannot work.
  public init(
    _ configuration: ProducerConfiguration, onDelivery: (@Sendable (DeliveryReport) -> Void)? = nil
  ) async throws(KafkaError) {
    let (configuration, cluster) = try await Self.connect(configuration)
    sender = ProduceSender(
      configuration, cluster, on: configuration.client.eventLoopGroup.next(), onDelivery: onDelivery)
  }

  init(_ sender: ProduceSender) {
    self.sender = sender
  }

  /// Connects, and returns the configuration with the event loop that all will run on.
  static func connect(
    _ configuration: ProducerConfiguration
  ) async throws(KafkaError) -> (ProducerConfiguration, Cluster) {
    try configuration.check()
    // The connections share the sender's loop, so that nothing changes threads between a batch and its socket.
    let loop = configuration.client.eventLoopGroup.next()
    var configuration = configuration
    configuration.client.eventLoopGroup = loop
    return (configuration, try await Cluster.connect(configuration.client))
  }

  deinit {
    sender.close()
  }

  /// Sends a record and waits until it is written.
  ///
  /// - Throws: `KafkaError` when it was not written. With code `.cancelled` it may yet be: cancelling ends the waiting.
  @discardableResult
  public func send(_ record: ProducerRecord) async throws(KafkaError) -> RecordMetadata {
    guard let tracing = sender.tracing else { return try await write(record) }
    return try await tracing.producing(record, .send) { record, span throws(KafkaError) in
      let written = try await write(record)
      span.describe(partition: written.partition, offset: written.offset)
      return written
    }
  }

  private func write(_ record: ProducerRecord) async throws(KafkaError) -> RecordMetadata {
    let result = Deferred<BatchPosition>()
    let timestamp = record.timestamp ?? Self.nowMs()
    let partition = try await append(record, timestamp: timestamp, token: 0, caller: result)
    let position = try await result.value()
    return RecordMetadata(
      topic: record.topic, partition: partition, offset: position.offset, timestamp: position.appendTime ?? timestamp)
  }

  /// Hands a record over to be sent, and waits only while the buffer is full. What becomes of it goes to `onDelivery`.
  ///
  /// - Parameters:
  ///   - record: the record to send.
  ///   - token: comes back in the delivery report.
  /// - Throws: `KafkaError` when the record cannot be taken: it is too large, its topic does not exist, the buffer
  ///   stayed full for ``ProducerConfiguration/maxBlock``, or the producer is closed.
  public func enqueue(_ record: ProducerRecord, token: UInt64 = 0) async throws(KafkaError) {
    let timestamp = record.timestamp ?? Self.nowMs()
    guard let tracing = sender.tracing else {
      _ = try await append(record, timestamp: timestamp, token: token, caller: nil)
      return
    }
    try await tracing.producing(record, .create) { record, span throws(KafkaError) in
      span.describe(partition: try await append(record, timestamp: timestamp, token: token, caller: nil))
    }
  }

  /// The same for a record that lies in memory of the caller's.
  ///
  /// - Returns: whether the record was taken. If not, `enqueue` with a `ProducerRecord` says why, or waits.
  package func tryEnqueue(
    topic: String, partition: Int32? = nil, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?,
    timestamp: Int64? = nil, token: UInt64 = 0
  ) -> Bool {
    guard partition != nil || sender.configuration.partitioner == nil else { return false }
    let appended = sender.append(
      topic: topic, partition: partition, key: key, value: value, headers: [], timestamp: timestamp ?? Self.nowMs(),
      token: token, caller: nil)
    if case .appended = appended { return true }
    return false
  }

  /// Sends all records now, and waits until each is written or has failed.
  public func flush() async throws(KafkaError) {
    try await sender.flush()
  }

  /// Sends what is left, waits until it is written or has failed, and closes the connections. When the task is
  /// cancelled, what is left fails.
  public func close() async {
    try? await sender.flush(closing: true)
    sender.close()
  }

  // MARK: Appending

  private func append(
    _ record: ProducerRecord, timestamp: Int64, token: UInt64, caller: Deferred<BatchPosition>?
  ) async throws(KafkaError) -> Int32 {
    // The usual way, which never suspends.
    var wanted = record.partition ?? sender.choosePartition(for: record)
    var appended = tryAppend(record, to: wanted, timestamp: timestamp, token: token, caller: caller)
    if case .appended(let partition, _) = appended { return partition }

    let configuration = sender.configuration
    let deadline = ContinuousClock.now + configuration.maxBlock
    var hasRefreshed = false
    while true {
      switch appended {
      case .appended(let partition, _):
        return partition
      case .closed:
        throw .closed("the producer")
      case .tooLarge(let size):
        throw KafkaError(
          .recordTooLarge,
          "a record of \(size) bytes for topic '\(record.topic)' is larger than maxRequestBytes, "
            + "\(configuration.maxRequestBytes)")
      case .unknownTopic:
        try await sender.learn(record.topic)
      case .unknownPartition(let count):
        guard !hasRefreshed else {
          throw KafkaError(
            .invalidArgument,
            "topic '\(record.topic)' has no partition \(wanted ?? -1); it has \(count), counted from 0")
        }
        hasRefreshed = true
        sender.forget(record.topic)
        try await sender.learn(record.topic)
      case .bufferFull:
        try await sender.waitForRoom(atMost: max(.zero, deadline - .now))
      }
      wanted = record.partition ?? sender.choosePartition(for: record)
      appended = tryAppend(record, to: wanted, timestamp: timestamp, token: token, caller: caller)
    }
  }

  private func tryAppend(
    _ record: ProducerRecord, to partition: Int32?, timestamp: Int64, token: UInt64, caller: Deferred<BatchPosition>?
  ) -> Accumulator.Appended {
    let headers = record.headers.map { header in
      MillraceRecords.RecordHeader(key: header.key, value: header.value.map { Array($0.readableBytesView) })
    }
    return record.key.withOptionalBytes { key in
      record.value.withOptionalBytes { value in
        sender.append(
          topic: record.topic, partition: partition, key: key, value: value, headers: headers,
          timestamp: timestamp, token: token, caller: caller)
      }
    }
  }

  static func nowMs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

extension ByteBuffer? {
  fileprivate func withOptionalBytes<Result>(_ body: (UnsafeRawBufferPointer?) -> Result) -> Result {
    guard let buffer = self else { return body(nil) }
    return buffer.withUnsafeReadableBytes { body($0) }
  }
}
