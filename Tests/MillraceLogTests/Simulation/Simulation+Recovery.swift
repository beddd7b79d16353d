// After a power cut: the store is opened on what is left of the disk, and held against what was promised.

import MillraceRecords

@testable import MillraceLog

extension Simulation {
  /// A process that begins on the disk of `moment` as a power cut leaves it, checks it, and can go on from there.
  convenience init(
    after moment: Moment, _ survival: SimulatedDisk.Survival, seed: UInt64, records: Bool = false, of before: Simulation
  ) {
    var random = SeededGenerator(seed: seed)
    let disk = moment.disk.afterPowerCut(survival, using: &random)
    self.init(seed: seed &+ 1, defect: before.defect, isBuffered: before.isBuffered, disk: disk)
    partitions = moment.partitions
    leaderEpoch = before.leaderEpoch + 1
    nowMs = before.nowMs + 5000
    if records { record() }
    do {
      try open()
    } catch {
      violation("the store does not open: \(error)")
      return
    }
    checkPartitions()
    for id in partitions.keys.sorted(by: { $0.partition < $1.partition }) where partitions[id]?.life == .created {
      do {
        try check(id)
      } catch {
        violation("\(id): \(error)")
      }
    }
  }

  private func checkPartitions() {
    let existing = Set(store!.existingPartitions().map(\.0))
    for id in existing where partitions[id] == nil { violation("\(id) is there and was never made") }
    for (id, model) in partitions {
      let isThere = existing.contains(id)
      switch model.life {
      case .created:
        if !isThere { violation("\(id) was created and is gone") }
        if isThere, store!.recordedTopicId(of: id) != model.topicId { violation("\(id) has lost its topic id") }
      case .deleted: if isThere { violation("\(id) was deleted and is there") }
      case .creating, .deleting: break
      }
      guard isThere else {
        partitions[id] = nil
        continue
      }
      if store!.recordedTopicId(of: id) == model.topicId {
        partitions[id]?.life = .created
      } else {
        // Nobody was told of it.
        try? store!.deletePartition(id, nowMs: nowMs)
        partitions[id] = nil
      }
    }
  }

  private struct Found {
    var header: BatchHeader
    var values: [String]
  }

  /// Reads from `start` to the end in small pieces, as consumers do, and checks every checksum.
  private func read(
    _ log: PartitionLog, from start: Int64, _ isolation: Isolation, _ body: (Found, ReadPlan?) -> Void
  ) throws -> Int64 {
    var next = start
    while true {
      let plan = try log.read(
        from: next, maxBytes: Int.random(in: 1...4000, using: &random), minOneBatch: true, isolation: isolation)
      if plan.isEmpty { return next }
      let bytes = try plan.load()
      try bytes.withUnsafeBytes { buffer in
        var rest = buffer
        while !rest.isEmpty {
          let view = try BatchView(rest)
          try view.verifyChecksum()
          var values: [String] = []
          if !view.header.isControl {
            try view.forEachRecord { values.append(String(decoding: $0.value!, as: UTF8.self)) }
          }
          // The plan comes with the first of its batches.
          body(Found(header: view.header, values: values), rest.count == bytes.count ? plan : nil)
          rest = UnsafeRawBufferPointer(rebasing: rest[view.bytes.count...])
        }
      }
      next = plan.nextOffset
    }
  }

  private func check(_ id: PartitionID) throws {
    let log = try log(id)
    let offsets = log.offsets
    let model = partitions[id]!
    var found: [Found] = []
    let end = try read(log, from: offsets.logStartOffset, .readUncommitted) { batch, _ in found.append(batch) }
    if end != offsets.logEndOffset || offsets.highWatermark != end {
      violation("\(id): reading ends at \(end), the log at \(offsets)")
    }
    if defect == .acknowledgesBeforeFlush || !isBuffered, end < model.acknowledged {
      violation("\(id): everything before \(model.acknowledged) was acknowledged, and the log ends at \(end)")
    }
    if end > model.end { violation("\(id): the log ends at \(end), behind all that was sent (\(model.end))") }
    if offsets.logStartOffset > model.logStart {
      violation("\(id): the log begins at \(offsets.logStartOffset), nobody asked for more than \(model.logStart)")
    }
    compare(id, found, model, offsets)
    guard violations.isEmpty else { return }
    partitions[id]!.cut(to: end)
    // Consumers have seen it.
    partitions[id]!.acknowledged = end
    try checkCommitted(id, log)
    try checkProducers(id, log, found)
    try checkLookups(id, log)
  }

  private func compare(_ id: PartitionID, _ found: [Found], _ model: LogModel, _ offsets: LogOffsets) {
    let first = found.first?.header.baseOffset ?? offsets.logEndOffset
    if first > offsets.logStartOffset { violation("\(id): the log begins at \(offsets), the first batch at \(first)") }
    let expected = model.batches.filter {
      $0.lastOffset >= offsets.logStartOffset && $0.lastOffset < offsets.logEndOffset
    }
    guard found.count == expected.count else {
      return violation("\(id): \(found.count) batches are there and \(expected.count) should be, \(offsets)")
    }
    for (found, expected) in zip(found, expected) {
      let header = found.header
      if header.baseOffset != expected.baseOffset || header.lastOffset != expected.lastOffset
        || found.values != expected.values || header.producerId != expected.producerId
        || header.isControl != expected.isControl || header.partitionLeaderEpoch != expected.leaderEpoch
      {
        violation("\(id): offset \(expected.baseOffset) holds another batch, from \(header.baseOffset)")
      }
    }
  }

  private func checkCommitted(_ id: PartitionID, _ log: PartitionLog) throws {
    let model = partitions[id]!
    let start = log.offsets.logStartOffset
    if log.offsets.lastStableOffset != max(start, model.lastStableOffset) {
      violation("\(id): the last stable offset is \(log.offsets.lastStableOffset), not \(model.lastStableOffset)")
    }
    var values: [(Int64, String)] = []
    var aborted: Set<Int64> = []
    var toCome: [AbortedTransaction] = []
    _ = try read(log, from: start, .readCommitted) { batch, plan in
      let header = batch.header
      // As consumers do, for each answer anew.
      if let plan {
        aborted = []
        toCome = plan.abortedTransactions.sorted { $0.firstOffset < $1.firstOffset }
      }
      while let first = toCome.first, first.firstOffset <= header.lastOffset {
        aborted.insert(first.producerId)
        toCome.removeFirst()
      }
      if header.isControl {
        aborted.remove(header.producerId)
      } else if !header.isTransactional || !aborted.contains(header.producerId) {
        for (index, value) in batch.values.enumerated() { values.append((header.baseOffset + Int64(index), value)) }
      }
    }
    if values.filter({ $0.0 >= start }).map(\.1) != model.committed(from: start) {
      violation("\(id): read_committed shows other records than those of committed transactions")
    }
  }

  private func checkProducers(_ id: PartitionID, _ log: PartitionLog, _ found: [Found]) throws {
    let bases = Set(found.map(\.header.baseOffset))
    let data = partitions[id]!.batches.filter { $0.producerId >= 0 && !$0.isControl }
    for producer in Set(data.map(\.producerId)).sorted() {
      for batch in data.filter({ $0.producerId == producer }).suffix(5) where bases.contains(batch.baseOffset) {
        let result = try log.append(batch.bytes, epoch: leaderEpoch, now: nowMs)
        guard !result.isDuplicate || result.baseOffset != batch.baseOffset else { continue }
        return violation("\(id): producer \(producer)'s batch at \(batch.baseOffset) is not known: \(result)")
      }
    }
  }

  private func checkLookups(_ id: PartitionID, _ log: PartitionLog) throws {
    let start = log.offsets.logStartOffset
    let end = log.offsets.logEndOffset
    guard start < end else { return }
    for _ in 0..<3 {
      let offset = Int64.random(in: start..<end, using: &random)
      let found = try log.offset(forTimestamp: LogModel.timestamp(offset))
      if found?.offset != offset {
        violation("\(id): the time of offset \(offset) leads to \(String(describing: found))")
      }
      let epoch = partitions[id]!.batches.first { $0.lastOffset >= offset }?.leaderEpoch
      if log.leaderEpoch(of: offset) != epoch {
        violation("\(id): offset \(offset) is of epoch \(String(describing: log.leaderEpoch(of: offset)))")
      }
    }
  }
}
