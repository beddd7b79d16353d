// The producer against a real broker, over connections that break.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceClient

@Suite(.everyTransport) struct ProducerBrokerTests {
  private func producer(
    _ cluster: TestCluster, _ reports: Reports = Reports(), _ change: (inout ProducerConfiguration) -> Void = { _ in }
  ) async throws -> Producer {
    var configuration = ProducerConfiguration(cluster.client)
    configuration.linger = .milliseconds(1)
    change(&configuration)
    return try await Producer(configuration, onDelivery: reports.take)
  }

  private func record(_ topic: String = "t", _ partition: Int32 = 0, bytes: Int) -> ProducerRecord {
    ProducerRecord(topic: topic, partition: partition, value: ByteBuffer(repeating: 120, count: bytes))
  }

  @Test func `records come once and in order over lost connections and a restart`() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 3)
      let reports = Reports()
      let producer = try await producer(cluster, reports) { $0.batchBytes = 500 }
      let chaos = Task {
        var generator = SplitMix64(seed: seed)
        for round in 0..<20 {
          try await Task.sleep(for: .milliseconds(Int.random(in: 2...30, using: &generator)))
          if round == 10 { try await cluster.restart() } else { cluster.line.cut() }
        }
      }
      let count = 3000
      for number in 0..<count {
        let record = ProducerRecord(topic: "t", partition: Int32(number % 3), value: ByteBuffer(string: "\(number)"))
        try await producer.enqueue(record, token: UInt64(number))
        if number % 20 == 0 { try await Task.sleep(for: .milliseconds(1)) }
      }
      try await chaos.value
      try await producer.flush()
      #expect(reports.failures.isEmpty, "seed \(seed)")
      #expect(reports.tokens.sorted() == (0..<UInt64(count)).map { $0 }, "seed \(seed)")
      await producer.close()
      let contents = try await cluster.contents(of: "t")
      for partition in 0..<3 {
        let expected = stride(from: partition, to: count, by: 3).map { "\($0)" }
        #expect(contents[Int32(partition)]?.map(\.text) == expected, "seed \(seed)")
      }
    }
  }

  @Test func `records behind a refused one are all written, as they are reported`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", configs: ["max.message.bytes": "1000"])
      let reports = Reports()
      let producer = try await producer(cluster, reports) { configuration in
        configuration.batchBytes = 200
        configuration.linger = .zero
      }
      for token in UInt64(0)..<30 {
        try await producer.enqueue(record(bytes: token % 10 == 0 ? 5000 : 100), token: token)
      }
      try await producer.flush()
      await producer.close()
      #expect(reports.tokens.sorted() == Array(0..<30))
      let written = reports.all.filter { $0.error == nil }
      let refused = reports.all.filter { $0.error != nil }
      #expect(refused.flatMap(\.tokens).sorted() == [0, 10, 20])
      #expect(refused.allSatisfy { $0.error?.brokerCode == .messageTooLarge })
      #expect(written.count == 27)
      #expect(Set(written.map(\.baseOffset)) == Set(0..<27))
      #expect(try await cluster.contents(of: "t")[0]?.count == 27)
    }
  }

  @Test func `sending says where each record is`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 2)
      let producer = try await producer(cluster)
      let metadata = try await withThrowingTaskGroup(of: (Int, RecordMetadata).self) { group in
        for number in 0..<200 {
          group.addTask {
            (number, try await producer.send(ProducerRecord(topic: "t", key: "\(number)", value: "\(number)")))
          }
        }
        var all: [Int: RecordMetadata] = [:]
        for try await (number, metadata) in group { all[number] = metadata }
        return all
      }
      await producer.close()
      let contents = try await cluster.contents(of: "t")
      #expect(contents.count == 2)
      for (number, metadata) in metadata {
        let found = contents[metadata.partition]?.first { $0.offset == metadata.offset }
        #expect(found?.text == "\(number)")
        #expect(found?.timestamp == metadata.timestamp)
      }
    }
  }

  @Test func `flushing waits for all that was enqueued before`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let reports = Reports()
      let producer = try await producer(cluster, reports) { $0.linger = .seconds(60) }
      for token in UInt64(0)..<500 { try await producer.enqueue(record(bytes: 10), token: token) }
      #expect(reports.all.isEmpty)
      try await producer.flush()
      #expect(reports.tokens == Array(0..<500))
      await producer.close()
    }
  }

  @Test func `closing sends what is left, and afterwards nothing is taken`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let reports = Reports()
      let producer = try await producer(cluster, reports) { $0.linger = .seconds(60) }
      for token in UInt64(0)..<500 { try await producer.enqueue(record(bytes: 10), token: token) }
      await producer.close()
      #expect(reports.tokens == Array(0..<500))
      #expect(reports.failures.isEmpty)
      let error = await #expect(throws: KafkaError.self) { try await producer.enqueue(record(bytes: 10)) }
      #expect(error?.code == .closed)
      #expect(try await cluster.contents(of: "t")[0]?.count == 500)
    }
  }

  @Test func `closing while the broker is away fails what is left when its time is up`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let reports = Reports()
      let producer = try await producer(cluster, reports) { configuration in
        configuration.linger = .seconds(60)
        configuration.deliveryTimeout = .milliseconds(300)
      }
      for token in UInt64(0)..<10 { try await producer.enqueue(record(bytes: 10), token: token) }
      await cluster.stop()
      await producer.close()
      #expect(reports.tokens == Array(0..<10))
      #expect(Set(reports.failures.map(\.code)) == [.timedOut])
    }
  }

  @Test(arguments: Compression.allCases)
  func `records are the same after compression`(_ compression: Compression) async throws {
    try await TestCluster.run { cluster in
      // The records are years old, and are to stay.
      try await cluster.create("t", configs: ["retention.ms": "-1"])
      let producer = try await producer(cluster) { $0.compression = compression }
      let headers = [RecordHeader(key: "h", value: "1"), RecordHeader(key: "none", value: nil)]
      for number in 0..<300 {
        try await producer.enqueue(
          ProducerRecord(
            topic: "t", partition: 0, key: number % 3 == 0 ? nil : ByteBuffer(string: "k\(number)"),
            value: number % 7 == 0 ? nil : ByteBuffer(string: String(repeating: "v\(number)", count: 50)),
            headers: headers, timestamp: 1_700_000_000_000 + Int64(number)))
      }
      await producer.close()
      let records = try await cluster.contents(of: "t")[0] ?? []
      #expect(records.count == 300)
      for (number, record) in records.enumerated() {
        #expect(record.key.map { String(buffer: $0) } == (number % 3 == 0 ? nil : "k\(number)"))
        #expect(
          record.value.map { String(buffer: $0) }
            == (number % 7 == 0 ? nil : String(repeating: "v\(number)", count: 50)))
        #expect(record.headers == headers)
        #expect(record.timestamp == 1_700_000_000_000 + Int64(number))
      }
    }
  }

  @Test func `records larger than a batch are written, and larger than a request are refused`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let reports = Reports()
      let producer = try await producer(cluster, reports)
      for token in UInt64(0)..<10 { try await producer.enqueue(record(bytes: 900_000), token: token) }
      let error = await #expect(throws: KafkaError.self) { try await producer.send(record(bytes: 2_000_000)) }
      #expect(error?.code == .recordTooLarge)
      await producer.close()
      #expect(reports.failures.isEmpty)
      #expect(try await cluster.contents(of: "t")[0]?.map { $0.valueByteCount } == Array(repeating: 900_000, count: 10))
    }
  }

  @Test func `a buffer that is full makes senders wait, and fails them when it stays so`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let reports = Reports()
      let producer = try await producer(cluster, reports) { configuration in
        configuration.bufferBytes = 100_000
        configuration.maxRequestBytes = 20_000
        configuration.batchBytes = 10_000
        configuration.maxBlock = .milliseconds(200)
      }
      try await producer.enqueue(record(bytes: 1000), token: 0)
      try await producer.flush()
      try await cluster.line.stall(true)
      var taken: UInt64 = 1
      let error = await #expect(throws: KafkaError.self) {
        while taken < 1000 {
          try await producer.enqueue(record(bytes: 1000), token: taken)
          taken += 1
        }
      }
      #expect(error?.code == .timedOut)
      #expect((80...100).contains(taken))
      try await cluster.line.stall(false)
      #expect(
        try await eventually(within: .seconds(60)) {
          (try? await producer.enqueue(record(bytes: 1000), token: taken)) != nil
        })
      try await producer.flush()
      #expect(reports.failures.isEmpty)
      #expect(reports.tokens == Array(0...taken))
      await producer.close()
    }
  }

  @Test func `less than all acknowledgements are enough when that is wanted`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      for acks in [Acks.none, .leader] {
        let producer = try await producer(cluster) { $0.acks = acks }
        let written = try await producer.send(ProducerRecord(topic: "t", value: "\(acks)"))
        #expect(written.offset == (acks == .none ? -1 : 1))
        await producer.close()
        #expect(try await eventually { try await cluster.values(of: "t").last == "\(acks)" })
      }
    }
  }

  @Test func `a topic that is not there is an error`() async throws {
    try await TestCluster.run(["auto.create.topics.enable": "false"]) { cluster in
      let producer = try await producer(cluster)
      let error = await #expect(throws: KafkaError.self) {
        try await producer.send(ProducerRecord(topic: "missing", value: "v"))
      }
      #expect(error?.brokerCode == .unknownTopicOrPartition)
      try await cluster.create("t")
      let partition = await #expect(throws: KafkaError.self) { try await producer.send(record("t", 7, bytes: 1)) }
      #expect(partition?.code == .invalidArgument)
      await producer.close()
    }
  }
}
