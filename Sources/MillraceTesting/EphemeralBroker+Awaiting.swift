// What tests of services do again and again: make a topic, write to it, wait for what comes out.

import Millrace
import MillraceClient

/// What a test waited for did not come.
public struct WaitFailure: Error, Sendable, CustomStringConvertible {
  /// What came instead.
  public let description: String
}

extension EphemeralBroker {
  /// How long a wait lasts unless it says otherwise. Long: it is over as soon as what it waits for is there.
  public static let patience = Duration.seconds(60)

  /// Makes a topic, and returns when it is there.
  ///
  /// - Parameters:
  ///   - name: the topic's name.
  ///   - partitions: how many partitions it has.
  ///   - configs: configs by Kafka's names.
  /// - Throws: `KafkaError`, with broker code `.topicAlreadyExists` when it is there already.
  public func createTopic(
    _ name: String, partitions: Int32 = 1, configs: [String: String] = [:]
  ) async throws(KafkaError) {
    let admin = try await Admin(clientConfiguration)
    let created: Result<[String: Result<CreatedTopic, KafkaError>], KafkaError>
    do throws(KafkaError) {
      created = .success(try await admin.createTopics([NewTopic(name, partitions: partitions, configs: configs)]))
    } catch { created = .failure(error) }
    await admin.close()
    _ = try created.get()[name]?.get()
  }

  /// Writes records, and returns when they are acknowledged, with where each is.
  @discardableResult
  public func send(_ records: [ProducerRecord]) async throws(KafkaError) -> [RecordMetadata] {
    let producer = try await Producer(ProducerConfiguration(clientConfiguration))
    var written: [RecordMetadata] = []
    do throws(KafkaError) {
      for record in records { written.append(try await producer.send(record)) }
    } catch {
      await producer.close()
      throw error
    }
    await producer.close()
    return written
  }

  /// Waits until a topic has `count` records and returns the first so many, those of a partition in their order.
  ///
  /// - Throws: ``WaitFailure`` with what came, when fewer came in time; `KafkaError`.
  public func records(
    in topic: String, count: Int, within limit: Duration = patience, isolation: IsolationLevel = .readUncommitted
  ) async throws -> [ConsumerRecord] {
    var configuration = ConsumerConfiguration(clientConfiguration)
    configuration.isolation = isolation
    configuration.fetchMaxWait = .milliseconds(100)
    let consumer = try await Consumer(configuration)
    let impatience = Task {
      try await Task.sleep(for: limit)
      // Ends the loop below.
      await consumer.close()
    }
    defer { impatience.cancel() }
    var found: [ConsumerRecord] = []
    do {
      try await consumer.assign(topics: [topic], from: .earliest)
      if count > 0 {
        for try await record in consumer.records {
          found.append(record)
          if found.count == count { break }
        }
      }
    } catch {
      await consumer.close()
      guard error.code == .closed else { throw error }
    }
    await consumer.close()
    guard found.count == count else {
      throw WaitFailure(description: "\(found.count) of \(count) records came to '\(topic)' within \(limit)")
    }
    return found
  }

  /// Waits until a group has committed `offset`, or a later one, for a partition.
  ///
  /// - Throws: ``WaitFailure`` with what is committed; `KafkaError`.
  public func waitForCommit(
    of group: String, _ partition: TopicPartition, atLeast offset: Int64, within limit: Duration = patience
  ) async throws {
    let admin = try await Admin(clientConfiguration)
    var committed: Int64?
    do {
      let isThere = try await eventually(within: limit) {
        committed = try await admin.groupOffsets(group)[partition]?.offset
        return (committed ?? -1) >= offset
      }
      await admin.close()
      guard !isThere else { return }
    } catch {
      await admin.close()
      throw error
    }
    let state = committed.map { "offset \($0)" } ?? "nothing"
    throw WaitFailure(
      description: "group '\(group)' has committed \(state) for \(partition) after \(limit), not \(offset)")
  }
}

/// Waits until something is so, and says whether it came to be. Asks every ten milliseconds.
public func eventually(
  within limit: Duration = EphemeralBroker.patience, isolation: isolated (any Actor)? = #isolation,
  _ condition: () async throws -> Bool
) async throws -> Bool {
  let deadline = ContinuousClock.now + limit
  while ContinuousClock.now < deadline {
    if try await condition() { return true }
    try await Task.sleep(for: .milliseconds(10))
  }
  return try await condition()
}
