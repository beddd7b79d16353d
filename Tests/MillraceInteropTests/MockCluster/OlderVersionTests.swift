// The client with brokers of long ago: it speaks the versions that they do.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct OlderVersionTests {
  /// Writes, reads and reads as a member of a group.
  private func checkRoundTrip(_ cluster: MockCluster) async throws {
    try await cluster.create("t", leaders: [1, 2, 3])
    let producer = try await Producer(ProducerConfiguration(cluster.client))
    var expected: Set<String> = []
    for number in 0..<30 {
      let headers = [RecordHeader(key: "h", value: "\(number)"), RecordHeader(key: "h", value: nil)]
      let record = ProducerRecord(topic: "t", key: "k\(number)", value: "\(number)", headers: headers)
      expected.insert("\(try await producer.send(record).partition) \(number)")
    }
    await producer.close()
    for group in [nil, "g"] {
      var configuration = ConsumerConfiguration(cluster.client, groupId: group)
      configuration.autoOffsetReset = .earliest
      let consumer = try await Consumer(configuration)
      if group == nil {
        try await consumer.assign(topics: ["t"], from: .earliest)
      } else {
        try await consumer.subscribe(to: ["t"])
      }
      var found: Set<String> = []
      for try await record in consumer.records {
        found.insert("\(record.partition) \(record.text)")
        #expect(record.key.map { String(buffer: $0) } == "k\(record.text)")
        #expect(record.headers.map(\.key) == ["h", "h"])
        #expect(record.headers.map(\.value) == [ByteBuffer(string: record.text), nil])
        if found.count == expected.count { break }
      }
      #expect(found == expected)
      if group != nil { try await consumer.commit() }
      await consumer.close()
    }
  }

  private func limit<R: Request>(_ cluster: MockCluster, _ request: R.Type) async throws {
    let oldest = R.validVersions.lowerBound
    try await cluster.limit(R.apiKey, to: oldest...oldest)
  }

  @Test func `the oldest versions of everything do`() async throws {
    try await MockCluster.run { cluster in
      try await limit(cluster, ApiVersionsRequest.self)
      try await limit(cluster, MetadataRequest.self)
      try await limit(cluster, ProduceRequest.self)
      try await limit(cluster, FetchRequest.self)
      try await limit(cluster, ListOffsetsRequest.self)
      try await limit(cluster, InitProducerIdRequest.self)
      try await limit(cluster, FindCoordinatorRequest.self)
      try await limit(cluster, JoinGroupRequest.self)
      try await limit(cluster, SyncGroupRequest.self)
      try await limit(cluster, HeartbeatRequest.self)
      try await limit(cluster, LeaveGroupRequest.self)
      try await limit(cluster, OffsetFetchRequest.self)
      try await limit(cluster, OffsetCommitRequest.self)
      try await checkRoundTrip(cluster)
    }
  }

  /// In version 5 the mock cluster leaves out the log's start offset.
  @Test(arguments: (ProduceRequest.validVersions.lowerBound...7).filter { $0 != 5 })
  func `so does every version of Produce`(_ version: Int16) async throws {
    try await MockCluster.run { cluster in
      try await cluster.limit(.produce, to: 0...version)
      try await checkRoundTrip(cluster)
    }
  }

  @Test(arguments: Array(FetchRequest.validVersions.lowerBound...11))
  func `so does every version of Fetch`(_ version: Int16) async throws {
    try await MockCluster.run { cluster in
      try await cluster.limit(.fetch, to: 0...version)
      try await checkRoundTrip(cluster)
    }
  }

  @Test func `a cluster of which the client speaks no version says so`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.limit(.produce, to: 0...2)
      try await cluster.create("t", leaders: [1])
      var configuration = ProducerConfiguration(cluster.client)
      configuration.isIdempotent = false
      let producer = try await Producer(configuration)
      let error = await #expect(throws: KafkaError.self) {
        try await producer.send(ProducerRecord(topic: "t", value: "a"))
      }
      #expect(error?.code == .unsupportedVersion)
      await producer.close()
    }
  }
}
