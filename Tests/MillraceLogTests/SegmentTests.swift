import MillraceRecords
import Testing

@testable import MillraceLog

@Suite struct SegmentTests {
  private func bases(_ workspace: Workspace) -> [String] {
    workspace.files.filter { $0.hasSuffix(".log") }.map { String($0.dropLast(4)) }
  }

  @Test func `a segment rolls before it would pass segment.bytes`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let size = batch(["a"]).count
    let log = try workspace.log(store, LogConfig(segmentBytes: Int32(3 * size)))
    for _ in 0..<7 { try log.append(batch(["a"])) }
    #expect(bases(workspace).map { Int($0)! } == [0, 3, 6])
    #expect(workspace.exists("00000000000000000003.snapshot"))
    try log.settle()
    #expect(try log.values().map(\.offset) == Array(0...6))
    #expect(log.sizeInBytes == Int64(7 * size))
    store.close(nowMs: workspace.now)
  }

  @Test func `a batch larger than a segment is refused`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(segmentBytes: 200))
    #expect(throws: LogError.recordTooLarge(byteCount: batch([String(repeating: "x", count: 300)]).count, limit: 200)) {
      try log.append(batch([String(repeating: "x", count: 300)]))
    }
    #expect(try log.append(batch(["a"])).baseOffset == 0)
    store.close(nowMs: workspace.now)
  }

  @Test func `a segment rolls when the timestamps pass segment.ms, also after a restart`() throws {
    let workspace = Workspace()
    var store = try workspace.open()
    let config = LogConfig(segmentMs: 1000)
    var log = try workspace.log(store, config)
    try log.append(batch(["a"], timestamp: 50_000))
    try log.append(batch(["b"], timestamp: 51_000))
    #expect(bases(workspace).count == 1)
    store.close(nowMs: workspace.now)
    store = try workspace.open()
    log = try workspace.log(store, config)
    try log.append(batch(["c"], timestamp: 51_001))
    #expect(bases(workspace).map { Int($0)! } == [0, 2])
    store.close(nowMs: workspace.now)
  }

  @Test func `without timestamps a segment rolls by the clock`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(segmentMs: 1000))
    try log.append(batch(["a"], timestamp: -1), now: workspace.now)
    try log.append(batch(["b"], timestamp: -1), now: workspace.now + 900)
    try log.append(batch(["c"], timestamp: -1), now: workspace.now + 1_000_000_000_000)
    #expect(bases(workspace).map { Int($0)! } == [0, 2])
    store.close(nowMs: workspace.now)
  }

  @Test func `a segment rolls when its index is full`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(segmentIndexBytes: 48, indexIntervalBytes: 1))
    for _ in 0..<9 { try log.append(batch(["a"])) }
    // The first batch of a segment has no entry, six have, and the next finds the index full.
    #expect(bases(workspace).map { Int($0)! } == [0, 7])
    store.close(nowMs: workspace.now)
  }

  @Test func `a segment rolls when the offset no longer fits the index`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["a"]))
    // A compacted batch may span many offsets.
    var builder = BatchBuilder()
    builder.append(key: nil, value: [1], timestamp: 1)
    let wide = try builder.build(BatchFields(lastOffsetDelta: Int32.max))
    #expect(try log.append(wide).lastOffset == Int64(Int32.max) + 1)
    #expect(bases(workspace).map { Int($0)! } == [0, 1])
    try log.append(batch(["b"]))
    #expect(bases(workspace).map { Int($0)! } == [0, 1, Int(Int32.max) + 2])
    try log.settle()
    #expect(try log.values().map(\.value) == ["a", "\u{1}", "b"])
    store.close(nowMs: workspace.now)
  }

  @Test func `an append that a full log cannot number is refused`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store)
    var lying = batch(["a"])
    lying.replaceSubrange(23..<27, with: [0xff, 0xff, 0xff, 0xfe])  // last offset delta -2
    #expect(throws: LogError.invalidBatch) { try log.append(lying) }
    #expect(log.offsets.logEndOffset == 0)
    store.close(nowMs: workspace.now)
  }

  @Test(arguments: [1, 300, 5_000, 1 << 20])
  func `every offset is found, whatever piece is read`(maxBytes: Int) throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(segmentBytes: 20_000, indexIntervalBytes: 500))
    var expected: [String] = []
    for index in 0..<400 {
      let values = (0..<(index % 4 + 1)).map { "\(index).\($0)" + String(repeating: "-", count: index % 90) }
      expected += values
      try log.append(batch(values))
    }
    try log.settle()
    #expect(try log.values(maxBytes: maxBytes).map(\.value) == expected)
    for offset in stride(from: 0, to: expected.count, by: 7) {
      let plan = try log.read(from: Int64(offset), maxBytes: maxBytes, minOneBatch: true, isolation: .readUncommitted)
      let first = try plan.load().withUnsafeBytes { try BatchHeader(parsing: $0) }
      #expect(first.baseOffset <= offset && first.lastOffset >= offset)
    }
    // The same from the files.
    store.close(nowMs: workspace.now)
    let again = try workspace.open()
    #expect(try workspace.log(again).values(from: 100, maxBytes: maxBytes).map(\.value) == Array(expected[100...]))
    again.close(nowMs: workspace.now)
  }

  @Test func `a read takes whole batches only, and the first whatever its size if asked to`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store)
    let size = batch(["a"]).count
    for _ in 0..<5 { try log.append(batch(["a"])) }
    try log.settle()
    func read(_ maxBytes: Int, _ minOneBatch: Bool) throws -> (Int, Int64) {
      let plan = try log.read(from: 1, maxBytes: maxBytes, minOneBatch: minOneBatch, isolation: .readUncommitted)
      return (plan.byteCount, plan.nextOffset)
    }
    #expect(try read(2 * size + 5, false) == (2 * size, 3))
    #expect(try read(2 * size, false) == (2 * size, 3))
    #expect(try read(size - 1, false) == (0, 1))
    #expect(try read(size - 1, true) == (size, 2))
    #expect(try read(0, true) == (size, 2))
    #expect(try read(1000 * size, false) == (4 * size, 5))
    store.close(nowMs: workspace.now)
  }

  @Test func `offsets outside the log are refused, its end is not`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["a", "b"]))
    try log.settle()
    #expect(try log.read(from: 2, maxBytes: 100, minOneBatch: true, isolation: .readUncommitted).isEmpty)
    for offset in [Int64(3), -1, Int64.max, Int64.min] {
      #expect(throws: LogError.offsetOutOfRange(requested: offset, start: 0, end: 2)) {
        try log.read(from: offset, maxBytes: 100, minOneBatch: true, isolation: .readUncommitted)
      }
    }
    store.close(nowMs: workspace.now)
  }

  @Test func `reading on where a read ended costs no system call`() throws {
    let workspace = Workspace()
    let faulty = FaultyFileSystem()
    workspace.fileSystem = faulty
    let store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["a"]))
    try log.settle()
    var next = try log.read(from: 0, maxBytes: 1000, minOneBatch: true, isolation: .readUncommitted).nextOffset
    let reads = faulty.count(.read)
    for _ in 0..<20 {
      try log.append(batch(["b"]))
      try log.settle()
      next = try log.read(from: next, maxBytes: 1000, minOneBatch: true, isolation: .readUncommitted).nextOffset
    }
    #expect(next == 21)
    #expect(faulty.count(.read) == reads)
    store.close(nowMs: workspace.now)
  }

  @Test func `no more files are open than the limit`() throws {
    let workspace = Workspace()
    let faulty = FaultyFileSystem()
    workspace.fileSystem = faulty
    workspace.openFileLimit = 20
    let store = try workspace.open()
    let logs = try (0..<100).map { try workspace.log(store, topic: "many", Int32($0)) }
    for round in 0..<3 {
      for log in logs { try log.append(batch(["\(round)"])) }
    }
    for log in logs {
      try log.settle()
      #expect(try log.values().map(\.value) == ["0", "1", "2"])
    }
    // A file is opened before another is closed, by this thread and by the one that commits.
    #expect(faulty.faults.withLock { $0.mostOpenFiles } <= 24)
    store.close(nowMs: workspace.now)
  }
}
