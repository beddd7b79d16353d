import Foundation
import MillraceCoordination
import MillraceProtocol
import Testing

@testable import MillraceBroker

@Suite struct `Snapshots of the metadata` {
  private static let often = ["metadata.log.max.record.bytes.between.snapshots": "400"]
  private let directory = TemporaryDirectory()
  private var journal: String { "\(directory.path)/__cluster_metadata-0" }
  private var files: [String] { (try? FileManager.default.contentsOfDirectory(atPath: journal).sorted()) ?? [] }
  private var snapshots: [String] { files.filter { $0.hasSuffix(".checkpoint") } }

  /// Some topics come and go; returns those that are there.
  private func makeHistory() async throws -> [String: Uuid] {
    let broker = try TestBroker(Self.often, in: directory)
    var ids: [String: Uuid] = [:]
    for n in 0..<30 {
      let name = "topic-\(n)"
      ids[name] = try await broker.create(name, partitions: 2, configs: ["retention.ms": "\(1000 + n)"])
      if n % 3 == 2 {
        try await broker.delete("topic-\(n - 1)")
        ids["topic-\(n - 1)"] = nil
      }
    }
    broker.stop()
    return ids
  }

  private func expectTopics(_ ids: [String: Uuid], of broker: TestBroker) {
    let visible = Dictionary(uniqueKeysWithValues: broker.broker.topics.all.map { ($0.name, $0.id) })
    #expect(visible == ids)
    for (name, _) in ids {
      let topic = broker.broker.topics.topic(named: name)
      #expect(topic?.partitions.count == 2)
      #expect(topic?.partition(0)?.log.config.retentionMs == Int64(1000 + Int(name.dropFirst(6))!))
    }
  }

  @Test func `two are kept, and the journal is cut behind the older`() async throws {
    let ids = try await makeHistory()
    #expect(snapshots.count == 2)
    let broker = try TestBroker(in: directory)
    expectTopics(ids, of: broker)
    let start = broker.broker.catalog.journalOffsets?.logStartOffset
    #expect(start == MetadataSnapshot.endOffset(ofFile: snapshots[0]))
    broker.stop()
  }

  @Test(arguments: [0, 1])
  func `what only one of two snapshots says is not needed`(damaged: Int) async throws {
    let ids = try await makeHistory()
    let path = "\(journal)/\(snapshots[damaged])"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: path))
    let broker = try TestBroker(in: directory)
    expectTopics(ids, of: broker)
    broker.stop()
  }

  @Test func `a journal that ends before its snapshot goes on behind it`() async throws {
    let ids = try await makeHistory()
    let complete = try TestBroker(in: directory)
    complete.broker.catalog.takeSnapshot()
    complete.stop()
    for name in files where !name.hasSuffix(".checkpoint") { try directory.remove("__cluster_metadata-0/\(name)") }
    for name in directory.names where name.hasSuffix("-checkpoint") { try directory.remove(name) }
    let broker = try TestBroker(in: directory)
    expectTopics(ids, of: broker)
    let later = try await broker.create("topic-100", partitions: 2, configs: ["retention.ms": "1100"])
    broker.stop()
    let again = try TestBroker(in: directory)
    expectTopics(ids.merging(["topic-100": later]) { $1 }, of: again)
    again.stop()
  }

  @Test func `leader epochs go on where they were`() async throws {
    let first = try TestBroker(in: directory)
    try await first.create("orders")
    first.crash()
    let second = try TestBroker(in: directory)
    second.broker.catalog.takeSnapshot()
    second.stop()
    #expect(snapshots.count == 1)
    let third = try TestBroker(in: directory)
    #expect(third.broker.topics.topic(named: "orders")?.partition(0)?.leaderEpoch == 1)
    third.crash()
    let fourth = try TestBroker(in: directory)
    #expect(fourth.broker.topics.topic(named: "orders")?.partition(0)?.leaderEpoch == 2)
    fourth.stop()
  }

  @Test func `a file is what was encoded, or nothing`() throws {
    let records = (0..<300).map { n in
      MetadataRecord.topic(TopicRecord(name: "topic-\(n)", topicId: Uuid(high: 1, low: UInt64(n))))
    }
    let snapshot = MetadataSnapshot(endOffset: 42, records: records)
    #expect(snapshot.fileName == "00000000000000000042-0000000001.checkpoint")
    #expect(MetadataSnapshot.endOffset(ofFile: snapshot.fileName) == 42)
    let bytes = try snapshot.encoded(timestamp: 1_700_000_000_000)
    #expect(MetadataSnapshot(bytes, endOffset: 42)?.records == records)
    for count in 0..<bytes.count { #expect(MetadataSnapshot(Array(bytes[..<count]), endOffset: 42) == nil) }
    #expect(MetadataSnapshot(bytes + bytes, endOffset: 42) == nil)
  }

  @Test func `names of other files are none of a snapshot`() {
    for name in [
      "00000000000000000042.log", "42-1.checkpoint", "0000000000000000004x-0000000001.checkpoint",
      "-0000000000000000042-0000000001.checkpoint", "00000000000000000042-00000000-1.checkpoint", ".checkpoint",
    ] {
      #expect(MetadataSnapshot.endOffset(ofFile: name) == nil, "\(name)")
    }
  }
}
