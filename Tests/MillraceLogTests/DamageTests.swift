import MillraceRecords
import Testing

@testable import MillraceLog

/// Damage to what was flushed costs the batches that it hit and nothing else.
@Suite struct DamageTests {
  private let config = LogConfig(segmentBytes: 4000, indexIntervalBytes: 400)
  private static let batches = 40

  private func value(_ index: Int) -> String { "\(index)" + String(repeating: "v", count: 90) }

  /// A cleanly stopped store whose log has batches of two records.
  private func stopped(_ config: LogConfig? = nil) throws -> Workspace {
    let workspace = Workspace()
    workspace.hasThreads = false
    let store = try workspace.open()
    let log = try workspace.log(store, config ?? self.config)
    for index in 0..<Self.batches {
      try log.append(batch([value(2 * index), value(2 * index + 1)], timestamp: 1_000_000 + Int64(index)), epoch: 3)
    }
    store.commit()
    store.close(nowMs: workspace.now)
    return workspace
  }

  /// What a reader gets that goes on behind what answers `corrupt`.
  private func readAll(_ log: PartitionLog, maxBytes: Int) throws -> (values: [Int64: String], corrupt: [Int64]) {
    var values: [Int64: String] = [:]
    var corrupt: [Int64] = []
    var next = log.offsets.logStartOffset
    while next < log.offsets.logEndOffset {
      do {
        let plan = try log.read(from: next, maxBytes: maxBytes, minOneBatch: true, isolation: .readUncommitted)
        guard !plan.isEmpty else { break }
        let bytes = try plan.load()
        try bytes.withUnsafeBytes { buffer in
          var rest = buffer
          while !rest.isEmpty {
            let view = try BatchView(rest)
            try view.verifyChecksum()
            try view.forEachRecord { values[$0.offset] = String(decoding: $0.value!, as: UTF8.self) }
            rest = UnsafeRawBufferPointer(rebasing: rest[view.bytes.count...])
          }
        }
        next = plan.nextOffset
      } catch LogError.corrupt {
        corrupt.append(next)
        next += 1
      }
    }
    return (values, corrupt)
  }

  @Test(arguments: [[OffsetCheckpoint.recoveryPoint], [.recoveryPoint, .highWatermark]])
  func `a stopped log without its checkpoint loses only what was hit`(_ lost: [OffsetCheckpoint]) throws {
    let workspace = try stopped()
    let logs = workspace.files.filter { $0.hasSuffix(".log") }
    try #require(logs.count > 2)
    // The second batch of the first and of the last segment.
    var injured: [Int64] = []
    for name in [logs[0], logs[logs.count - 1]] {
      let first = try workspace.bytes(name).withUnsafeBytes { try BatchHeader(parsing: $0) }
      workspace.edit(name) { $0[first.sizeInBytes + BatchHeader.byteCount + 5] ^= 1 }
      injured += [first.baseOffset + 2, first.baseOffset + 3]
    }
    for checkpoint in lost { workspace.removeRoot(checkpoint.rawValue) }
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    let (values, corrupt) = try readAll(log, maxBytes: 1 << 20)
    #expect(corrupt == injured)
    for offset in 0..<Int64(2 * Self.batches) where !injured.contains(offset) {
      #expect(values[offset] == value(Int(offset)), "offset \(offset)")
    }
    #expect(try log.append(batch(["new"])).baseOffset == Int64(2 * Self.batches))
    store.close(nowMs: workspace.now)
  }

  @Test func `a compacted log that has lost its last segment and its checkpoints keeps what is before`() throws {
    let workspace = try stopped()
    let logs = workspace.files.filter { $0.hasSuffix(".log") }
    let size = try workspace.bytes(logs[0]).withUnsafeBytes { try BatchHeader(parsing: $0).sizeInBytes }
    // Compaction took the first batch and the fourth, and damage the rest.
    workspace.edit(logs[0]) { $0 = Array($0[size..<(3 * size)] + $0[(4 * size)...]) }
    for name in logs.dropFirst() { workspace.remove(name) }
    for checkpoint in [OffsetCheckpoint.recoveryPoint, .highWatermark] { workspace.removeRoot(checkpoint.rawValue) }
    var compacted = config
    compacted.isCompacted = true
    let store = try workspace.open()
    let log = try workspace.log(store, compacted)
    let next = try #require(FileNames.parse(logs[1])).offset
    #expect(log.offsets.logEndOffset == next)
    #expect(try log.values().map(\.offset) == Array(2..<6) + Array(8..<next))
    store.close(nowMs: workspace.now)
  }

  private func expectOnly(
    _ injured: ClosedRange<Int64>, lost workspace: Workspace, _ what: String, mayBeServed: Bool = false
  ) throws {
    for maxBytes in [1, 1000, 1 << 20] {
      let store = try workspace.open()
      let log = try workspace.log(store, config)
      let (values, corrupt) = try readAll(log, maxBytes: maxBytes)
      for offset in 0..<Int64(2 * Self.batches) where !injured.contains(offset) {
        #expect(values[offset] == value(Int(offset)), "offset \(offset), \(what), read by \(maxBytes)")
      }
      for offset in injured {
        #expect(
          mayBeServed ? values[offset] == value(Int(offset)) : values[offset] == nil, "offset \(offset), \(what)")
      }
      if !mayBeServed {
        #expect(corrupt == Array(injured), "\(what), read by \(maxBytes)")
        #expect(store.damageCount >= 1 || !workspace.reports.all.isEmpty, "\(what)")
      }
      // From the middle too.
      #expect(try log.read(from: 60, maxBytes: 1, minOneBatch: true, isolation: .readUncommitted).nextOffset == 62)
      workspace.crash(store)
    }
  }

  @Test func `a flipped bit anywhere in a batch costs that batch`() throws {
    let original = try stopped()
    let name = try #require(original.files.first { $0.hasSuffix(".log") })
    let bytes = original.bytes(name)
    // The sixth batch of the first segment, with offsets 10 and 11.
    let size = bytes.withUnsafeBytes { try! BatchHeader(parsing: $0).sizeInBytes }
    let start = 5 * size
    for (index, bit) in (0..<size).flatMap({ index in index < 61 ? [(index, 0), (index, 7)] : [(index, 3)] })
    where index < 61 || index % 31 == 0 {
      var damaged = bytes
      damaged[start + index] ^= 1 << UInt8(bit)
      original.write(damaged, name)
      let isLeaderEpoch = (12..<16).contains(index)
      // The epoch is not under the checksum, and all that it changes is what the client takes it for.
      try expectOnly(10...11, lost: original, "byte \(index), bit \(bit)", mayBeServed: isLeaderEpoch)
      original.write(bytes, name)
    }
  }

  @Test(arguments: [300, 4000], [1, 2, 8, 1 << 33])
  func `a first offset that is not before the next segment's is damage`(_ segmentBytes: Int32, _ by: Int64) throws {
    let config = LogConfig(segmentBytes: segmentBytes, indexIntervalBytes: 400)
    let workspace = try stopped(config)
    let name = try #require(workspace.files.first { $0.hasSuffix(".log") })
    var last = Int64(0)
    try workspace.edit(name) { bytes in
      var position = 0
      while true {
        let header = try bytes[position...].withUnsafeBytes { try BatchHeader(parsing: $0) }
        guard position + header.sizeInBytes == bytes.count else {
          position += header.sizeInBytes
          continue
        }
        last = header.baseOffset
        for (place, byte) in withUnsafeBytes(of: (last + by).bigEndian, Array.init).enumerated() {
          bytes[position + place] = byte
        }
        return
      }
    }
    let log = try workspace.log(workspace.open(), config)
    let (values, corrupt) = try readAll(log, maxBytes: 1)
    #expect(corrupt == [last, last + 1])
    #expect(values.count == 2 * Self.batches - 2)
    for (offset, found) in values { #expect(found == value(Int(offset))) }
  }

  @Test func `zeros over several batches cost those`() throws {
    let workspace = try stopped()
    let name = try #require(workspace.files.first { $0.hasSuffix(".log") })
    let size = workspace.bytes(name).withUnsafeBytes { try! BatchHeader(parsing: $0).sizeInBytes }
    workspace.edit(name) { bytes in
      for index in (2 * size + 30)..<(4 * size + 30) { bytes[index] = 0 }
    }
    try expectOnly(4...9, lost: workspace, "zeros")
  }

  @Test func `damage is counted, told once, and named by verify`() throws {
    let workspace = try stopped()
    let name = try #require(workspace.files.first { $0.hasSuffix(".log") })
    workspace.edit(name) { $0[700] ^= 4 }
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    for _ in 0..<3 { _ = try readAll(log, maxBytes: 1 << 20) }
    #expect(store.damageCount == 1)
    #expect(workspace.errors.all.count == 1)
    store.close(nowMs: workspace.now)
    let findings = try LogInspector(directory: "\(workspace.path)/orders-0").verify().findings
    #expect(findings.count { $0.problem.isDamage } == 1)
  }

  @Test func `what this process wrote is not checked when it is read`() throws {
    let faulty = FaultyFileSystem()
    let workspace = Workspace()
    workspace.fileSystem = faulty
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    for index in 0..<10 { try log.append(batch([value(index)])) }
    try log.settle()
    let reads = faulty.count(.read)
    _ = try log.read(from: 0, maxBytes: 1 << 20, minOneBatch: true, isolation: .readUncommitted)
    #expect(faulty.count(.read) - reads <= 1)
    store.close(nowMs: workspace.now)
  }

  @Test func `damage that overlaps is one`() {
    var damage = SegmentDamage()
    func range(_ position: Int64, _ end: Int64) -> Damage {
      Damage(position: position, byteCount: end - position, offsets: position..<end)
    }
    let news = [range(20, 30), range(50, 60), range(22, 28), range(10, 30)].map { damage.add($0) }
    #expect(news == [true, true, false, true])
    #expect(damage.found == [range(10, 30), range(50, 60)])
    let joins = damage.add(range(29, 55))
    #expect(joins)
    #expect(damage.found == [range(10, 60)])
  }
}
