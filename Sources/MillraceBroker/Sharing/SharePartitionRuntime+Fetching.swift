// Reading the log for a member and acquiring what was read, and the fetches that wait until there is something.

import MillraceCoordination
import MillraceLog
import MillraceProtocol
import MillraceRecords

/// What a share-partition has for a fetch.
enum SharePartitionFetch {
  /// Batches that hold the acquired records.
  case acquired(ReadPlan, [AcquiredRecords])
  case nothing
  case failed(ErrorCode)
}

extension SharePartitionRuntime {
  /// Reads that find nothing to deliver (markers, aborted transactions) before a fetch is left for later.
  private static let mostReads = 16

  private enum Look {
    case read(from: Int64, incarnation: UInt64)
    case nothing
    case failed(ErrorCode)
  }

  /// Acquires what the log has for the member, up to the limits.
  ///
  /// - Parameter minOneBatch: the first batch is taken whatever its size.
  func fetch(_ request: AcquireRequest, maxBytes: Int, minOneBatch: Bool) -> SharePartitionFetch {
    reading.withLock { _ in
      for _ in 0..<Self.mostReads {
        switch look() {
        case .nothing: return .nothing
        case .failed(let code): return .failed(code)
        case .read(let offset, let incarnation):
          do throws(LogError) {
            let plan = try partition.log.read(
              from: offset, maxBytes: maxBytes, minOneBatch: minOneBatch, isolation: isolation)
            guard !plan.isEmpty else { return .nothing }
            let batches = try Self.batches(of: plan, from: offset, records: Int(max(1, request.maxRecords)))
            guard let acquired = acquire(request, batches, plan, at: offset, incarnation) else { return .nothing }
            if !acquired.isEmpty {
              return .acquired(plan.keeping(Self.holding(acquired, of: batches)), acquired)
            }
          } catch {
            guard case .offsetOutOfRange(_, let start, let end) = error, offset < start || offset > end else {
              return .failed(ErrorCode(error))
            }
            // The log's beginning has moved on meanwhile, and the next look sees it; or its end has moved back.
            if offset > end { return beginAnew(at: end, insteadOf: offset, incarnation) }
          }
        }
      }
      return .nothing
    }
  }

  /// How much could be read now, without acquiring anything.
  func prospect(maxBytes: Int) -> Int {
    guard case .read(let offset, _) = look() else { return 0 }
    let plan = try? partition.log.read(from: offset, maxBytes: maxBytes, minOneBatch: true, isolation: isolation)
    return plan?.byteCount ?? 0
  }

  private var isolation: Isolation {
    switch surroundings.config(key.groupId).isolationLevel {
    case .readCommitted: .readCommitted
    case .readUncommitted: .readUncommitted
    }
  }

  /// Where the log is to be read.
  private func look() -> Look {
    prepare(again: false)
    let policy = surroundings.policy(ofGroup: key.groupId)
    let logStartOffset = partition.log.offsets.logStartOffset
    let (look, effects) = state.withLock { state -> (Look, Effects) in
      var effects = Effects()
      switch state.phase {
      case .cold, .loading: return (.nothing, effects)
      case .failed(let code), .gone(let code): return (.failed(code), effects)
      case .serving: break
      }
      guard state.value != nil else { return (.nothing, effects) }
      state.value!.policy = policy
      effects.lostLetters = state.value!.moveStart(to: logStartOffset)
      guard let value = state.value, value.canAcquire else { return (.nothing, effects) }
      return (.read(from: value.nextFetchOffset, incarnation: state.incarnation), effects)
    }
    complete(effects)
    return look
  }

  /// The first batches of the plan, as many as it takes for so many records from the offset on.
  private static func batches(
    of plan: ReadPlan, from offset: Int64, records: Int
  ) throws(LogError) -> [PlannedBatch] {
    var batches: [PlannedBatch] = []
    var count: Int64 = 0
    try plan.forEachBatch { batch in
      let header = batch.header
      batches.append(batch)
      if !header.isControl { count += header.lastOffset - max(header.baseOffset, offset) + 1 }
      return count < Int64(records)
    }
    return batches
  }

  /// Those of the batches that have acquired records; both are in order.
  private static func holding(_ acquired: [AcquiredRecords], of batches: [PlannedBatch]) -> [PlannedBatch] {
    var next = acquired[...]
    return batches.filter { batch in
      while let first = next.first, first.lastOffset < batch.header.baseOffset { next.removeFirst() }
      return next.first.map { $0.firstOffset <= batch.header.lastOffset } ?? false
    }
  }

  /// Nil when the value is another one by now.
  private func acquire(
    _ request: AcquireRequest, _ batches: [PlannedBatch], _ plan: ReadPlan, at offset: Int64, _ incarnation: UInt64
  ) -> [AcquiredRecords]? {
    let fetched = batches.map { FetchedBatch($0.header) }
    let aborted = plan.abortedTransactions.map {
      AbortedProducer(producerId: $0.producerId, firstOffset: $0.firstOffset)
    }
    return state.withLock { state in
      guard state.value != nil, state.incarnation == incarnation else { return nil }
      let now = surroundings.time.now()
      let acquired = state.value!.acquire(request, from: fetched, at: offset, aborted: aborted, now: now)
      arm(now, &state)
      return acquired
    }
  }

  /// The log ends before what the group has consumed: it has lost its end (`log.flush` left to the machine, and the power
  /// went). The offsets will be given to other records, so the group's state of them must not stay.
  private func beginAnew(at end: Int64, insteadOf offset: Int64, _ incarnation: UInt64) -> SharePartitionFetch {
    let stateEpoch = state.withLock { $0.incarnation == incarnation ? $0.value?.stateEpoch : nil }
    guard let stateEpoch, stateEpoch < .max else { return .nothing }
    surroundings.logger.warning(
      "a log ends before what a share group has consumed of it: the group goes on at its end",
      metadata: ["share-partition": "\(key.coordinatorKey)", "end": "\(end)", "consumed": "\(offset)"])
    // When that is done the value is dropped and read again: see `SharePartitions.follow`.
    surroundings.coordinator.initialize(key, stateEpoch: stateEpoch + 1, startOffset: end) { _ in }
    return .nothing
  }
}

// MARK: - Waiting

extension SharePartitionRuntime: FetchPlace, FetchWaiter {
  func park(_ waiter: any FetchWaiter) {
    state.withLock { state in
      let isFirst = state.turns.isEmpty
      state.turns.add(waiter)
      if isFirst { partition.park(self) }
    }
  }

  /// Whoever leaves may have been woken for something that it did not take all of.
  func unpark(_ waiter: any FetchWaiter) {
    state.withLock { state in
      state.turns.remove(waiter)
      if state.turns.isEmpty { partition.unpark(self) }
    }
    wakeNext()
  }

  /// The partition has more records, or is gone.
  func wake() { wakeNext() }

  /// Wakes one who waits, if there is something to take.
  func wakeNext() {
    let isolation = isolation
    let waiter = state.withLock { state -> (any FetchWaiter)? in
      guard !state.turns.isEmpty, let value = state.value, value.canAcquire else { return nil }
      let offsets = partition.log.offsets
      let end = isolation == .readCommitted ? offsets.lastStableOffset : offsets.highWatermark
      return value.nextFetchOffset < end ? state.turns.next() : nil
    }
    waiter?.wake()
  }
}

extension FetchedBatch {
  init(_ header: BatchHeader) {
    // Which of the two markers a transaction ends with makes no difference: where one is that commits, nothing of its
    // producer was aborted before.
    self.init(
      baseOffset: header.baseOffset, lastOffset: header.lastOffset, producerId: header.producerId,
      isTransactional: header.isTransactional, content: header.isControl ? .control(isAbort: true) : .records)
  }
}
