import Foundation
import MillraceRecords
import Testing

@testable import MillraceLog

@Suite struct StoreTests {
  private let workspace = Workspace()

  @Test func `a second store on a data directory is refused with its name`() throws {
    let store = try workspace.open()
    #expect(throws: LogError.directoryInUse(workspace.path)) { try workspace.open() }
    store.close(nowMs: workspace.now)
    try workspace.open().close(nowMs: workspace.now)
  }

  @Test func `a store keeps its cluster and refuses another's directory`() throws {
    let store = try workspace.open()
    let clusterId = store.clusterId
    #expect(TopicID(clusterId) != nil)
    store.close(nowMs: workspace.now)
    var options = workspace.options()
    options.clusterId = "another"
    #expect(throws: LogError.differentCluster(directory: workspace.path, found: clusterId, expected: "another")) {
      try LogStore.open(options, nowMs: 0)
    }
    options.clusterId = clusterId
    options.brokerId = 7
    #expect(throws: LogError.differentBroker(directory: workspace.path, found: 1, expected: 7)) {
      try LogStore.open(options, nowMs: 0)
    }
    // Without the file the store still opens.
    workspace.removeRoot("meta.properties")
    options.brokerId = 1
    let again = try LogStore.open(options, nowMs: 0)
    #expect(again.clusterId == clusterId)
    again.close(nowMs: workspace.now)
  }

  @Test func `partitions are spread over the data directories and found there again`() throws {
    let paths = ["\(workspace.path)/a", "\(workspace.path)/b/c"]
    var store = try LogStore.open(workspace.options(directories: paths), nowMs: 0)
    for partition in 0..<6 {
      let log = try workspace.log(store, topic: "spread", Int32(partition))
      try log.append(batch(["\(partition)"]))
    }
    #expect(store.logDirectories().map(\.partitions.count) == [3, 3])
    #expect(store.logDirectories().allSatisfy { $0.space!.totalBytes > 0 })
    store.close(nowMs: workspace.now)
    store = try LogStore.open(workspace.options(directories: paths), nowMs: 0)
    #expect(store.wasCleanlyStopped)
    #expect(store.existingPartitions().count == 6)
    for partition in 0..<6 {
      #expect(try workspace.log(store, topic: "spread", Int32(partition)).values().map(\.value) == ["\(partition)"])
    }
    store.close(nowMs: workspace.now)
  }

  @Test func `a partition is made once, and only one that is there is given`() throws {
    let store = try workspace.open()
    let id = PartitionID(topic: "orders", partition: 0)
    #expect(throws: LogError.unknownPartition(id)) {
      try store.partition(id, topicId: workspace.topicId, config: LogConfig())
    }
    let log = try workspace.log(store)
    #expect(throws: LogError.partitionExists(id)) {
      try store.createPartition(id, topicId: workspace.topicId, config: LogConfig())
    }
    #expect(try store.partition(id, topicId: workspace.topicId, config: LogConfig()) === log)
    #expect(store.partition(id) === log)
    #expect(store.recordedTopicId(of: id) == workspace.topicId)
    store.close(nowMs: workspace.now)
    #expect(throws: LogError.closed) { try log.append(batch()) }
    #expect(throws: LogError.closed) { try store.partition(id, topicId: workspace.topicId, config: LogConfig()) }
  }

  private static let damage: [@Sendable (inout [UInt8]) -> Void] = [
    { $0 = [] },
    { for index in $0.indices { $0[index] = 0 } },
    { $0.removeLast(4) },
    // Another character of the alphabet in the id.
    { $0[30] = $0[30] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A") },
    { $0[0] ^= 4 },
  ]

  @Test(arguments: [true, false], damage.indices)
  func `a damaged partition metadata file is told of and made anew`(isClean: Bool, _ kind: Int) throws {
    var store = try workspace.open()
    try workspace.log(store).append(batch())
    store.commit()
    if isClean { store.close(nowMs: workspace.now) } else { workspace.crash(store) }
    let sound = workspace.bytes(FileNames.partitionMetadata)
    workspace.edit(FileNames.partitionMetadata, Self.damage[kind])
    store = try workspace.open()
    #expect(try workspace.log(store).values().count == 1)
    let told = RecoveryReport.Finding.partitionMetadataUnusable(path: workspace.file(FileNames.partitionMetadata))
    #expect(workspace.reports.all.contains { $0.findings.contains(told) })
    #expect(workspace.bytes(FileNames.partitionMetadata) == sound)
    store.close(nowMs: workspace.now)
  }

  @Test func `a directory that belongs to another topic of the name is not opened`() throws {
    var store = try workspace.open()
    _ = try workspace.log(store)
    store.close(nowMs: workspace.now)
    store = try workspace.open()
    let id = PartitionID(topic: "orders", partition: 0)
    let log = try store.partition(id, topicId: TopicID(high: 1, low: 2), config: LogConfig())
    #expect(throws: LogError.inconsistentTopicId(id, onDisk: workspace.topicId)) { try log.append(batch()) }
    try store.setAside(id)
    #expect(throws: LogError.deleted) { try log.append(batch()) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: workspace.path).contains { $0.hasSuffix("-stray") })
    let fresh = try store.createPartition(id, topicId: TopicID(high: 1, low: 2), config: LogConfig())
    #expect(try fresh.append(batch()).baseOffset == 0)
    store.close(nowMs: workspace.now)
  }

  @Test func `a deleted partition is gone at once, its files after the delay, and its name is free`() throws {
    workspace.hasThreads = false
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(fileDeleteDelayMs: 1000))
    let failures = Collected<LogError>()
    try log.append(batch(["old"]))
    store.commit()
    let plan = try log.read(from: 0, maxBytes: 1000, minOneBatch: true, isolation: .readUncommitted)
    log.whenDurable(through: 5) { if case .failure(let error) = $0 { failures.add(error) } }
    store.checkpoint()
    try store.deletePartition(log.id, nowMs: workspace.now)
    #expect(failures.all == [.deleted])
    #expect(throws: LogError.deleted) { try log.append(batch()) }
    #expect(throws: LogError.deleted) { try log.values(from: 0) }
    #expect(store.existingPartitions().isEmpty)
    // Who was about to send it still can.
    #expect(try plan.load().count == batch(["old"]).count)

    let fresh = try store.createPartition(log.id, topicId: TopicID(high: 5, low: 5), config: LogConfig())
    #expect(fresh.offsets.logEndOffset == 0)
    try fresh.append(batch(["new"]))
    func deleted() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: workspace.path).count { $0.hasSuffix("-delete") }
    }
    store.maintain(nowMs: workspace.now + 999)
    #expect(try deleted() == 1)
    store.maintain(nowMs: workspace.now + 1000)
    #expect(try deleted() == 0)
    workspace.crash(store)
    // What was recorded of the old one is not believed of the new one.
    let again = try workspace.open()
    let found = try again.partition(log.id, topicId: TopicID(high: 5, low: 5), config: LogConfig())
    #expect(try found.values().map(\.value) == ["new"])
    #expect(workspace.reports.all.flatMap { $0.findings } == [])
    again.close(nowMs: workspace.now)
  }

  @Test func `a partition that was being deleted when the store stopped is removed on the next start`() throws {
    workspace.hasThreads = false
    var store = try workspace.open()
    let log = try workspace.log(store, topic: String(repeating: "t", count: 249))
    try store.deletePartition(log.id, nowMs: workspace.now)
    workspace.crash(store)
    store = try workspace.open()
    #expect(store.existingPartitions().isEmpty)
    store.maintain(nowMs: workspace.now)
    #expect(try !FileManager.default.contentsOfDirectory(atPath: workspace.path).contains { $0.hasSuffix("-delete") })
    store.close(nowMs: workspace.now)
  }

  @Test func `deleted records are not served, and segments of only such records go`() throws {
    workspace.hasThreads = false
    let config = LogConfig(segmentBytes: 500, fileDeleteDelayMs: 1000)
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    for index in 0..<20 { try log.append(batch(["\(index)"]), epoch: Int32(index / 10)) }
    #expect(throws: LogError.offsetOutOfRange(requested: 5, start: 0, end: 0)) {
      try log.deleteRecords(before: 5, nowMs: workspace.now)
    }
    store.commit()
    #expect(try log.deleteRecords(before: 13, nowMs: workspace.now) == 13)
    #expect(try log.deleteRecords(before: 4, nowMs: workspace.now) == 13)
    #expect(log.offsets.logStartOffset == 13)
    #expect(throws: LogError.offsetOutOfRange(requested: 12, start: 13, end: 20)) { try log.values(from: 12) }
    #expect(try log.values().map(\.offset) == Array(13..<20))
    #expect(log.endOffset(forLeaderEpoch: 0)! == (0, 13))
    #expect(!workspace.files.contains { $0.hasSuffix(".deleted") })
    #expect(store.enforceRetention(nowMs: 1_700_000_000_000).map(\.segmentCount) == [1])
    #expect(workspace.files.contains { $0.hasSuffix(".log.deleted") })
    store.maintain(nowMs: workspace.now + 1000)
    #expect(!workspace.files.contains { $0.hasSuffix(".deleted") })
    store.checkpoint()
    workspace.crash(store)
    store = try workspace.open()
    log = try workspace.log(store, config)
    #expect(log.offsets.logStartOffset == 13)
    #expect(try log.deleteRecords(before: -1, nowMs: workspace.now) == 20)
    #expect(try log.append(batch(["next"])).baseOffset == 20)
    store.close(nowMs: workspace.now)
  }

  @Test(arguments: [Durability.commit, .buffered])
  func `truncation takes records, producers and epochs back to where they were`(durability: Durability) throws {
    let workspace = Workspace()
    let config = LogConfig(segmentBytes: 1000, durability: durability)
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    for index in 0..<30 {
      try log.append(
        batch(["\(index)", "x"], producerId: 1, epoch: 0, sequence: Int32(2 * index)), epoch: Int32(index / 10))
    }
    try log.settle()
    try log.truncate(to: 31, nowMs: workspace.now)
    #expect(log.offsets == LogOffsets(logStartOffset: 0, highWatermark: 30, lastStableOffset: 30, logEndOffset: 30))
    #expect(log.latestLeaderEpoch == 1)
    #expect(try log.values().map(\.offset) == Array(0..<30))
    #expect(throws: LogError.outOfOrderSequence(producerId: 1, expected: 30, found: 60)) {
      try log.append(batch(["gap"], producerId: 1, epoch: 0, sequence: 60))
    }
    #expect(try log.append(batch(["again"], producerId: 1, epoch: 0, sequence: 30)).baseOffset == 30)
    try log.settle()
    #expect(try log.values(from: 30).map(\.value) == ["again"])
    try log.truncate(to: 0, nowMs: workspace.now)
    #expect(log.offsets.logEndOffset == 0)
    #expect(try log.append(batch(["first"])).baseOffset == 0)
    store.close(nowMs: workspace.now)
    let findings = try LogInspector(directory: "\(workspace.path)/orders-0").verify().findings
    #expect(findings == [])
  }

  @Test func `thousands of partitions are opened without looking at any`() throws {
    let faulty = FaultyFileSystem()
    workspace.fileSystem = faulty
    workspace.hasThreads = false
    var store = try workspace.open()
    let ids = (0..<2000).map { PartitionID(topic: "many", partition: $0) }
    _ = try store.createPartitions(ids.map { ($0, workspace.topicId) }, config: LogConfig())
    store.close(nowMs: workspace.now)
    let (opens, lists) = (faulty.count(.open), faulty.count(.list))
    store = try workspace.open()
    let logs = try ids.map { try store.partition($0, topicId: workspace.topicId, config: LogConfig()) }
    #expect(store.existingPartitions().count == 2000)
    #expect(faulty.count(.list) == lists + 1)
    #expect(faulty.count(.open) - opens < 20)
    #expect(logs.allSatisfy { !$0.isOpen })
    #expect(try logs[1999].append(batch(["a"])).baseOffset == 0)
    store.close(nowMs: workspace.now)
  }

  @Test func `the time a record was written finds it`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(segmentBytes: 3000, indexIntervalBytes: 200))
    #expect(try log.offset(forTimestamp: 0) == nil)
    #expect(try log.maxTimestamp() == nil)
    // Timestamps that go back and forth; compression, so that records have to be unpacked.
    var timestamps: [Int64] = []
    var random = SeededGenerator(seed: 12)
    for index in 0..<60 {
      let start = Int64(1000 + index * 10) + Int64.random(in: -50...50, using: &random)
      try log.append(batch(["a", "b", "c"], timestamp: start, step: 3, compression: index % 2 == 0 ? .lz4 : .none))
      timestamps += [start, start + 3, start + 6]
    }
    try log.settle()
    for target in stride(from: Int64(900), to: 1700, by: 1) {
      let found = try log.offset(forTimestamp: target)
      let expected = timestamps.firstIndex { $0 >= target }
      #expect(found?.offset == expected.map(Int64.init), "\(target)")
      #expect(found?.timestamp == expected.map { timestamps[$0] })
    }
    let largest = timestamps.max()!
    #expect(try log.maxTimestamp()?.timestamp == largest)
    #expect(try log.maxTimestamp()?.offset == Int64(timestamps.firstIndex(of: largest)!))
    store.close(nowMs: workspace.now)
  }
}
