import Foundation
import MillraceRecords
import Testing

@testable import MillraceLog

/// Copies of a cleanly stopped data directory are injured at random. The store opens whatever happened, serves no batch
/// that is not what was written, and loses nothing but what was hit. `MILLRACE_SIMULATION=full` makes 10,000 copies.
@Suite struct InjuryTests {
  enum Kind: CaseIterable { case flip, zeros, truncation, deletion }

  private struct Injury {
    var path: String
    var kind: Kind
    var range: Range<Int>
  }

  /// The files of the disk by path.
  private func files(_ disk: SimulatedDisk) -> [(path: String, node: Int, parent: Int, name: String)] {
    var found: [(String, Int, Int, String)] = []
    func visit(_ directory: Int, _ path: String) {
      for (name, node) in disk.directories[directory]!.entries.sorted(by: { $0.key < $1.key }) {
        if disk.directories[node] != nil {
          visit(node, "\(path)/\(name)")
        } else {
          found.append(("\(path)/\(name)", node, directory, name))
        }
      }
    }
    visit(SimulatedDisk.root, "")
    return found
  }

  private func injure(_ disk: inout SimulatedDisk, _ random: inout SeededGenerator) -> Injury {
    let files = files(disk)
    while true {
      let file = files.randomElement(using: &random)!
      let kind = Kind.allCases.randomElement(using: &random)!
      let size = disk.files[file.node]!.bytes.count
      // Other values that read as well are other facts: nothing in these three says that they were written so.
      let isText = ["meta.properties", "partition.metadata", "log-start-offset-checkpoint"].contains(file.name)
      if isText, kind == .flip || kind == .truncation { continue }
      if kind != .deletion, size == 0 { continue }
      var injury = Injury(path: file.path, kind: kind, range: 0..<size)
      switch kind {
      case .flip:
        let at = Int.random(in: 0..<size, using: &random)
        disk.files[file.node]!.bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        injury.range = at..<(at + 1)
      case .zeros:
        let at = isText ? 0 : Int.random(in: 0..<size, using: &random)
        let count = isText ? size : min(size - at, Int.random(in: 1...2000, using: &random))
        disk.files[file.node]!.bytes.replaceSubrange(at..<(at + count), with: [UInt8](repeating: 0, count: count))
        injury.range = at..<(at + count)
      case .truncation:
        let at = Int.random(in: 0..<size, using: &random)
        disk.files[file.node]!.bytes.removeLast(size - at)
        injury.range = at..<size
      case .deletion:
        disk.directories[file.parent]!.entries[file.name] = nil
      }
      disk.files[file.node]!.synchronize()
      disk.directories[file.parent]!.synchronize()
      return injury
    }
  }

  /// The offsets of the batches in a log file that an injury touched.
  private func touched(_ injury: Injury, _ life: Simulation, _ before: SimulatedDisk) -> (PartitionID, Range<Int64>)? {
    let parts = injury.path.split(separator: "/").map(String.init)
    guard parts.count == 3, let id = PartitionID(directoryName: parts[1]), parts[2].hasSuffix(".log"),
      let node = files(before).first(where: { $0.path == injury.path })?.node
    else { return nil }
    let bytes = before.files[node]!.bytes
    var first: Int64?
    var end: Int64 = 0
    var position = 0
    while position < bytes.count {
      let header = bytes[position...].withUnsafeBytes { try! BatchHeader(parsing: $0) }
      if position < injury.range.upperBound, position + header.sizeInBytes > injury.range.lowerBound {
        if first == nil { first = header.baseOffset }
        end = header.nextOffset
      }
      position += header.sizeInBytes
    }
    return first.map { (id, $0..<end) }
  }

  @Test func `injured copies of a stopped directory open, serve nothing else, and lose only what was hit`() throws {
    let seed = PowerCutTests.seed
    var random = SeededGenerator(seed: seed)
    var lost = 0
    var told = 0
    let copies = PowerCutTests.isFull ? 10_000 : 300
    var life = Simulation(seed: seed)
    for copy in 0..<copies {
      if copy % 100 == 0 {
        life = Simulation(seed: seed &+ UInt64(copy))
        try life.open()
        try life.run([.create(0), .create(1)] + life.randomSteps(120) + [.commit])
        life.store!.close(nowMs: life.nowMs)
      }
      let before = life.fileSystem.disk
      var disk = before
      let injury = injure(&disk, &random)
      let touched = touched(injury, life, before)
      let what = "copy \(copy), \(injury), seed \(seed)"
      let outcome = try serve(disk, life, touched, what)
      lost += outcome.lost
      told += outcome.told ? 1 : 0
      // A log whose first segment is gone looks like one whose retention took it.
      if outcome.lost > 0, injury.kind != .deletion { #expect(outcome.told, "\(what)") }
      if !outcome.isRight { return }
    }
    print("\(copies) injured copies, \(lost) records lost with their batches, \(told) reports, seed \(seed)")
  }

  private func serve(
    _ disk: SimulatedDisk, _ life: Simulation, _ touched: (PartitionID, Range<Int64>)?, _ what: String
  ) throws -> (lost: Int, told: Bool, isRight: Bool) {
    let reports = Collected<RecoveryReport>()
    let errors = Collected<LogError>()
    let store = try LogStore.open(
      StoreOptions(
        directories: [Simulation.directory], fileSystem: SimulatedFileSystem(disk), clusterId: "simulated",
        checkpointIntervalMs: 1 << 40, checkpointBytes: 1 << 40, openFileLimit: 64, hasThreads: false,
        onRecovery: { reports.add($0) }, onError: { errors.add($0) }), nowMs: life.nowMs + 1000)
    defer { store.abandon() }
    var lost = 0
    var isRight = true
    func violation(_ text: String) {
      isRight = false
      Issue.record("\(text), \(what)")
    }
    for (id, model) in life.partitions where model.life == .created {
      let log = try store.partition(id, topicId: model.topicId, config: model.config)
      let start = log.offsets.logStartOffset
      var served: Set<Int64> = []
      var next = start
      while next < max(log.offsets.logEndOffset, model.end) {
        do {
          let plan = try log.read(from: next, maxBytes: 2000, minOneBatch: true, isolation: .readUncommitted)
          guard !plan.isEmpty else { break }
          let bytes = try plan.load()
          try bytes.withUnsafeBytes { buffer in
            var rest = buffer
            while !rest.isEmpty {
              let view = try BatchView(rest)
              if (try? view.verifyChecksum()) == nil {
                violation("\(id) serves a batch with a bad checksum at offset \(view.header.baseOffset)")
              }
              let base = view.header.baseOffset
              var values: [String] = []
              if !view.header.isControl {
                try view.forEachRecord { values.append(String(decoding: $0.value!, as: UTF8.self)) }
              }
              if let expected = model.batches.first(where: { $0.baseOffset == base }), expected.values == values {
                served.formUnion(base...view.header.lastOffset)
              } else {
                violation("\(id) serves at offset \(base) what was not written there")
              }
              rest = UnsafeRawBufferPointer(rebasing: rest[view.bytes.count...])
            }
          }
          next = plan.nextOffset
        } catch LogError.corrupt {
          next += 1
        } catch LogError.offsetOutOfRange {
          break
        }
      }
      for batch in model.batches where batch.lastOffset >= max(start, life.startOffsets[id] ?? 0) {
        for offset in batch.baseOffset...batch.lastOffset where offset >= start && !served.contains(offset) {
          if let touched, touched.0 == id, touched.1.contains(offset) {
            lost += 1
          } else {
            violation("\(id) has lost offset \(offset), which nothing hit")
          }
        }
      }
      if start > life.startOffsets[id] ?? 0, touched?.0 != id { violation("\(id) begins at \(start)") }
    }
    return (lost, !reports.all.isEmpty || !errors.all.isEmpty, isRight)
  }
}

extension Simulation {
  /// Where the logs begin, read from what a clean stop recorded.
  var startOffsets: [PartitionID: Int64] {
    let content = try? fileSystem.contents(of: "\(Self.directory)/\(OffsetCheckpoint.logStart.rawValue)")
    var starts = content.flatMap { $0 }.flatMap(OffsetCheckpoint.decode) ?? [:]
    for id in partitions.keys where starts[id] == nil {
      let names = (try? fileSystem.list("\(Self.directory)/\(id)"))?.map(\.name) ?? []
      starts[id] = names.compactMap { FileNames.parse($0) }.filter { $0.kind == .log }.map(\.offset).min() ?? 0
    }
    return starts
  }
}
