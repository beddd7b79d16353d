// Transactions of our client as librdkafka sees them, and the other way round, at a broker in this process over TCP.

import CLibrdkafka
import Logging
import Millrace
import MillraceClient
import NIOCore
import Testing

@Suite struct TransactionInteropTests {
  private struct ChangedMind: Error {}

  private func run(_ body: (ClientConfiguration, _ bootstrap: String) async throws -> Void) async throws {
    var configuration = Broker.Configuration(
      listener: BrokerAddress(host: "127.0.0.1", port: 0),
      settings: ["transaction.state.log.num.partitions": "1", "offsets.topic.num.partitions": "1"])
    configuration.logger = Logger(label: "broker", factory: { _ in SwiftLogNoOpLogHandler() })
    let broker = Broker(configuration)
    try await broker.start()
    do {
      var client = ClientConfiguration(bootstrapServers: broker.addresses)
      client.logger = configuration.logger
      try await body(client, broker.addresses.map(\.description).joined(separator: ","))
    } catch {
      await broker.stop()
      throw error
    }
    await broker.stop()
  }

  @Test(arguments: Compression.allCases)
  func `librdkafka reads what our transactions commit, and not what they abort`(
    _ compression: Compression
  ) async throws {
    try await run { client, bootstrap in
      var configuration = ProducerConfiguration(client)
      configuration.compression = compression
      let producer = try await TransactionalProducer(configuration, transactionalId: "tx")
      for round in Int64(0)..<6 {
        do {
          try await producer.withTransaction { transaction in
            for value in ["\(round)a", "\(round)b"] {
              _ = try await transaction.send(ProducerRecord(topic: "t", partition: 0, value: value))
            }
            try await transaction.commit([TopicPartition("t", 0): OffsetAndMetadata(offset: round)], ofGroup: "g")
            if round % 2 == 1 { throw ChangedMind() }
          }
        } catch is ChangedMind {}
      }
      await producer.close()
      let all = (0..<6).flatMap { ["\($0)a", "\($0)b"] }
      let kept = ["0a", "0b", "2a", "2b", "4a", "4b"]
      #expect(try await Librdkafka.values(of: "t", isolation: "read_committed", bootstrap: bootstrap) == kept)
      #expect(try await Librdkafka.values(of: "t", isolation: "read_uncommitted", bootstrap: bootstrap) == all)
      #expect(try await Librdkafka.committed("g", "t", bootstrap: bootstrap) == 4)
    }
  }

  @Test(arguments: Compression.allCases)
  func `our consumer reads what librdkafka's transactions commit, and not what they abort`(
    _ compression: Compression
  ) async throws {
    try await run { client, bootstrap in
      try await Librdkafka.onThread {
        let producer = try Librdkafka(
          RD_KAFKA_PRODUCER,
          ["bootstrap.servers": bootstrap, "transactional.id": "tx", "compression.type": compression.rawValue])
        defer { producer.close() }
        try producer.initTransactions()
        for round in 0..<6 {
          try producer.beginTransaction()
          try producer.produce(["\(round)a", "\(round)b"], to: "t")
          if round % 2 == 1 { try producer.abortTransaction() } else { try producer.commitTransaction() }
        }
      }
      for isolation in [IsolationLevel.readCommitted, .readUncommitted] {
        var configuration = ConsumerConfiguration(client)
        configuration.isolation = isolation
        configuration.stopAtEnd = true
        let consumer = try await Consumer(configuration)
        try await consumer.assign(topics: ["t"], from: .earliest)
        var values: [String] = []
        for try await record in consumer.records { values.append(record.value.map { String(buffer: $0) } ?? "nil") }
        await consumer.close()
        let rounds = isolation == .readCommitted ? [0, 2, 4] : Array(0..<6)
        #expect(values == rounds.flatMap { ["\($0)a", "\($0)b"] })
      }
    }
  }
}
