import MillraceCoordination
import MillraceLog
import MillraceProtocol
import MillraceRecords
import NIOCore
import Testing

@testable import MillraceBroker

@Suite struct `Retention and record settings over the wire` {
  private let minuteMs: Int64 = 60_000
  private let hourMs: Int64 = 3_600_000

  private func alter(_ broker: TestBroker, _ configs: [String: String]) async throws {
    let request = IncrementalAlterConfigsRequest(resources: [
      .init(
        resourceType: ConfigResource.Kind.topic.rawValue, resourceName: "orders",
        configs: configs.map { .init(name: $0.key, configOperation: 0, value: $0.value) })
    ])
    #expect(try await broker.send(request).responses.first?.errorCode.code == ErrorCode.none)
  }

  private func produce(
    _ broker: TestBroker, _ values: [[UInt8]] = [[1]], key: [UInt8]? = nil, timestamp: Int64? = nil,
    compression: CompressionType = .none, acks: Int16 = -1
  ) async throws -> ProduceResponse.PartitionProduceResponse {
    var builder = BatchBuilder()
    for value in values {
      builder.append(key: key, value: value, timestamp: timestamp ?? broker.broker.clock.nowMs())
    }
    let batch = try builder.build(BatchFields(compression: compression))
    let data = ProduceRequest.TopicProduceData(
      name: "orders", partitionData: [.init(index: 0, records: .bytes(ByteBuffer(bytes: batch)))])
    let request = ProduceRequest(acks: acks, timeoutMs: 10_000, topicData: [data])
    return try #require(try await broker.send(request, version: 9).responses.first?.partitionResponses.first)
  }

  private func earliest(_ broker: TestBroker) async throws -> Int64? {
    let request = ListOffsetsRequest(
      replicaId: -1, topics: [.init(name: "orders", partitions: [.init(partitionIndex: 0, timestamp: -2)])])
    return try await broker.send(request).topics.first?.partitions.first?.offset
  }

  private func header(_ broker: TestBroker, at offset: Int64) throws -> BatchHeader {
    let log = try #require(broker.broker.topics.topic(named: "orders")?.partition(0)).log
    let plan = try log.read(from: offset, maxBytes: 1, minOneBatch: true, isolation: .readUncommitted)
    return try plan.load().withUnsafeBytes { try BatchHeader(parsing: $0) }
  }

  @Test func `retention that is altered takes the beginning, and its readers are out of range`() async throws {
    let clock = HandClock(wallMs: 1_700_000_000_000)
    let broker = try TestBroker(["log.initial.task.delay.ms": "3600000"], clock: clock)
    try await broker.create("orders", configs: ["segment.bytes": "1048576"])
    for _ in 0..<40 { _ = try await produce(broker, [[UInt8](repeating: 7, count: 100_000)]) }
    _ = broker.broker.housekeeping.round()
    #expect(try await earliest(broker) == 0)
    try await alter(broker, ["retention.bytes": "2000000"])
    for _ in 0..<12 {
      clock.pass(ms: 10 * minuteMs)
      _ = broker.broker.housekeeping.round()
    }
    #expect(try await earliest(broker) == 20)
    let log = try #require(broker.broker.topics.topic(named: "orders")?.partition(0)).log
    #expect(throws: LogError.offsetOutOfRange(requested: 19, start: 20, end: 40)) {
      try log.read(from: 19, maxBytes: 1, minOneBatch: true, isolation: .readUncommitted)
    }
    // A topic that is compacted only keeps what it has, however old.
    try await alter(broker, ["cleanup.policy": "compact", "retention.ms": "1"])
    for _ in 0..<12 {
      clock.pass(ms: 10 * minuteMs)
      _ = broker.broker.housekeeping.round()
    }
    #expect(try await earliest(broker) == 20)
    try await alter(broker, ["cleanup.policy": "compact,delete"])
    clock.pass(ms: 10 * minuteMs)
    _ = broker.broker.housekeeping.round()
    #expect(try await earliest(broker) == 40)
    broker.stop()
  }

  @Test(arguments: [Int64(2), -2]) func `a clock that jumps by years takes nothing before it has stood for an hour`(
    years: Int64
  ) async throws {
    let clock = HandClock(wallMs: 1_700_000_000_000)
    let broker = try TestBroker(["log.initial.task.delay.ms": "0"], clock: clock)
    try await broker.create("orders")
    _ = try await produce(broker)
    let yearMs = 365 * 24 * hourMs
    clock.pass(ms: minuteMs)
    _ = broker.broker.housekeeping.round()
    clock.jump(ms: years * yearMs)
    for _ in 0..<5 {
      clock.pass(ms: 10 * minuteMs)
      _ = broker.broker.housekeeping.round()
    }
    #expect(try await earliest(broker) == 0)
    // Back where it was: what is younger than the retention was never touched.
    clock.jump(ms: -years * yearMs)
    for _ in 0..<20 {
      clock.pass(ms: 10 * minuteMs)
      _ = broker.broker.housekeeping.round()
    }
    #expect(try await earliest(broker) == 0)
    clock.jump(ms: 2 * yearMs)
    for _ in 0..<8 {
      clock.pass(ms: 10 * minuteMs)
      _ = broker.broker.housekeeping.round()
    }
    #expect(try await earliest(broker) == 1)
    broker.stop()
  }

  @Test func `what a batch is held to can be altered while the topic is used`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    let nowMs = broker.broker.clock.nowMs()
    #expect(try await produce(broker, timestamp: nowMs - 50 * hourMs).errorCode.code == .none)
    try await alter(broker, ["message.timestamp.before.max.ms": "3600000"])
    #expect(try await produce(broker, timestamp: nowMs - 50 * hourMs).errorCode.code == .invalidTimestamp)
    #expect(try await produce(broker, timestamp: nowMs + 2 * hourMs).errorCode.code == .invalidTimestamp)
    try await alter(broker, ["message.timestamp.after.max.ms": "10000000"])
    #expect(try await produce(broker, timestamp: nowMs + 2 * hourMs).errorCode.code == .none)
    try await alter(broker, ["message.timestamp.type": "LogAppendTime"])
    let appended = try await produce(broker, timestamp: 5)
    #expect(appended.errorCode.code == .none)
    #expect(appended.logAppendTimeMs >= nowMs)
    #expect(try header(broker, at: appended.baseOffset).timestampType == .logAppendTime)
    try await alter(broker, ["max.message.bytes": "200"])
    #expect(try await produce(broker, [[UInt8](repeating: 1, count: 300)]).errorCode.code == .messageTooLarge)
    #expect(try await produce(broker, [[UInt8](repeating: 1, count: 30)]).errorCode.code == .none)
    try await alter(broker, ["min.insync.replicas": "2"])
    #expect(try await produce(broker).errorCode.code == .notEnoughReplicas)
    #expect(try await produce(broker, acks: 1).errorCode.code == .none)
    broker.stop()
  }

  @Test func `compression.type has the broker compress anew, and is altered while the topic is used`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    let values = [[UInt8]](repeating: [UInt8](repeating: 65, count: 500), count: 4)
    func stored(_ sent: CompressionType) async throws -> CompressionType? {
      let answer = try await produce(broker, values, compression: sent)
      #expect(answer.errorCode.code == ErrorCode.none)
      return try header(broker, at: answer.baseOffset).compression
    }
    #expect(try await stored(.snappy) == .snappy)
    for type in [CompressionType.zstd, .gzip, .lz4, .snappy] {
      try await alter(broker, ["compression.type": "\(type)"])
      #expect(try await stored(.none) == type)
      #expect(try await stored(.gzip) == type)
    }
    try await alter(broker, ["compression.type": "uncompressed"])
    #expect(try await stored(.zstd) == CompressionType.none)
    try await alter(broker, ["compression.type": "producer"])
    #expect(try await stored(.zstd) == .zstd)
    broker.stop()
  }
}
