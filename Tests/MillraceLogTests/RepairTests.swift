import Foundation
import MillraceRecords
import Testing

@testable import MillraceLog

/// `millrace log repair`: damage is explained as the broker treats it, and what is cut is gone without a trace in offsets.
@Suite struct RepairTests {
  private static let config = LogConfig(segmentBytes: 4000, indexIntervalBytes: 400)
  private static let batches = 40
  private var end: Int64 { Int64(2 * Self.batches) }

  private func value(_ index: Int) -> String { "\(1000 + index)" + String(repeating: "v", count: 90) }

  /// A cleanly stopped store whose log has batches of two records, in several segments.
  private func stopped(idempotent: Bool = false) throws -> Workspace {
    let workspace = Workspace()
    workspace.hasThreads = false
    let store = try workspace.open()
    let log = try workspace.log(store, Self.config)
    for index in 0..<Self.batches {
      try log.append(
        batch(
          [value(2 * index), value(2 * index + 1)], timestamp: 1_000_000 + Int64(index),
          producerId: idempotent ? 7 : -1, epoch: idempotent ? 0 : -1, sequence: idempotent ? Int32(2 * index) : -1),
        epoch: 3)
    }
    store.commit()
    store.close(nowMs: workspace.now)
    return workspace
  }

  private func logs(_ workspace: Workspace) -> [String] { workspace.files.filter { $0.hasSuffix(".log") } }
  private func batchSize(_ workspace: Workspace) throws -> Int {
    try workspace.bytes(try #require(logs(workspace).first)).withUnsafeBytes {
      try BatchHeader(parsing: $0).sizeInBytes
    }
  }

  /// Runs `body` while the directory is held.
  private func repairing<Result>(
    _ workspace: Workspace, fileSystem: any FileSystem = PosixFileSystem(),
    _ body: (LogRepair, StoppedDataDirectory) throws -> Result
  ) throws -> Result {
    let held = try StoppedDataDirectory(workspace.path, fileSystem: fileSystem)
    defer { withExtendedLifetime(held) {} }
    return try body(held.repair(PartitionID(topic: "orders", partition: 0)), held)
  }

  private func plan(_ workspace: Workspace) throws -> LogRepair.Plan {
    try repairing(workspace) { repair, _ in try repair.plan() }
  }

  @discardableResult
  private func cut(_ workspace: Workspace, keepingBytes: Bool = false) throws -> LogRepair.Plan {
    try repairing(workspace) { repair, _ in
      let plan = try repair.plan()
      for segment in plan.segments { _ = try repair.cut(segment, keepingBytes: keepingBytes) }
      return plan
    }
  }

  private func verified(_ workspace: Workspace) throws -> LogVerification {
    try LogInspector(directory: "\(workspace.path)/orders-0").verify()
  }

  /// The log is sound, has all but `lost`, ends where it did and goes on there.
  private func expectServed(
    _ workspace: Workspace, lost: Range<Int64>, end: Int64? = nil, _ what: Comment? = nil
  ) throws {
    let end = end ?? self.end
    #expect(try verified(workspace).findings == [], what)
    let store = try workspace.open()
    let log = try workspace.log(store, Self.config)
    #expect(log.offsets.logEndOffset == end, what)
    for maxBytes in [1, 1 << 20] {
      let values = try log.values(maxBytes: maxBytes)
      #expect(values.map(\.offset) == (0..<end).filter { !lost.contains($0) }, what)
      #expect(values.allSatisfy { $0.value == value(Int($0.offset)) }, what)
    }
    for offset in 0..<end {
      _ = try log.read(from: offset, maxBytes: 1, minOneBatch: true, isolation: .readUncommitted)
    }
    #expect(store.damageCount == 0 && workspace.errors.all.isEmpty, what)
    #expect(try log.append(batch(["next"]), epoch: 3).baseOffset == end, what)
    workspace.crash(store)
  }

  @Test func `a sound log has nothing to repair`() throws {
    let workspace = try stopped()
    let before = workspace.files
    let plan = try cut(workspace)
    #expect(plan.segments.isEmpty && plan.hints.isEmpty && plan.unreadable.isEmpty && plan.absent.isEmpty)
    #expect(workspace.files == before)
    try expectServed(workspace, lost: 0..<0)
  }

  @Test func `a damaged batch is explained, cut and kept`() throws {
    let workspace = try stopped()
    let name = logs(workspace)[0]
    let size = try batchSize(workspace)
    workspace.edit(name) { $0[5 * size + 70] ^= 4 }
    let damaged = workspace.bytes(name)
    let plan = try plan(workspace)
    let segment = try #require(plan.segments.first)
    #expect(plan.segments.count == 1 && segment.path == workspace.file(name))
    #expect(
      segment.losses == [
        LogRepair.Loss(
          position: Int64(5 * size), byteCount: Int64(size), offsets: 10..<12, effect: .refused,
          batchesBehind: Self.batches - 6, batchesBefore: 5, leaderEpoch: 3, timestamp: 1_000_004)
      ])
    #expect(workspace.bytes(name) == damaged, "explaining changes nothing")
    let kept = try repairing(workspace) { repair, _ in try repair.cut(segment, keepingBytes: true) }
    #expect(kept == [workspace.file("\(name).cut-\(5 * size)")])
    #expect(workspace.bytes("\(name).cut-\(5 * size)") == Array(damaged[(5 * size)..<(6 * size)]))
    #expect(workspace.bytes(name).count == damaged.count - size + BatchHeader.byteCount)
    try expectServed(workspace, lost: 10..<12)
  }

  @Test func `a second cut at the same place keeps its bytes beside the first's`() throws {
    let workspace = try stopped()
    let name = logs(workspace)[0]
    for round in 0..<2 as Range<UInt8> {
      workspace.edit(name) { $0[70] ^= 4 + round }
      try cut(workspace, keepingBytes: true)
      if round == 0 { workspace.edit(name) { $0[20] ^= 1 } }
    }
    #expect(workspace.exists("\(name).cut-0") && workspace.exists("\(name).cut-0-2"))
    #expect(try verified(workspace).findings == [])
  }

  @Test func `damage at the end of a segment that is not the last keeps the next one's first offset`() throws {
    let workspace = try stopped()
    let name = logs(workspace)[0]
    let next = try #require(FileNames.parse(logs(workspace)[1])).offset
    let size = try batchSize(workspace)
    let count = workspace.bytes(name).count
    workspace.edit(name) { for index in ($0.count - 2 * size)..<$0.count { $0[index] = 0 } }
    let plan = try cut(workspace)
    #expect(plan.losses.map(\.offsets) == [(next - 4)..<next])
    #expect(plan.losses.map(\.byteCount) == [Int64(2 * size)] && plan.losses.map(\.effect) == [.refused])
    #expect(workspace.bytes(name).count == count - 2 * size + BatchHeader.byteCount)
    try expectServed(workspace, lost: (next - 4)..<next)
  }

  @Test func `damage at the end of the log keeps the offset that comes next`() throws {
    let workspace = try stopped()
    let name = try #require(logs(workspace).last)
    let size = try batchSize(workspace)
    workspace.edit(name) { $0.removeLast(size + 7) }
    let plan = try cut(workspace)
    #expect(plan.losses.map(\.offsets) == [(end - 4)..<end] && plan.losses.map(\.effect) == [.skipped(to: end)])
    try expectServed(workspace, lost: (end - 4)..<end)
  }

  @Test func `a segment of which nothing is left becomes one batch without records`() throws {
    for index in [1, logs(try stopped()).count - 1] {
      let workspace = try stopped()
      let all = logs(workspace)
      let first = try #require(FileNames.parse(all[index])).offset
      let next = try index + 1 < all.count ? #require(FileNames.parse(all[index + 1])).offset : end
      workspace.edit(all[index]) { $0 = [UInt8](repeating: 0xA5, count: $0.count) }
      try cut(workspace)
      #expect(workspace.bytes(all[index]).count == BatchHeader.byteCount)
      try expectServed(workspace, lost: first..<next, "segment \(index)")
    }
  }

  @Test func `bytes between batches that follow each other cost no offset`() throws {
    let workspace = try stopped()
    let size = try batchSize(workspace)
    workspace.edit(logs(workspace)[0]) { $0.insert(contentsOf: [UInt8](repeating: 1, count: 100), at: 3 * size) }
    let plan = try cut(workspace)
    #expect(plan.losses.map(\.offsets) == [6..<6] && plan.losses.map(\.byteCount) == [100])
    try expectServed(workspace, lost: 0..<0)
  }

  @Test func `a cut before the start keeps what a start without checkpoints would take for a torn write`() throws {
    let workspace = try stopped()
    let size = try batchSize(workspace)
    workspace.edit(logs(workspace)[0]) { $0[2 * size + 70] ^= 1 }
    for name in [".kafka_cleanshutdown", "recovery-point-offset-checkpoint"] { workspace.removeRoot(name) }
    let plan = try cut(workspace)
    #expect(plan.losses.map(\.effect) == [.cutsLog] && plan.losses.map(\.batchesBehind) == [Self.batches - 3])
    try expectServed(workspace, lost: 4..<6)
  }

  @Test func `a torn write at the end is cut as the broker would`() throws {
    let workspace = try stopped()
    let name = try #require(logs(workspace).last)
    let sound = workspace.bytes(name)
    workspace.edit(name) { $0 += [0, 0, 0, 1, 2, 3] }
    let plan = try cut(workspace)
    #expect(plan.losses.map(\.effect) == [.cutsLog] && plan.losses.map(\.offsets) == [end..<end])
    #expect(workspace.bytes(name) == sound)
    try expectServed(workspace, lost: 0..<0)
  }

  @Test func `bad indexes, snapshots and checkpoints are named and left to the broker`() throws {
    let workspace = try stopped()
    let index = try #require(workspace.files.first { $0.hasSuffix(".index") })
    let snapshot = try #require(workspace.files.first { $0.hasSuffix(".snapshot") })
    workspace.edit(index) { for place in $0.indices { $0[place] = 0xFF } }
    workspace.edit(snapshot) { $0 = [1, 2, 3] }
    workspace.writeRoot([9], "replication-offset-checkpoint")
    let plan = try plan(workspace)
    #expect(plan.segments.isEmpty)
    #expect(Set(plan.hints.map(\.path)) == [workspace.file(index), workspace.file(snapshot)])
    let checkpoints = try repairing(workspace) { _, held in try held.unusableCheckpoints() }
    #expect(checkpoints == [workspace.rootFile("replication-offset-checkpoint")])
  }

  @Test func `a batch that was sent unreadable is named and stays`() throws {
    let workspace = Workspace()
    workspace.hasThreads = false
    let store = try workspace.open()
    let log = try workspace.log(store, Self.config)
    var bytes = batch([value(0)])
    bytes[61] = 0x7F
    let checksum = try bytes.withUnsafeBytes { try BatchHeader.computeChecksum(of: $0) }
    for shift in 0..<4 { bytes[17 + shift] = UInt8(truncatingIfNeeded: checksum >> UInt32(24 - 8 * shift)) }
    try log.append(bytes)
    store.commit()
    store.close(nowMs: workspace.now)
    let plan = try cut(workspace)
    #expect(plan.segments.isEmpty && plan.unreadable.count == 1)
  }

  @Test func `offsets that no segment has are told`() throws {
    let workspace = try stopped()
    let all = logs(workspace)
    let first = try #require(FileNames.parse(all[1])).offset
    let next = try #require(FileNames.parse(all[2])).offset
    workspace.remove(all[1])
    #expect(try plan(workspace).absent == [first..<next])
  }

  @Test func `a compaction that a crash interrupted is seen`() throws {
    let workspace = try stopped()
    workspace.write([], "\(logs(workspace)[0]).swap")
    #expect(try plan(workspace).hasUnfinishedCompaction)
  }

  @Test func `a directory that a broker has is not touched, and none starts meanwhile`() throws {
    let workspace = try stopped()
    let store = try workspace.open()
    #expect(throws: LogError.directoryInUse(workspace.path)) { try StoppedDataDirectory(workspace.path) }
    store.close(nowMs: workspace.now)
    _ = try repairing(workspace) { _, _ in
      #expect(throws: LogError.directoryInUse(workspace.path)) { try workspace.open() }
    }
  }

  @Test func `a cut that stops at any call leaves the damage or has taken it out`() throws {
    let fileSystem = StoppingFileSystem()
    var calls = 1
    var stop = 0
    while stop <= calls {
      let workspace = try stopped()
      let names = logs(workspace)
      let size = try batchSize(workspace)
      for name in names[..<2] { workspace.edit(name) { $0[2 * size + 70] ^= 1 } }
      let second = try #require(FileNames.parse(names[1])).offset
      let lost: [Int64] = [4, 5, second + 4, second + 5]
      let failed = try repairing(workspace, fileSystem: fileSystem) { repair, _ in
        let plan = try repair.plan()
        fileSystem.stop(after: stop)
        do {
          for segment in plan.segments { _ = try repair.cut(segment, keepingBytes: true) }
        } catch {
          return true
        }
        return false
      }
      calls = max(calls, fileSystem.callCount)
      fileSystem.stop(after: nil)
      #expect(failed == (stop < calls), "stop \(stop)")
      // What stopped it may be a crash: a start finds either, and serves what is not lost.
      let store = try workspace.open()
      let log = try workspace.log(store, Self.config)
      #expect(log.offsets.logEndOffset == end, "stop \(stop)")
      for offset in stride(from: 0, to: end, by: 2) where !lost.contains(offset) {
        let plan = try log.read(from: offset, maxBytes: 1, minOneBatch: true, isolation: .readUncommitted)
        #expect(plan.nextOffset == offset + 2, "stop \(stop)")
      }
      store.close(nowMs: workspace.now)
      // And once more is enough.
      try cut(workspace)
      #expect(try verified(workspace).findings == [], "stop \(stop)")
      let again = try workspace.open()
      let values = try workspace.log(again, Self.config).values()
      #expect(values.map(\.offset) == (0..<end).filter { !lost.contains($0) }, "stop \(stop)")
      again.close(nowMs: workspace.now)
      stop += 1
    }
    #expect(calls > 20)
  }

  /// Writes a first offset over that of a batch, which its checksum does not cover.
  private func setOffset(_ offset: Int64, ofBatch number: Int, _ size: Int, _ bytes: inout [UInt8]) {
    for shift in 0..<8 { bytes[number * size + shift] = UInt8(truncatingIfNeeded: offset >> Int64(56 - 8 * shift)) }
  }

  private static let altered: [(batch: Int, by: Int64)] =
    [0, 1, 5, 6].flatMap { batch in [-200, -4, -3, -2, -1, 1, 2, 3, 4, 100, 1 << 40].map { (batch, $0) } }

  @Test(arguments: altered)
  func `a batch whose first offset was altered is cut, whatever became of its neighbours`(
    _ batch: Int, by: Int64
  ) throws {
    for hit in [[], [batch - 1], [batch + 1], [batch - 1, batch + 1]] where !hit.contains(-1) {
      for hasIndexes in [true, false] {
        let workspace = try stopped()
        let name = logs(workspace)[0]
        let size = try batchSize(workspace)
        workspace.edit(name) { bytes in
          setOffset(Int64(2 * batch) + by, ofBatch: batch, size, &bytes)
          for other in hit { bytes[other * size + 70] ^= 1 }
        }
        if !hasIndexes { for kind in [".index", ".timeindex"] { workspace.remove(name.dropLast(4) + kind) } }
        let what: Comment = "with \(hit) damaged, indexes: \(hasIndexes)"
        // Verifying ends the segment at a negative offset.
        let told = try verified(workspace).findings.count { $0.problem.isDamage }
        #expect(told > (Int64(2 * batch) + by < 0 ? 0 : hit.count), what)
        let all = (hit + [batch]).sorted()
        try cut(workspace)
        try expectServed(workspace, lost: Int64(2 * all[0])..<Int64(2 * all[all.count - 1] + 2), what)
      }
    }
  }

  @Test func `the report says which whole batches are not believed`() throws {
    let workspace = try stopped()
    let size = try batchSize(workspace)
    workspace.edit(logs(workspace)[0]) { setOffset(13, ofBatch: 5, size, &$0) }
    let loss = try #require(try plan(workspace).losses.first)
    #expect(loss.offsets == 10..<12 && loss.altered == [13..<15])
  }

  @Test func `a batch between two that are damaged is kept`() throws {
    let workspace = try stopped()
    let size = try batchSize(workspace)
    let name = logs(workspace)[0]
    workspace.edit(name) { bytes in
      for other in [4, 6] { for index in 0..<size { bytes[other * size + index] = 0 } }
    }
    for kind in [".index", ".timeindex"] { workspace.remove(name.dropLast(4) + kind) }
    #expect(try cut(workspace).losses.map(\.offsets) == [8..<10, 12..<14])
  }

  @Test func `sequences tell that a batch behind a gap is where it was`() throws {
    // The third batch is gone whole, or from the header of the second one on.
    for (from, hasIndexes) in [(2 * 267, true), (2 * 267, false), (267 + BatchHeader.byteCount, false)] {
      let workspace = try stopped(idempotent: true)
      let size = try batchSize(workspace)
      #expect(size == 267)
      let name = logs(workspace)[0]
      // The fourth batch is the last that is whole.
      workspace.edit(name) { $0.removeSubrange((4 * size + size / 2)...) }
      workspace.edit(name) { $0.removeSubrange(from..<(from + size)) }
      if !hasIndexes { for kind in [".index", ".timeindex"] { workspace.remove(name.dropLast(4) + kind) } }
      let losses = try cut(workspace).losses.map(\.offsets)
      #expect(losses.allSatisfy { !$0.overlaps(6..<8) }, "\(losses)")
    }
  }

  @Test func `batches between the gaps of a compacted log are kept`() throws {
    for knowsCleaner in [true, false] {
      let workspace = try stopped()
      let size = try batchSize(workspace)
      // Every other batch of the first segment is gone, and one of the others is damaged.
      let name = logs(workspace)[0]
      let count = workspace.bytes(name).count / size
      let next = try #require(FileNames.parse(logs(workspace)[1])).offset
      workspace.edit(name) { bytes in
        bytes = (0..<count).filter { $0 % 2 == 0 }.flatMap { Array(bytes[($0 * size)..<(($0 + 1) * size)]) }
        bytes[3 * size + 70] ^= 1
      }
      for kind in [".index", ".timeindex"] { workspace.remove(name.dropLast(4) + kind) }
      let cleaned = OffsetCheckpoint.encode([PartitionID(topic: "orders", partition: 0): next])
      if knowsCleaner { workspace.writeRoot(cleaned, OffsetCheckpoint.cleaner.rawValue) }
      let plan = try cut(workspace)
      // Nobody can tell an altered offset from a gap next to damage where compaction is not known of.
      let lost = plan.losses.filter { $0.byteCount > 0 }.map(\.offsets)
      #expect(lost == (knowsCleaner ? [10..<16] : [6..<20]), "\(plan.losses)")
    }
  }

  private static let isFull = ProcessInfo.processInfo.environment["MILLRACE_FULL"] != nil

  @Test func `whatever the damage, what is left is served`() throws {
    let given = ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap { UInt64($0) }
    let seed = given ?? UInt64.random(in: 0...UInt64.max)
    print("RepairTests seed \(seed)")
    var random = SeededGenerator(seed: seed)
    for round in 0..<(Self.isFull ? 5000 : 60) {
      try injureAndCut(&random, idempotent: round % 2 == 1, "round \(round), seed \(seed)")
    }
  }

  /// Offsets of the batches of a sound log by their bytes, but for the leader epoch, which may be any.
  private func batches(_ bytes: [UInt8]) throws -> [(offsets: Range<Int64>, bytes: Data)] {
    var found: [(offsets: Range<Int64>, bytes: Data)] = []
    var position = 0
    while position < bytes.count {
      let header = try bytes[position...].withUnsafeBytes { try BatchHeader(parsing: $0) }
      let end = position + header.sizeInBytes
      found.append((header.baseOffset..<header.nextOffset, Data(bytes[position..<end])))
      position = end
    }
    return found
  }

  private func injureAndCut(_ random: inout SeededGenerator, idempotent: Bool, _ round: String) throws {
    var injuries: [String] = []
    let workspace = try stopped(idempotent: idempotent)
    let size = try batchSize(workspace)
    let sound = try logs(workspace).map { (name: $0, batches: try batches(workspace.bytes($0))) }
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let name = try #require(logs(workspace).randomElement(using: &random))
      workspace.edit(name) { bytes in
        guard !bytes.isEmpty else { return }
        let start = Int.random(in: bytes.indices, using: &random)
        var end = min(bytes.count, start + Int.random(in: 1...600, using: &random))
        let kind = Int.random(in: 0..<4, using: &random)
        // The first bytes of a batch before the body of another one, of the same size: only sequences tell.
        if kind == 2, !idempotent, (end - start) % size == 0 { end -= 1 }
        injuries.append("\(["flip", "zeros", "removal", "truncation"][kind]) of \(name) at \(start) to \(end)")
        switch kind {
        case 0: bytes[start] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: for index in start..<end { bytes[index] = 0 }
        case 2: bytes.removeSubrange(start..<end)
        default: bytes.removeSubrange(start...)
        }
      }
    }
    let what: Comment = "\(round), \(injuries)"
    var intact: Set<Int64> = []
    for (name, batches) in sound {
      let bytes = Data(workspace.bytes(name))
      // A zero at the end of one can be taken for the first byte of the next.
      var from = 0
      for batch in batches {
        guard let found = bytes.range(of: batch.bytes, in: from..<bytes.count) else { continue }
        from = found.upperBound
        // One that a truncation made the last looks as if it had not the offsets before the next segment's.
        if from < bytes.count || batch.offsets == batches.last?.offsets { intact.formUnion(batch.offsets) }
      }
    }
    let plan = try cut(workspace, keepingBytes: Bool.random(using: &random))
    let lost = plan.losses.map(\.offsets) + plan.absent
    // Indexes of a file that lost its end, and nothing else, are the broker's to make anew.
    #expect(try verified(workspace).findings.filter { $0.path.hasSuffix(".log") } == [], what)
    let store = try workspace.open()
    let log = try workspace.log(store, Self.config)
    #expect(log.offsets.logEndOffset == end, what)
    let values = try log.values()
    #expect(values.map(\.offset) == (0..<end).filter { offset in !lost.contains { $0.contains(offset) } }, what)
    #expect(values.allSatisfy { $0.value == value(Int($0.offset)) }, what)
    #expect(intact.subtracting(values.map(\.offset)) == [], what)
    #expect(workspace.errors.all.isEmpty && (store.damageCount == 0 || !plan.absent.isEmpty), what)
    store.close(nowMs: workspace.now)
  }
}
