import Foundation
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceBroker

/// What a crash, or somebody with a file manager, can leave behind.
@Suite struct `Metadata across restarts` {
  @Test func `a crash keeps what was acknowledged and raises every leader epoch once`() async throws {
    let broker = try TestBroker()
    let id = try await broker.create("orders", partitions: 2)
    broker.crash()
    let again = try TestBroker(in: broker.directory)
    let topic = try #require(try await again.metadata(["orders"]).topics.first)
    #expect(topic.topicId == id)
    #expect(topic.partitions.map(\.leaderEpoch) == [1, 1])
    try await again.create("later")
    #expect(again.broker.topics.topic(named: "later")?.partition(0)?.leaderEpoch == 0)
    again.stop()
    let third = try TestBroker(in: broker.directory)
    #expect(third.broker.topics.topic(named: "orders")?.partition(0)?.leaderEpoch == 1)
    third.stop()
  }

  @Test func `a topic in the journal without its directory gets it`() async throws {
    let broker = try TestBroker()
    let id = try await broker.create("orders", partitions: 2)
    broker.stop()
    try broker.directory.remove("orders-1")
    let again = try TestBroker(in: broker.directory)
    #expect(again.broker.topics.topic(id: id)?.partitions.count == 2)
    #expect(again.directory.names.contains("orders-1"))
    again.stop()
  }

  @Test(arguments: [true, false])
  func `without its journal the broker adopts its topics from their directories`(isClean: Bool) async throws {
    let broker = try TestBroker()
    let id = try await broker.create("orders", partitions: 3)
    if isClean { broker.stop() } else { broker.crash() }
    try broker.directory.remove("__cluster_metadata-0")
    let again = try TestBroker(in: broker.directory)
    let topic = try #require(again.broker.topics.topic(named: "orders"))
    #expect(topic.id == id)
    #expect(topic.partitions.count == 3)
    again.stop()
    let third = try TestBroker(in: broker.directory)
    #expect(third.broker.topics.topic(named: "orders")?.id == id, "the adoption was journaled")
    third.stop()
  }

  @Test func `an id that a client made up does not use up the others`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    let log = try #require(broker.broker.topics.topic(named: "orders")?.partition(0)?.log)
    _ = try Journal(log: log, leaderEpoch: 0).append(
      [Journal.Fact(value: ByteBuffer(string: "x"))], nowMs: 1_700_000_000_000,
      producer: Journal.Producer(id: .max, epoch: 0, transaction: .unchecked))
    broker.crash()
    let again = try TestBroker(in: broker.directory)
    let answer = try await again.send(InitProducerIdRequest(transactionalId: nil))
    #expect(answer.errorCode == 0)
    #expect(answer.producerId < 1_000_000)
    again.stop()
  }

  @Test(arguments: [true, false])
  func `without its journal the broker gives no producer's id to another`(isClean: Bool) async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    let log = try #require(broker.broker.topics.topic(named: "orders")?.partition(0)?.log)
    let producer = Journal.Producer(id: 5000, epoch: 0, transaction: .unchecked)
    let end = try Journal(log: log, leaderEpoch: 0).append(
      [Journal.Fact(value: ByteBuffer(string: "x"))], nowMs: 1_700_000_000_000, producer: producer)
    let settled = WakeUp()
    log.whenDurable(through: end) { _ in settled.signal() }
    settled.wait()
    if isClean { broker.stop() } else { broker.crash() }
    try broker.directory.remove("__cluster_metadata-0")
    let again = try TestBroker(in: broker.directory)
    let first = try await again.send(InitProducerIdRequest(transactionalId: nil)).producerId
    #expect(first > 5000)
    again.stop()
    let third = try TestBroker(in: broker.directory)
    #expect(try await third.send(InitProducerIdRequest(transactionalId: nil)).producerId > first)
    third.stop()
  }

  @Test(arguments: [true, false])
  func `the journal is read whatever its directory's file says`(isClean: Bool) async throws {
    let broker = try TestBroker()
    let id = try await broker.create("orders")
    if isClean { broker.stop() } else { broker.crash() }
    try "version: 0\ntopic_id: \(Uuid(high: 5, low: 6))".write(
      toFile: "\(broker.directory.path)/__cluster_metadata-0/partition.metadata", atomically: true, encoding: .utf8)
    let again = try TestBroker(in: broker.directory)
    #expect(again.broker.topics.topic(named: "orders")?.id == id)
    again.stop()
  }

  @Test func `a deletion that a crash interrupted is finished`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    try broker.directory.copy("orders-0", to: "saved")
    try await broker.delete("orders")
    broker.stop()
    try broker.directory.copy("saved", to: "orders-0")
    try broker.directory.remove("saved")
    let again = try TestBroker(in: broker.directory)
    #expect(again.broker.topics.topic(named: "orders") == nil)
    again.stop()
    #expect(!broker.directory.names.contains("orders-0"))
  }

  /// The id as it is in files, with one character changed.
  private func damaged(_ id: Uuid) -> String {
    var text = Array("\(id)")
    text[4] = text[4] == "A" ? "B" : "A"
    return "version: 0\ntopic_id: " + String(text)
  }

  @Test(arguments: [true, false], [true, false])
  func `a partition whose file has its topic's id with a flipped bit is served`(
    isClean: Bool, hasJournal: Bool
  ) async throws {
    let broker = try TestBroker()
    let id = try await broker.create("orders", partitions: 3)
    for index in 0..<3 as Range<Int32> {
      let log = try #require(broker.broker.topics.topic(named: "orders")?.partition(index)?.log)
      let end = try Journal(log: log, leaderEpoch: 0).append(
        [Journal.Fact(value: ByteBuffer(string: "x"))], nowMs: 1_700_000_000_000)
      let settled = WakeUp()
      log.whenDurable(through: end) { _ in settled.signal() }
      settled.wait()
    }
    if isClean { broker.stop() } else { broker.crash() }
    if !hasJournal { try broker.directory.remove("__cluster_metadata-0") }
    let path = "\(broker.directory.path)/orders-1/partition.metadata"
    let sound = try String(contentsOfFile: path, encoding: .utf8)
    try damaged(id).write(toFile: path, atomically: true, encoding: .utf8)
    let again = try TestBroker(in: broker.directory)
    let topic = try #require(again.broker.topics.topic(named: "orders"))
    #expect(topic.id == id && topic.partitions.count == 3)
    for partition in topic.partitions {
      try partition.log.open()
      #expect(partition.log.offsets.logEndOffset == 1)
    }
    again.stop()
    #expect(try String(contentsOfFile: path, encoding: .utf8) == sound)
  }

  @Test func `the records of a deleted topic are not served under a new one of its name`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    try broker.directory.copy("orders-0", to: "saved")
    try await broker.delete("orders")
    let id = try await broker.create("orders")
    broker.crash()
    try broker.directory.remove("orders-0")
    try broker.directory.copy("saved", to: "orders-0")
    try broker.directory.remove("saved")
    let again = try TestBroker(in: broker.directory)
    #expect(again.broker.topics.topic(named: "orders")?.id == id)
    again.stop()
    let text = try String(contentsOfFile: "\(broker.directory.path)/orders-0/partition.metadata", encoding: .utf8)
    #expect(text.contains("\(id)"))
  }

  @Test func `a directory that contradicts the journal is set aside with its data`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    broker.stop()
    let metadata = "version: 0\ntopic_id: \(Uuid(high: 5, low: 6))"
    try FileManager.default.createDirectory(
      atPath: "\(broker.directory.path)/orders-7", withIntermediateDirectories: true)
    try metadata.write(
      toFile: "\(broker.directory.path)/orders-7/partition.metadata", atomically: true, encoding: .utf8)
    let again = try TestBroker(in: broker.directory)
    #expect(again.broker.topics.topic(named: "orders")?.partitions.count == 1)
    again.stop()
    #expect(!broker.directory.names.contains("orders-7"))
    #expect(broker.directory.names.contains { $0.hasPrefix("orders-7.") && $0.hasSuffix("-stray") })
  }

  @Test func `a damaged batch of the journal loses only what it said, and its topic is adopted`() async throws {
    let broker = try TestBroker()
    let first = try await broker.create("first", configs: ["retention.ms": "5"])
    let second = try await broker.create("second", partitions: 2)
    let third = try await broker.create("third", configs: ["retention.ms": "7"])
    broker.stop()
    let path = "\(broker.directory.path)/__cluster_metadata-0/00000000000000000000.log"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    let place = try #require(bytes.range(of: Data("second".utf8)))
    bytes[place.lowerBound] ^= 0xff
    try bytes.write(to: URL(fileURLWithPath: path))

    let again = try TestBroker(in: broker.directory)
    let topics = again.broker.topics
    #expect(topics.topic(named: "first")?.id == first)
    #expect(topics.topic(named: "second")?.id == second)
    #expect(topics.topic(named: "second")?.partitions.count == 2)
    #expect(topics.topic(named: "third")?.id == third)
    #expect(topics.topic(named: "third")?.partition(0)?.log.config.retentionMs == 7)
    again.stop()
  }

  @Test func `damage that hides where the next batch begins loses no topic either`() async throws {
    let broker = try TestBroker()
    var ids: [String: Uuid] = [:]
    for name in ["first", "second", "third"] { ids[name] = try await broker.create(name) }
    for n in 0..<200 { ids["filler-\(n)"] = try await broker.create("filler-\(n)") }
    broker.stop()
    let path = "\(broker.directory.path)/__cluster_metadata-0/00000000000000000000.log"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    let place = try #require(bytes.range(of: Data("second".utf8))).lowerBound
    var batch = 0
    while true {
      let length = bytes[(batch + 8)..<(batch + 12)].reduce(0) { $0 << 8 | Int($1) }
      if batch + 12 + length > place { break }
      batch += 12 + length
    }
    bytes.replaceSubrange((batch + 8)..<(batch + 12), with: [0x7f, 0xff, 0xff, 0xff])
    try bytes.write(to: URL(fileURLWithPath: path))

    let again = try TestBroker(in: broker.directory)
    let visible = Dictionary(uniqueKeysWithValues: again.broker.topics.all.map { ($0.name, $0.id) })
    #expect(visible == ids)
    again.stop()
  }

  @Test func `many clients at once leave what was answered to the last of them`() async throws {
    let broker = try TestBroker()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for client in 0..<8 {
        group.addTask {
          for round in 0..<6 {
            try await broker.create("own-\(client)", partitions: 2)
            _ = try await broker.metadata(["shared-\(round)"])
            if round < 5 { try await broker.delete("own-\(client)") }
          }
        }
      }
      try await group.waitForAll()
    }
    let before = Dictionary(uniqueKeysWithValues: broker.broker.topics.all.map { ($0.name, $0.id) })
    #expect(before.count == 8 + 6)
    broker.crash()
    let again = try TestBroker(in: broker.directory)
    #expect(Dictionary(uniqueKeysWithValues: again.broker.topics.all.map { ($0.name, $0.id) }) == before)
    again.stop()
  }

  @Test func `deleting and creating at random is the same after every restart`() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix64(state: seed)
    let directory = TemporaryDirectory()
    var expected: [String: (Uuid, Int)] = [:]
    for round in 0..<6 {
      let broker = try TestBroker(in: directory)
      let visible = Dictionary(
        uniqueKeysWithValues: broker.broker.topics.all.map { ($0.name, ($0.id, $0.partitions.count)) })
      #expect(visible.mapValues(\.0) == expected.mapValues(\.0), "seed \(seed) round \(round)")
      #expect(visible.mapValues(\.1) == expected.mapValues(\.1), "seed \(seed) round \(round)")
      for _ in 0..<25 {
        let name = "t\(Int.random(in: 0..<5, using: &random))"
        if expected.removeValue(forKey: name) != nil {
          try await broker.delete(name)
        } else {
          let count = Int.random(in: 1...3, using: &random)
          expected[name] = (try await broker.create(name, partitions: Int32(count)), count)
        }
      }
      if Bool.random(using: &random) { broker.stop() } else { broker.crash() }
    }
  }

  private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }
}
