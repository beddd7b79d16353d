// One broker's life on a simulated disk: a workload, the disk after each of its system calls, and the model of what the
// partitions hold then.

import MillraceRecords

@testable import MillraceLog

final class Simulation: @unchecked Sendable {
  /// What makes a broken build: the tests of the tests.
  enum Defect { case none, noFileFlush, noDirectoryFlush, acknowledgesBeforeFlush }

  enum Kind { case plain, idempotent, transactional, commit, abort }

  enum Step {
    case append(Int, Kind)
    case duplicate(Int)
    case commit, checkpoint
    case roll(Int)
    case deleteRecords(Int)
    case create(Int)
    case createMany([Int])
    case delete(Int)
    case maintain, retain, restart
  }

  /// The disk after a system call, and what was promised by then.
  struct Moment {
    var disk: SimulatedDisk
    var partitions: [PartitionID: LogModel]
  }

  static let directory = "/data"
  let defect: Defect
  let isBuffered: Bool
  var fileSystem: SimulatedFileSystem
  var store: LogStore?
  var partitions: [PartitionID: LogModel] = [:]
  var random: SeededGenerator
  var history: [Moment] = []
  var leaderEpoch: Int32 = 0
  var nowMs: Int64 = 1_700_000_000_000
  /// What should not be.
  var violations: [String] = []

  init(seed: UInt64, defect: Defect = .none, isBuffered: Bool = false, disk: SimulatedDisk = SimulatedDisk()) {
    random = SeededGenerator(seed: seed)
    self.defect = defect
    self.isBuffered = isBuffered
    fileSystem = Self.fileSystem(disk, defect)
  }

  private static func fileSystem(_ disk: SimulatedDisk, _ defect: Defect) -> SimulatedFileSystem {
    switch defect {
    case .noFileFlush: SimulatedFileSystem(disk, broken: .fileFlush)
    case .noDirectoryFlush: SimulatedFileSystem(disk, broken: .directoryFlush)
    default: SimulatedFileSystem(disk)
    }
  }

  func record() {
    fileSystem.observe { [unowned self] disk in history.append(Moment(disk: disk, partitions: partitions)) }
  }

  func violation(_ text: String) { violations.append(text) }

  // MARK: The store

  func open() throws {
    store = try LogStore.open(
      StoreOptions(
        directories: [Self.directory], fileSystem: fileSystem, clusterId: "simulated", checkpointIntervalMs: 1 << 40,
        checkpointBytes: 1 << 40, openFileLimit: 64, hasThreads: false,
        onError: { [unowned self] error in violation("an error in the background: \(error)") }), nowMs: nowMs)
  }

  func log(_ id: PartitionID) throws -> PartitionLog {
    let model = partitions[id]!
    return try store!.partition(id, topicId: model.topicId, config: model.config)
  }

  /// Ends the process, not the disk.
  func end() {
    fileSystem.observe(nil)
    store?.abandon()
    store = nil
  }

  // MARK: Steps

  func id(_ number: Int) -> PartitionID { PartitionID(topic: "orders", partition: Int32(number)) }
  private func isServed(_ number: Int) -> Bool { partitions[id(number)]?.life == .created }

  func run(_ steps: [Step]) throws {
    for step in steps { try run(step) }
  }

  func run(_ step: Step) throws {
    switch step {
    case .append(let number, let kind): if isServed(number) { try append(id(number), kind) }
    case .duplicate(let number): if isServed(number) { try resend(id(number)) }
    case .commit: store!.commit()
    case .checkpoint:
      nowMs += 1000
      store!.checkpoint(nowMs: nowMs)
    case .roll(let number): if isServed(number) { try log(id(number)).roll(nowMs: nowMs) }
    case .deleteRecords(let number): if isServed(number) { try deleteRecords(id(number)) }
    case .create(let number): try create([number])
    case .createMany(let numbers): try create(numbers)
    case .delete(let number): if isServed(number) { try delete(id(number)) }
    case .maintain:
      nowMs += 500
      store!.maintain(nowMs: nowMs)
    case .retain: retain()
    case .restart: try restart()
    }
  }

  private func create(_ numbers: [Int]) throws {
    let new = numbers.map(id).filter { partitions[$0] == nil || partitions[$0]?.life == .deleted }
    guard !new.isEmpty else { return }
    let config = LogConfig(
      segmentBytes: 3000, indexIntervalBytes: 300,
      durability: isBuffered || defect == .acknowledgesBeforeFlush ? .buffered : .commit,
      retentionMs: -1, retentionBytes: numbers.contains(3) ? 8000 : -1, fileDeleteDelayMs: 700)
    let named = new.map { (id: $0, topicId: TopicID.random(using: &random)) }
    for (id, topicId) in named { partitions[id] = LogModel(topicId: topicId, config: config) }
    _ = try store!.createPartitions(named, config: config)
    for id in new { partitions[id]?.life = .created }
  }

  private func delete(_ id: PartitionID) throws {
    partitions[id]?.life = .deleting
    try store!.deletePartition(id, nowMs: nowMs)
    partitions[id]?.life = .deleted
  }

  private func append(_ id: PartitionID, _ kind: Kind) throws {
    let model = partitions[id]!
    var new = LogModel.Batch(baseOffset: model.end, values: [], leaderEpoch: leaderEpoch)
    switch kind {
    case .commit, .abort:
      guard let producer = model.openTransactions.keys.sorted().randomElement(using: &random) else { return }
      new.producerId = producer
      new.isTransactional = true
      new.commits = kind == .commit
      new.bytes = EndTransactionMarker(isCommit: kind == .commit, coordinatorEpoch: 0)
        .batch(producerId: producer, producerEpoch: 0, timestamp: LogModel.timestamp(new.baseOffset))
    default:
      new.isTransactional = kind == .transactional
      if kind != .plain {
        new.producerId = Int64.random(in: 1...3, using: &random) + (new.isTransactional ? 100 : 0)
        new.sequence = model.nextSequence(new.producerId)
      }
      let length = Int.random(in: 0..<10, using: &random) == 0 ? 2500 : Int.random(in: 1...300, using: &random)
      for index in 0..<Int.random(in: 1...3, using: &random) {
        new.values.append(
          "\(id.partition)/\(new.baseOffset)+\(index) " + String(repeating: "x", count: length / (index + 1)))
      }
      if new.values.joined().utf8.count > 2700 { new.values = [new.values[0]] }
      new.bytes = batch(
        new.values, timestamp: LogModel.timestamp(new.baseOffset), step: 10, producerId: new.producerId,
        epoch: new.producerId < 0 ? -1 : 0, sequence: new.sequence, isTransactional: new.isTransactional)
    }
    partitions[id]?.batches.append(new)
    let log = try log(id)
    let result = try log.append(
      new.bytes, epoch: leaderEpoch, now: nowMs, origin: new.isControl ? .coordinator : .client)
    if result.baseOffset != new.baseOffset || result.isDuplicate {
      violation("\(id): the batch for offset \(new.baseOffset) was answered \(result)")
    }
    let end = new.lastOffset + 1
    log.whenDurable(through: end) { [weak self] result in
      guard let self, case .success = result else { return }
      partitions[id]!.acknowledged = max(partitions[id]!.acknowledged, end)
    }
  }

  /// A producer that had no answer sends one of its last five batches again.
  private func resend(_ id: PartitionID) throws {
    let sent = partitions[id]!.batches.filter { $0.producerId >= 0 && !$0.isControl }
    guard let producer = sent.randomElement(using: &random)?.producerId else { return }
    let batch = sent.filter { $0.producerId == producer }.suffix(5).randomElement(using: &random)!
    let result = try log(id).append(batch.bytes, epoch: leaderEpoch, now: nowMs)
    if !result.isDuplicate || result.baseOffset != batch.baseOffset || result.lastOffset != batch.lastOffset {
      violation("\(id): the batch at offset \(batch.baseOffset) was sent again and answered \(result)")
    }
  }

  private func deleteRecords(_ id: PartitionID) throws {
    let log = try log(id)
    let most = min(log.offsets.highWatermark, partitions[id]!.lastStableOffset)
    guard most > log.offsets.logStartOffset else { return }
    let start = Int64.random(in: log.offsets.logStartOffset...most, using: &random)
    partitions[id]!.logStart = max(partitions[id]!.logStart, start)
    _ = try log.deleteRecords(before: start, nowMs: nowMs)
  }

  private func retain() {
    for id in partitions.keys where partitions[id]!.config.retentionBytes >= 0 {
      partitions[id]!.logStart = max(partitions[id]!.logStart, partitions[id]!.lastStableOffset)
    }
    _ = store!.enforceRetention(nowMs: nowMs)
  }

  private func restart() throws {
    store!.close(nowMs: nowMs)
    leaderEpoch += 1
    nowMs += 1000
    try open()
    if !store!.wasCleanlyStopped { violation("a clean stop was taken for a crash") }
  }

  /// Steps that a seed chooses.
  func randomSteps(_ count: Int) -> [Step] {
    (0..<count).map { _ in
      let number = Int.random(in: 0..<4, using: &random)
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<10: return .append(number, .plain)
      case 10..<35: return .append(number, .idempotent)
      case 35..<48: return .append(number, .transactional)
      case 48..<53: return .append(number, .commit)
      case 53..<58: return .append(number, .abort)
      case 58..<62: return .duplicate(number)
      case 62..<76: return .commit
      case 76..<81: return .checkpoint
      case 81..<84: return .roll(number)
      case 84..<87: return .deleteRecords(number)
      case 87: return .retain
      case 88..<91: return .create(number)
      case 91..<92: return .createMany([number, number + 1, number + 2])
      case 92..<94: return .delete(number)
      case 94..<98: return .maintain
      default: return .restart
      }
    }
  }
}
