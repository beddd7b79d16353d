// The test kit, used as its users do.

import MillraceClient
import MillraceProtocol
import MillraceTesting
import NIOCore
import Testing
import XCTest

@Suite struct EphemeralBrokerTests {
  private func orders(_ count: Int) -> [ProducerRecord] {
    (0..<count).map { ProducerRecord(topic: "orders", partition: 0, value: "o-\($0)") }
  }

  private func texts(_ records: [ConsumerRecord]) -> [String] {
    records.map { $0.value.map { String(buffer: $0) } ?? "" }
  }

  @Test func `what was sent is awaited`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      async let records = broker.records(in: "orders", count: 3)
      let written = try await broker.send(orders(3))
      #expect(written.map(\.offset) == [0, 1, 2])
      #expect(texts(try await records) == ["o-0", "o-1", "o-2"])
    }
  }

  @Test func `records that do not come are said to be missing`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      try await broker.send(orders(1))
      let error = await #expect(throws: WaitFailure.self) {
        try await broker.records(in: "orders", count: 2, within: .seconds(1))
      }
      #expect(error?.description.contains("of 2 records came to 'orders'") == true)
    }
  }

  @Test func `a commit is awaited, and what is there instead is said`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      try await broker.send(orders(2))
      let partition = TopicPartition("orders", 0)
      async let committed: Void = broker.waitForCommit(of: "billing", partition, atLeast: 2)
      var configuration = ConsumerConfiguration(broker.clientConfiguration, groupId: "billing")
      configuration.autoOffsetReset = .earliest
      let consumer = try await Consumer(configuration)
      try await consumer.subscribe(to: ["orders"])
      var seen = 0
      for try await _ in consumer.records {
        seen += 1
        if seen == 2 { break }
      }
      try await consumer.commit([partition: OffsetAndMetadata(offset: 2)])
      try await committed
      await consumer.close()
      let error = await #expect(throws: WaitFailure.self) {
        try await broker.waitForCommit(of: "billing", partition, atLeast: 3, within: .milliseconds(50))
      }
      #expect(error?.description.contains("has committed offset 2") == true)
    }
  }

  @Test func `the result and the error of a test come through`() async throws {
    struct Oops: Error {}
    #expect(try await withBroker { _ in 7 } == 7)
    await #expect(throws: Oops.self) { try await withBroker { _ in throw Oops() } }
  }

  @Test func `programs outside come by a port`() async throws {
    try await withBroker(listener: BrokerAddress(host: "127.0.0.1", port: 0)) { broker in
      let admin = try await Admin(ClientConfiguration(bootstrapServers: broker.addresses))
      #expect(try await admin.describeCluster().brokers.count == 1)
      await admin.close()
    }
  }
}

/// XCTest is served alike.
final class EphemeralBrokerXCTests: XCTestCase {
  func testARecordIsAwaited() async throws {
    try await withBroker { broker in
      try await broker.send([ProducerRecord(topic: "orders", value: "o-1")])
      let count = try await broker.records(in: "orders", count: 1).count
      XCTAssertEqual(count, 1)
    }
  }
}
