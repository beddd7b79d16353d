import MillraceRecords
import Testing

@testable import MillraceLog

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct RecoveryTests {
  private let config = LogConfig(segmentBytes: 20_000, indexIntervalBytes: 500)
  private let first = "00000000000000000000"

  /// A store that crashed with `count` batches of one record, about 170 bytes each, durable and checkpointed up to
  /// `checkpointed`.
  private func crashed(count: Int = 300, checkpointed: Int = 100) throws -> Workspace {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    for index in 0..<count {
      if index == checkpointed { store.checkpoint() }
      try log.append(batch(["\(index)" + String(repeating: "x", count: 100)], timestamp: 1_000_000 + Int64(index)))
    }
    try log.settle()
    workspace.crash(store)
    return workspace
  }

  private func expectWhole(
    _ workspace: Workspace, _ count: Int, indexesToo: Bool = true, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    #expect(try log.values().map(\.offset) == Array(0..<Int64(count)), sourceLocation: sourceLocation)
    store.close(nowMs: workspace.now)
    let verification = try LogInspector(directory: "\(workspace.path)/orders-0").verify()
    #expect(verification.findings.filter { indexesToo || $0.problem.isDamage } == [], sourceLocation: sourceLocation)
  }

  @Test func `after a crash only what is past the recovery point is read`() throws {
    let workspace = try crashed()
    try expectWhole(workspace, 300)
    let report = try #require(workspace.reports.all.first)
    #expect(report.findings == [])
    #expect(report.checkedBytes > 0)
    let all = workspace.files.filter { $0.hasSuffix(".log") }.reduce(0) { $0 + workspace.bytes($1).count }
    #expect(report.checkedBytes < Int64(all) * 3 / 4)
  }

  @Test func `a log whose recovery point is its end is not read`() throws {
    let workspace = try crashed(count: 100, checkpointed: 99)
    var store = try workspace.open()
    let log = try workspace.log(store, config)
    #expect(log.offsets.logEndOffset == 100)
    store.checkpoint()
    workspace.crash(store)
    store = try workspace.open()
    #expect(!store.wasCleanlyStopped)
    #expect(try workspace.log(store, config).offsets.highWatermark == 100)
    #expect(workspace.reports.all.count == 1)
    store.close(nowMs: workspace.now)
  }

  @Test(arguments: [1, 16, 60, 61, 100, 170])
  func `a torn batch at the end is cut off`(kept: Int) throws {
    let workspace = try crashed()
    let last = workspace.files.last { $0.hasSuffix(".log") }!
    let torn = batch(["torn" + String(repeating: "y", count: 200)])
    workspace.edit(last) { $0 += torn.prefix(kept) }
    try expectWhole(workspace, 300)
    let findings = workspace.reports.all[0].findings
    #expect(findings.count == 1)
    guard case .cut(_, _, Int64(kept)) = findings[0] else {
      Issue.record("\(findings)")
      return
    }
  }

  @Test func `zeros, garbage and a batch with a wrong checksum at the end are cut off`() throws {
    var random = SeededGenerator(seed: 4)
    for tail in [
      [UInt8](repeating: 0, count: 5000), (0..<5000).map { _ in UInt8.random(in: 0...255, using: &random) },
      { () -> [UInt8] in
        var bytes = batch(["good"])
        bytes.replaceSubrange(0..<8, with: [0, 0, 0, 0, 0, 0, 1, 44])  // offset 300, where it would belong
        bytes[bytes.count - 1] ^= 1
        return bytes
      }(),
    ] {
      let workspace = try crashed()
      let last = workspace.files.last { $0.hasSuffix(".log") }!
      workspace.edit(last) { $0 += tail }
      try expectWhole(workspace, 300)
    }
  }

  @Test func `damage past the recovery point cuts everything behind it, whole segments too`() throws {
    let workspace = try crashed(count: 600, checkpointed: 100)
    let logs = workspace.files.filter { $0.hasSuffix(".log") }
    #expect(logs.count > 4)
    let base = Int64(logs[2].dropLast(4))!
    workspace.edit(logs[2]) { $0[500] ^= 0xff }
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    let end = log.offsets.logEndOffset
    #expect(end >= base && end < base + 4)
    #expect(try log.values().map(\.offset) == Array(0..<end))
    #expect(workspace.files.filter { $0.hasSuffix(".log") } == Array(logs[...2]))
    store.close(nowMs: workspace.now)
  }

  @Test func `damage before the recovery point is kept, reported, and the rest is served`() throws {
    let workspace = try crashed(count: 100, checkpointed: 90)
    let size = workspace.bytes("\(first).log").count
    workspace.edit("\(first).log") { bytes in
      // In the middle of the first fifty batches: headers that read as nothing.
      for index in (size / 4)..<(size / 4 + 400) { bytes[index] = 0xee }
    }
    // Without its index the segment has to be walked.
    workspace.remove("\(first).index")
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    #expect(log.offsets.logEndOffset == 100)
    #expect(workspace.bytes("\(first).log").count == size)
    guard case .damaged(_, let position, let byteCount) = workspace.reports.all[0].findings[0] else {
      Issue.record("\(workspace.reports.all[0])")
      return
    }
    #expect(position <= Int64(size / 4) && position + byteCount >= Int64(size / 4 + 400))
    #expect(try log.values(from: 60).map(\.offset) == Array(60..<100))
    let damaged = Int64(size / 4 + 200) * 100 / Int64(size)
    #expect(throws: (any Error).self) {
      _ = try log.read(from: damaged, maxBytes: 10, minOneBatch: true, isolation: .readUncommitted)
    }
    store.close(nowMs: workspace.now)
  }

  enum IndexFault: CaseIterable { case missing, empty, zeroed, garbage, shortened, oddSize, shifted }

  @Test(arguments: IndexFault.allCases, [true, false])
  func `an index that is wrong is made anew`(fault: IndexFault, isClean: Bool) throws {
    var random = SeededGenerator(seed: 7)
    for suffix in [".index", ".timeindex"] {
      let workspace = try crashed(count: 300, checkpointed: 250)
      if isClean {
        let store = try workspace.open()
        store.recover([try workspace.log(store, config)], threadsPerDirectory: 2)
        store.close(nowMs: workspace.now)
      }
      for name in workspace.files where name.hasSuffix(suffix) {
        switch fault {
        case .missing: workspace.remove(name)
        case .empty: workspace.write([], name)
        case .zeroed: workspace.edit(name) { $0 = [UInt8](repeating: 0, count: $0.count) }
        case .garbage: workspace.edit(name) { $0 = $0.map { _ in UInt8.random(in: 0...255, using: &random) } }
        case .shortened: workspace.edit(name) { $0.removeLast($0.count / 2 / 24 * 24) }
        case .oddSize: workspace.edit(name) { $0.append(1) }
        case .shifted: workspace.edit(name) { if $0.count > 3 { $0[3] &+= 1 } }
        }
      }
      // One wrong entry in the middle is found when it is used.
      try expectWhole(workspace, 300, indexesToo: fault != .shifted)
    }
  }

  @Test func `without any checkpoint file the log is read from the start`() throws {
    let workspace = try crashed()
    for checkpoint in OffsetCheckpoint.allCases { workspace.removeRoot(checkpoint.rawValue) }
    try expectWhole(workspace, 300)
    #expect(workspace.reports.all[0].findings == [.noRecoveryPoint])
  }

  @Test(arguments: ["", "0\n1\n", "garbage", "0\n1\norders 0 99999999\n", "0\n1\norders 0 5\n"])
  func `a checkpoint file that is wrong never changes what the log says`(content: String) throws {
    let workspace = try crashed()
    workspace.writeRoot(Array(content.utf8), OffsetCheckpoint.recoveryPoint.rawValue)
    workspace.writeRoot(Array(content.utf8), OffsetCheckpoint.highWatermark.rawValue)
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    #expect(try log.values().map(\.offset) == Array(0..<300))
    // Offsets that were recorded as flushed are not given to other records.
    let next = try log.append(batch(["new"])).baseOffset
    #expect(next == (content.contains("99999999") ? 99_999_999 : 300))
    store.close(nowMs: workspace.now)
  }

  @Test(arguments: [4, 16, 1 << 19], [false, true])
  func `a first offset that is too large is not served behind the recovery point`(step: Int64, isLast: Bool) throws {
    let workspace = try crashed()
    // In a segment that others follow, where compaction could have left a gap.
    let name = try #require(workspace.files.filter { $0.hasSuffix(".log") }.dropLast().last)
    var changed: Int64 = 0
    workspace.edit(name) { bytes in
      var positions = [0]
      while let position = positions.last, position < bytes.count {
        let size = bytes[position...].withUnsafeBytes { try! BatchHeader(parsing: $0).sizeInBytes }
        positions.append(position + size)
      }
      let position = positions[isLast ? positions.count - 2 : 5]
      changed = bytes[position...].withUnsafeBytes { try! BatchHeader(parsing: $0).baseOffset }
      let offset = changed + step
      for byte in 0..<8 { bytes[position + byte] = UInt8(truncatingIfNeeded: offset >> Int64(8 * (7 - byte))) }
    }
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    #expect(try log.values().map(\.offset) == Array(0..<changed))
    #expect(log.offsets.logEndOffset == changed)
    store.close(nowMs: workspace.now)
  }

  @Test func `a log that was stopped cleanly but changed since is looked at`() throws {
    let workspace = Workspace()
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    for index in 0..<10 { try log.append(batch(["\(index)"])) }
    store.close(nowMs: workspace.now)
    workspace.edit("\(first).log") { $0.removeLast(10) }
    store = try workspace.open()
    log = try workspace.log(store, config)
    #expect(try log.values().map(\.offset) == Array(0..<9))
    #expect(workspace.reports.all[0].findings.contains(.missing(from: 9, to: 10)))
    #expect(try log.append(batch(["new"])).baseOffset == 10)
    store.close(nowMs: workspace.now)
  }

  @Test func `leader epochs come back from their file or from the log`() throws {
    for name in ["", "leader-epoch-checkpoint"] {
      let workspace = Workspace()
      var store = try workspace.open()
      var log = try workspace.log(store, config)
      for epoch in [0, 0, 3, 5, 5] { try log.append(batch(["a", "b"]), epoch: Int32(epoch)) }
      try log.settle()
      if name.isEmpty { store.close(nowMs: workspace.now) } else { workspace.crash(store) }
      if !name.isEmpty { workspace.write(Array("0\n1\nx".utf8), name) }
      store = try workspace.open()
      log = try workspace.log(store, config)
      func end(_ epoch: Int32) -> [Int64]? {
        log.endOffset(forLeaderEpoch: epoch).map { [Int64($0.epoch), $0.endOffset] }
      }
      #expect(end(0) == [0, 4])
      #expect(end(1) == [0, 4])
      #expect(end(3) == [3, 6])
      #expect(end(5) == [5, 10])
      #expect(end(6) == nil)
      #expect(end(-1) == nil)
      #expect(log.leaderEpoch(of: 4) == 3)
      #expect(log.latestLeaderEpoch == 5)
      store.close(nowMs: workspace.now)
    }
  }

  @Test func `after a failed flush the tail is written anew before it is believed`() throws {
    let faulty = FaultyFileSystem()
    let workspace = Workspace()
    workspace.fileSystem = faulty
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    for index in 0..<10 { try log.append(batch(["\(index)"])) }
    try log.settle()
    faulty.fail(.synchronize, ".log", EIO)
    try log.append(batch(["10"]))
    #expect(throws: LogError.self) { try log.settle() }
    #expect(workspace.exists(".flush-failed"))
    workspace.crash(store)
    faulty.heal()
    let writes = faulty.count(.write)
    store = try workspace.open()
    log = try workspace.log(store, config)
    #expect(try log.values().map(\.offset) == Array(0..<11))
    #expect(faulty.count(.write) > writes)
    #expect(!workspace.exists(".flush-failed"))
    store.close(nowMs: workspace.now)
  }

  @Test func `epochs before the first that was recorded are read from the log`() throws {
    let workspace = Workspace()
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    for epoch in [2, 2, 2, 5] { try log.append(batch(["a"]), epoch: Int32(epoch)) }
    try log.settle()
    store.checkpoint()
    workspace.crash(store)
    // As after a start of the log that a crash took back.
    workspace.write(Array("0\n1\n5 3\n".utf8), "leader-epoch-checkpoint")
    store = try workspace.open()
    log = try workspace.log(store, config)
    #expect((0..<4).map { log.leaderEpoch(of: $0) } == [2, 2, 2, 5])
    store.close(nowMs: workspace.now)
  }

  @Test func `holes among segments before the start of the log take nothing from behind it`() throws {
    let workspace = Workspace()
    workspace.hasThreads = false
    let config = LogConfig(segmentBytes: 300, fileDeleteDelayMs: 0)
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    for index in 0..<20 { try log.append(batch(["\(index)"])) }
    store.commit()
    let bases = try log.currentView().segments.map(\.baseOffset)
    #expect(bases.count > 4)
    _ = try log.deleteRecords(before: bases[3] + 1, nowMs: workspace.now)
    let files = workspace.files.filter { !$0.hasPrefix(FileNames.name(bases[1], .log).prefix(20)) }
      .map { ($0, workspace.bytes($0)) }
    _ = store.enforceRetention(nowMs: workspace.now - (1 << 40))
    workspace.crash(store)
    // The renames of all but one segment were lost.
    for (name, bytes) in files { workspace.write(bytes, name) }
    store = try workspace.open()
    log = try workspace.log(store, config)
    #expect(try log.values().map(\.offset) == Array((bases[3] + 1)..<20))
    store.close(nowMs: workspace.now)
  }
}
