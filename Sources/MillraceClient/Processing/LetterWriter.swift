// Writes to dead-letter and retry topics, and makes those that are missing: with as many partitions as the topic whose
// records they take, room for a few headers more than that allows, and for dead letters without an end of retention.

import MillraceProtocol
import Synchronization

final class LetterWriter: Sendable {
  /// What the headers of a letter may come to: its texts and its stack trace, and the rest.
  private static let headerRoom = 64 << 10
  /// Kafka's default of `max.message.bytes`.
  private static let defaultMaxMessageBytes = 1_048_588
  /// As much as brokers take in a request by default (`socket.request.max.bytes`): what could be read can be written,
  /// whatever the topic it comes from allows.
  static let maxRequestBytes = 100 << 20
  /// After that a letter counts as not written for now, so that somebody hears of it.
  private static let deliveryTimeout = Duration.seconds(15)

  private let producer: Producer
  private let admin: Admin
  private let createsTopics: Bool
  private let partitionCounts = Mutex<[String: Int32]>([:])

  init(_ configuration: ProducerConfiguration, createsTopics: Bool) async throws(KafkaError) {
    var configuration = configuration
    configuration.acks = .all
    configuration.keepsTraceContext = true
    configuration.isIdempotent = true
    configuration.linger = .zero
    configuration.maxRequestBytes = max(configuration.maxRequestBytes, Self.maxRequestBytes)
    configuration.bufferBytes = max(configuration.bufferBytes, 2 * configuration.maxRequestBytes)
    configuration.deliveryTimeout = min(configuration.deliveryTimeout, Self.deliveryTimeout)
    configuration.maxBlock = min(configuration.maxBlock, Self.deliveryTimeout)
    self.createsTopics = createsTopics
    admin = try await Admin(configuration.client)
    do throws(KafkaError) {
      producer = try await Producer(configuration)
    } catch {
      await admin.close()
      throw error
    }
  }

  func close() async {
    await producer.close()
    await admin.close()
  }

  /// Writes a record and waits for its acknowledgement.
  ///
  /// - Parameters:
  ///   - source: the topic whose records come here.
  ///   - record: makes the record for so many partitions.
  func write(
    to topic: String, from source: String, keepsForEver: Bool, _ record: (_ partitionCount: Int32) -> ProducerRecord
  ) async throws(KafkaError) {
    let count = try await partitionCount(of: topic, from: source, keepsForEver: keepsForEver)
    do throws(KafkaError) {
      _ = try await producer.send(record(count))
    } catch {
      // It may be gone, or be another one with fewer partitions.
      partitionCounts.withLock { $0[topic] = nil }
      throw error
    }
  }

  /// Sees to it that a topic is there.
  @discardableResult
  func partitionCount(of topic: String, from source: String, keepsForEver: Bool) async throws(KafkaError) -> Int32 {
    if let count = partitionCounts.withLock({ $0[topic] }) { return count }
    var count: Int32?
    do throws(KafkaError) {
      count = try await describe(topic)
    } catch {
      guard createsTopics, error.brokerCode == .unknownTopicOrPartition else { throw error }
    }
    let known: Int32
    if let count { known = count } else { known = try await create(topic, from: source, keepsForEver: keepsForEver) }
    partitionCounts.withLock { $0[topic] = known }
    return known
  }

  private func describe(_ topic: String) async throws(KafkaError) -> Int32 {
    guard let result = try await admin.describeTopics([topic])[topic] else {
      throw KafkaError(.invalidResponse, "the broker's answer leaves out topic '\(topic)'")
    }
    return Int32(clamping: try result.get().partitions.count)
  }

  private func create(_ topic: String, from source: String, keepsForEver: Bool) async throws(KafkaError) -> Int32 {
    let count = try await describe(source)
    var configs: [String: String] = [:]
    if keepsForEver { configs["retention.ms"] = "-1" }
    let limit = try await maxMessageBytes(of: source)
    configs["max.message.bytes"] = "\(min(limit, Int(Int32.max) - Self.headerRoom) + Self.headerRoom)"
    do throws(KafkaError) {
      _ = try await admin.createTopics([NewTopic(topic, partitions: count, configs: configs)])[topic]?.get()
    } catch {
      guard error.brokerCode == .topicAlreadyExists else {
        throw error.adding("topic '\(topic)' is not there and could not be created")
      }
      return try await describe(topic)
    }
    return count
  }

  private func maxMessageBytes(of topic: String) async throws(KafkaError) -> Int {
    let entries = try await admin.describeConfigs([.topic(topic)])[.topic(topic)]?.get() ?? []
    return entries.first { $0.name == "max.message.bytes" }?.value.flatMap { Int($0) } ?? Self.defaultMaxMessageBytes
  }
}
