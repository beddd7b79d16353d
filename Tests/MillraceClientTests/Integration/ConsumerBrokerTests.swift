// The consumer against a real broker: where it starts, stops, seeks and commits.

import NIOCore
import Testing

@testable import MillraceClient

@Suite(.everyTransport) struct ConsumerBrokerTests {
  private let t0 = TopicPartition("t", 0)

  private func consumer(
    _ cluster: TestCluster, group: String? = nil, _ change: (inout ConsumerConfiguration) -> Void = { _ in }
  ) async throws -> Consumer {
    var configuration = ConsumerConfiguration(cluster.client, groupId: group)
    configuration.autoOffsetReset = .earliest
    configuration.heartbeatInterval = .milliseconds(100)
    // A machine that stands still for a while must not look like a member that is gone.
    configuration.sessionTimeout = .seconds(30)
    configuration.fetchMaxWait = .milliseconds(50)
    change(&configuration)
    return try await Consumer(configuration)
  }

  private func read(_ consumer: Consumer, _ count: Int) async throws -> [String] {
    var values: [String] = []
    for try await record in consumer.records {
      values.append(record.text)
      if values.count == count { break }
    }
    return values
  }

  private func committed(_ consumer: Consumer) async throws -> Int64? {
    try await consumer.committed([t0])[t0]?.offset
  }

  // MARK: Where to start and to stop

  @Test func `reading starts where it is told to`() async throws {
    try await TestCluster.run { cluster in
      // The records are years old, and are to stay.
      try await cluster.create("t", configs: ["retention.ms": "-1"])
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      for number in 0..<10 {
        _ = try await producer.send(
          ProducerRecord(topic: "t", value: "\(number)", timestamp: 1_700_000_000_000 + Int64(number) * 1000))
      }
      await producer.close()
      let starts: [(StartPosition, Int)] = [
        (.earliest, 0), (.offset(4), 4), (.fromEnd(3), 7), (.fromEnd(100), 0), (.timestamp(1_700_000_004_500), 5),
        (.timestamp(1_800_000_000_000), 10), (.latest, 10),
      ]
      for (start, first) in starts {
        let consumer = try await consumer(cluster) { $0.stopAtEnd = true }
        try await consumer.assign([t0: start])
        #expect(try await read(consumer, 100) == (first..<10).map { "\($0)" }, "\(start)")
        #expect(consumer.position(of: t0) == 10)
        #expect(consumer.highWatermark(of: t0) == 10)
        await consumer.close()
      }
    }
  }

  @Test func `what comes later is read too, unless reading stops at the end`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let consumer = try await consumer(cluster)
      try await consumer.assign([t0: .latest])
      let reading = Task { try await read(consumer, 5) }
      #expect(try await eventually { consumer.highWatermark(of: t0) == 0 })
      try await cluster.fill("t", 5)
      #expect(try await reading.value == ["0", "1", "2", "3", "4"])
      await consumer.close()
    }
  }

  @Test func `closing ends reading`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 5)
      let consumer = try await consumer(cluster)
      try await consumer.assign([t0: .earliest])
      let reading = Task { try await read(consumer, 100) }
      #expect(try await eventually { consumer.position(of: t0) == 5 })
      await consumer.close()
      #expect(try await reading.value.count == 5)
    }
  }

  @Test func `reading goes on over lost connections and a restart`() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 2000, batches: 200)
      let consumer = try await consumer(cluster) { $0.maxPartitionFetchBytes = 200 }
      try await consumer.assign([t0: .earliest])
      var generator = SplitMix64(seed: seed)
      var values: [String] = []
      for try await record in consumer.records {
        values.append(record.text)
        if values.count == 2000 { break }
        if values.count == 1000 { try await cluster.restart() }
        if Int.random(in: 0..<100, using: &generator) == 0 { cluster.line.cut() }
      }
      #expect(values == (0..<2000).map { "\($0)" }, "seed \(seed)")
      await consumer.close()
    }
  }

  // MARK: Several batches

  /// Writes records that are a batch each.
  private func write(_ cluster: TestCluster, _ values: ClosedRange<Int>) async throws {
    let producer = try await Producer(ProducerConfiguration(cluster.client))
    for value in values { _ = try await producer.send(ProducerRecord(topic: "t", value: "\(value)")) }
    await producer.close()
  }

  @Test func `batches that are wanted together come together, in order, as soon as they are enough`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await write(cluster, 1...3)
      let consumer = try await consumer(cluster)
      try await consumer.assign([t0: .earliest])
      async let batches = consumer.nextBatches(upTo: 5, linger: .seconds(600))
      try await write(cluster, 4...5)
      #expect(try await batches.joined().map(\.text) == ["1", "2", "3", "4", "5"])
      await consumer.close()
    }
  }

  @Test func `what comes together is committed together`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await write(cluster, 1...3)
      let consumer = try await consumer(cluster, group: "g") { $0.autoCommitInterval = nil }
      try await consumer.assign([t0: .earliest])
      #expect(try await consumer.nextBatches(upTo: 2, linger: .seconds(600)).map(\.recordCount) == [1, 1])
      try await consumer.commit()
      #expect(try await committed(consumer) == 2)
      #expect(try await consumer.nextBatches(upTo: 1).joined().map(\.text) == ["3"])
      await consumer.close()
    }
  }

  @Test func `at the end, and when the consumer is closed, nobody waits for more batches`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await write(cluster, 1...2)
      let ending = try await consumer(cluster) { $0.stopAtEnd = true }
      try await ending.assign([t0: .earliest])
      var values: [String] = []
      while case let batches = try await ending.nextBatches(upTo: 100, linger: .seconds(600)), !batches.isEmpty {
        values += batches.joined().map(\.text)
      }
      #expect(values == ["1", "2"])
      await ending.close()

      let closing = try await consumer(cluster)
      try await closing.assign([t0: .earliest])
      async let batches = closing.nextBatches(upTo: 100, linger: .seconds(600))
      #expect(try await eventually { closing.position(of: t0) == 2 })
      await closing.close()
      #expect(try await batches.count == 2)
      #expect(try await closing.nextBatches(upTo: 1).isEmpty)
    }
  }

  // MARK: Seek, pause

  @Test func `after a seek reading goes on there, even in the middle of a batch`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 20)
      let consumer = try await consumer(cluster) { $0.stopAtEnd = true }
      try await consumer.assign([t0: .earliest])
      var values: [String] = []
      for try await record in consumer.records {
        values.append(record.text)
        if values.count == 3 { try await consumer.seek(t0, to: .offset(15)) }
      }
      #expect(values == ["0", "1", "2", "15", "16", "17", "18", "19"])
      try await consumer.seek(t0, to: .earliest)
      #expect(try await read(consumer, 100).count == 20)
      let error = await #expect(throws: KafkaError.self) {
        try await consumer.seek(TopicPartition("t", 1), to: .earliest)
      }
      #expect(error?.code == .invalidArgument)
      await consumer.close()
    }
  }

  @Test func `a paused partition is silent, even in the middle of a batch, and loses nothing`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 2)
      try await cluster.fill("t", 20)
      let consumer = try await consumer(cluster)
      try await consumer.assign([t0: .earliest])
      #expect(try await readPausing(consumer, at: 5) == (0..<20).map { "\($0)" })
      await consumer.close()
    }
  }

  private func readPausing(_ consumer: Consumer, at count: Int) async throws -> [String] {
    var values: [String] = []
    for try await record in consumer.records {
      values.append(record.text)
      if values.count == count {
        try consumer.pause([t0])
        #expect(consumer.position(of: t0) == Int64(count))
        Task {
          try await Task.sleep(for: .milliseconds(100))
          // Nothing came meanwhile.
          #expect(consumer.position(of: t0) == Int64(count))
          try consumer.resume([t0])
        }
      }
      if values.count == 20 { break }
    }
    return values
  }

  // MARK: Committing

  @Test func `a commit covers the records that were handed out, one by one`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 20)
      let consumer = try await consumer(cluster, group: "g") { $0.autoCommitInterval = nil }
      try await consumer.subscribe(to: ["t"])
      #expect(try await read(consumer, 7).count == 7)
      try await consumer.commit()
      #expect(try await committed(consumer) == 7)
      await consumer.close()
    }
  }

  @Test func `a commit covers the batches that were handed out as a whole`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 20, batches: 2)
      let consumer = try await consumer(cluster, group: "g") { $0.autoCommitInterval = nil }
      try await consumer.subscribe(to: ["t"])
      for try await batch in consumer.batches {
        #expect(batch.recordCount == 10)
        break
      }
      try await consumer.commit()
      #expect(try await committed(consumer) == 10)
      try await consumer.commit([t0: OffsetAndMetadata(offset: 3, metadata: "here")])
      #expect(try await consumer.committed([t0])[t0]?.metadata == "here")
      await consumer.close()
    }
  }

  @Test func `closing commits what was handed out, and the next member goes on behind it`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 20)
      let first = try await consumer(cluster, group: "g")
      try await first.subscribe(to: ["t"])
      #expect(try await read(first, 7).last == "6")
      await first.close()
      let second = try await consumer(cluster, group: "g")
      try await second.subscribe(to: ["t"])
      #expect(try await read(second, 13) == (7..<20).map { "\($0)" })
      await second.close()
    }
  }

  @Test func `what was processed is committed now and then`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 20, batches: 2)
      let consumer = try await consumer(cluster, group: "g") { $0.autoCommitInterval = .milliseconds(50) }
      try await consumer.subscribe(to: ["t"])
      var batches = 0
      for try await _ in consumer.batches {
        batches += 1
        if batches == 2 {
          // The second is still being processed.
          #expect(try await eventually { try await committed(consumer) == 10 })
          try await Task.sleep(for: .milliseconds(100))
          #expect(try await committed(consumer) == 10)
          break
        }
      }
      await consumer.close()
    }
  }

  @Test func `what was not committed before a crash is read again`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 20)
      try await crash(cluster, after: 7, committing: 4)
      let second = try await consumer(cluster, group: "g")
      try await second.subscribe(to: ["t"])
      #expect(try await read(second, 16) == (4..<20).map { "\($0)" })
      await second.close()
    }
  }

  /// Reads as a member that goes without a word.
  private func crash(_ cluster: TestCluster, after count: Int, committing offset: Int64) async throws {
    let consumer = try await consumer(cluster, group: "g") {
      $0.autoCommitInterval = nil
      $0.sessionTimeout = .seconds(15)
    }
    try await consumer.subscribe(to: ["t"])
    #expect(try await read(consumer, count).count == count)
    try await consumer.commit([t0: OffsetAndMetadata(offset: offset)])
  }

  @Test func `without a committed offset and a reset policy reading is an error`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let consumer = try await consumer(cluster, group: "g") { $0.autoOffsetReset = .none }
      try await consumer.subscribe(to: ["t"])
      let error = await #expect(throws: KafkaError.self) { try await read(consumer, 1) }
      #expect(error?.code == .noOffset)
      await consumer.close()
    }
  }
}
