// Keys and values with types, and an application's own partitioner, on their way through a real broker.

import MillraceJSON
import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite(.everyTransport) struct TypedTopicBrokerTests {
  private struct Order: Codable, Sendable, Equatable {
    var id: Int
    var total: Double
  }

  private let orders = TypedTopic("t", key: .string, value: .json(Order.self))

  private func reader(_ cluster: TestCluster) async throws -> Consumer {
    var configuration = ConsumerConfiguration(cluster.client)
    configuration.stopAtEnd = true
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: ["t"], from: .earliest)
    return consumer
  }

  @Test func `keys and values are read as they were sent, also in transactions`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      let first = try await producer.send(
        orders, key: "a", value: Order(id: 1, total: 1.5), headers: [RecordHeader(key: "h", value: "x")])
      #expect(first.offset == 0)
      try await producer.enqueue(orders, key: "b", value: Order(id: 2, total: 2))
      await producer.close()
      let transactional = try await TransactionalProducer(
        ProducerConfiguration(cluster.client), transactionalId: "typed")
      try await transactional.withTransaction { transaction in
        try await transaction.send(orders, key: "c", value: Order(id: 3, total: 3))
        try await transaction.enqueue(orders, key: "d", value: Order(id: 4, total: 4))
      }
      await transactional.close()

      let consumer = try await reader(cluster)
      var read: [TypedRecord<String, Order>] = []
      for try await record in consumer.records { read.append(try orders.decode(record)) }
      await consumer.close()
      #expect(read.map(\.key) == ["a", "b", "c", "d"])
      #expect(read.map(\.value) == (1...4).map { Order(id: $0, total: $0 == 1 ? 1.5 : Double($0)) })
      #expect(read[0].record.headers == [RecordHeader(key: "h", value: "x")])
    }
  }

  @Test func `a record that is something else is told with its place`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      try await producer.send(orders, key: "a", value: Order(id: 1, total: 1))
      try await producer.send(ProducerRecord(topic: "t", key: "b", value: "no order"))
      await producer.close()
      let consumer = try await reader(cluster)
      var failure: KafkaError?
      for try await record in consumer.records where record.offset == 1 {
        #expect(try record.key(.string) == "b")
        #expect(try record.value(.string) == "no order")
        do throws(KafkaError) {
          _ = try orders.decode(record)
        } catch {
          failure = error
        }
      }
      await consumer.close()
      let error = try #require(failure)
      #expect(error.code == .undecodable && !error.isRetriable)
      #expect(error.message.hasPrefix("the value of the record at offset 1 of partition t-0 is not of type Order"))
    }
  }

  @Test func `a worker puts a record that is something else aside at once`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      try await producer.send(ProducerRecord(topic: "t", key: "b", value: "no order"))
      try await producer.send(orders, key: "a", value: Order(id: 1, total: 1))
      await producer.close()
      var consumer = ConsumerConfiguration(cluster.client, groupId: "g")
      consumer.autoOffsetReset = .earliest
      var configuration = WorkerConfiguration(consumer)
      configuration.policy = RetryPolicy(maxAttempts: 1000, backoff: .constant(.seconds(1)))
      let handled = Mutex<[String]>([])
      let task = Task { [configuration, orders] in
        try await Consumer.process(
          ["t"], with: configuration,
          orders.handler { order, delivery in
            handled.withLock { $0.append("\(order.key):\(order.value.id):\(delivery.attempt)") }
          })
      }
      let isDone = try await eventually(within: .seconds(120)) { handled.withLock { !$0.isEmpty } }
      task.cancel()
      let summary = try await task.value
      #expect(isDone)
      #expect(handled.withLock { $0 } == ["a:1:1"])
      #expect(summary == WorkerSummary(done: 1, failedAttempts: 1, deadLettered: 1))
      let letter = try #require(try await cluster.contents(of: "t-dlt")[0]?.first)
      #expect(letter.text == "no order")
      #expect(DeadLetter(letter.headers)?.exceptionMessage?.contains("offset 0 of partition t-0") == true)
    }
  }

  // MARK: Partitioners

  @Test func `the application's partitioner chooses, or leaves it to the key`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 5)
      let seen = Mutex<Set<Int32>>([])
      var configuration = ProducerConfiguration(cluster.client)
      configuration.partitioner = { record, count in
        seen.withLock { _ = $0.insert(count) }
        return record.headers.first.flatMap { Int32($0.key) }
      }
      let producer = try await Producer(configuration)
      for partition in [Int32(4), 0, 2] {
        let written = try await producer.send(
          ProducerRecord(topic: "t", key: "k", value: "x", headers: [RecordHeader(key: "\(partition)", value: nil)]))
        #expect(written.partition == partition)
      }
      let byKey = try await producer.send(ProducerRecord(topic: "t", key: "k", value: "x"))
      let murmur2 = "k".utf8.withContiguousStorageIfAvailable {
        Murmur2.partition(ofKey: UnsafeRawBufferPointer($0), among: 5)
      }
      #expect(byKey.partition == murmur2.map(Int32.init))
      let named = try await producer.send(
        ProducerRecord(
          topic: "t", partition: 3, key: "k", value: "x", headers: [RecordHeader(key: "1", value: nil)]))
      #expect(named.partition == 3, "a record that names its partition goes there")
      #expect(seen.withLock { $0 } == [5])
      await producer.close()
    }
  }

  @Test func `a partition that is not there is an error`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 2)
      var configuration = ProducerConfiguration(cluster.client)
      configuration.partitioner = { _, count in count }
      let producer = try await Producer(configuration)
      do throws(KafkaError) {
        try await producer.send(ProducerRecord(topic: "t", value: "x"))
        Issue.record("there is no partition 2")
      } catch {
        #expect(error.code == .invalidArgument)
        #expect(error.message == "topic 't' has no partition 2; it has 2, counted from 0")
      }
      await producer.close()
    }
  }
}
