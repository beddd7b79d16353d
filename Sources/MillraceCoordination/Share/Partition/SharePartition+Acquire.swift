// Handing out records: those that came back, and those that the log had after `nextOffset`.
//
// As in Kafka 4.2: new records are acquired until `maxRecords` or the lock limit is reached, the record batch that
// crosses that line as a whole (or, in the mode record_limit of KIP-1206, up to the record); records that came back
// often are handed out in smaller and smaller numbers, and for the last time alone. Control batches, aborted
// transactions and offsets that the log does not have are finished at once instead of being acquired.

import MillraceProtocol

/// `ShareAcquireMode` of a ShareFetch.
package enum ShareAcquireMode: Int8, Sendable {
  case batchOptimized = 0
  case recordLimit = 1
}

package struct AcquireRequest: Sendable {
  package var memberId: String
  package var maxRecords: Int32
  /// The size at which acquired records are divided, at the end of a record batch.
  package var batchSize: Int32
  package var mode: ShareAcquireMode

  package init(memberId: String, maxRecords: Int32, batchSize: Int32, mode: ShareAcquireMode = .batchOptimized) {
    self.memberId = memberId
    self.maxRecords = maxRecords
    self.batchSize = batchSize
    self.mode = mode
  }
}

package struct AcquiredRecords: Sendable, Equatable {
  package var firstOffset: Int64
  package var lastOffset: Int64
  /// Of this delivery: 1 for the first.
  package var deliveryCount: Int16

  package init(firstOffset: Int64, lastOffset: Int64, deliveryCount: Int16) {
    self.firstOffset = firstOffset
    self.lastOffset = lastOffset
    self.deliveryCount = deliveryCount
  }

  package var message: ShareFetchResponse.AcquiredRecords {
    .init(firstOffset: firstOffset, lastOffset: lastOffset, deliveryCount: deliveryCount)
  }
}

extension SharePartition {
  /// Acquires from what was read from the log.
  ///
  /// - Parameters:
  ///   - fetched: the record batches read, in order, none past what the group may see (the high watermark, or for
  ///     read_committed the last stable offset).
  ///   - fetchOffset: the `nextFetchOffset` at which the read began.
  ///   - aborted: for read_committed groups, the aborted transactions in what was read; empty for the others.
  /// - Returns: what the member holds from now on. Acquiring changes nothing that is persisted.
  package mutating func acquire(
    _ request: AcquireRequest, from fetched: [FetchedBatch], at fetchOffset: Int64,
    aborted: [AbortedProducer] = [], now: Moment
  ) -> [AcquiredRecords] {
    guard request.maxRecords > 0 else { return [] }
    let stretches = FetchedStretch.stretches(of: fetched, from: max(fetchOffset, startOffset), aborted: aborted)
    let room = policy.maxRecordLocks - runs.tally.unfinished
    var harvest = Harvest(
      memberId: request.memberId, mode: request.mode, batchSize: Int64(request.batchSize),
      limit: min(Int(request.maxRecords), room > 0 ? room : .max),
      deadlineMs: now.uptimeMs.addingClamped(policy.recordLockDurationMs))
    for stretch in stretches where !harvest.isFull {
      acquireAgain(stretch, &harvest)
    }
    if room > 0 {
      for stretch in stretches where !harvest.isFull {
        acquireNew(stretch, &harvest)
      }
      appendGroup(&harvest)
    }
    advanceStart()
    alarms.tidy(runs)
    return harvest.acquired
  }

  // MARK: Records that came back

  private mutating func acquireAgain(_ stretch: FetchedStretch, _ harvest: inout Harvest) {
    let wanted = stretch.isDeliverable ? harvest.limit - harvest.count : .max
    let found = runs.available(in: stretch.offsets, records: wanted)
    for run in found where !harvest.isFull {
      let offsets = run.offsets.clamped(to: stretch.offsets)
      if stretch.isDeliverable {
        acquireAgain(offsets, of: run, &harvest)
      } else {
        runs.change(offsets) { $0.phase = .finished }
      }
    }
  }

  private mutating func acquireAgain(_ offsets: ClosedRange<Int64>, of run: InFlightRun, _ harvest: inout Harvest) {
    let size = Int(offsets.upperBound - offsets.lowerBound + 1)
    var most = harvest.mode == .recordLimit ? min(size, harvest.limit - harvest.count) : size
    if run.deliveryCount >= policy.throttledFrom {
      // Of one batch only, and nothing together with what was taken already.
      if let throttled = harvest.throttled {
        guard throttled.batchFirstOffset == run.batchFirstOffset, !policy.isLastDelivery(after: run.deliveryCount)
        else { return harvest.stop() }
      } else {
        guard harvest.count == 0 else { return harvest.stop() }
        let share = policy.share(ofBatch: run.batchSize, after: run.deliveryCount)
        harvest.throttled = (run.batchFirstOffset, share)
      }
      most = Int(min(Int64(most), harvest.throttled.map { $0.budget - Int64(harvest.count) } ?? 0))
    } else if harvest.throttled != nil {
      return harvest.stop()
    }
    guard most > 0 else { return harvest.stop() }

    let taken = offsets.lowerBound...(offsets.lowerBound + Int64(most) - 1)
    let isFirst = run.deliveryCount == 0
    let count = run.deliveryCount == .max ? .max : run.deliveryCount + 1
    runs.change(taken) { part in
      part.phase = .acquired(memberId: harvest.memberId, untilMs: harvest.deadlineMs)
      part.deliveryCount = count
      if isFirst {
        part.batchFirstOffset = taken.lowerBound
        part.batchLastOffset = taken.upperBound
      }
    }
    hold(taken, deliveryCount: count, &harvest)
  }

  // MARK: New records

  private mutating func acquireNew(_ stretch: FetchedStretch, _ harvest: inout Harvest) {
    guard stretch.offsets.upperBound >= nextOffset else { return }
    if runs.isEmpty, harvest.group == nil, stretch.offsets.lowerBound > nextOffset {
      // Nothing in flight: what the log does not have is passed over.
      startOffset = stretch.offsets.lowerBound
      nextOffset = startOffset
    }
    let first = max(stretch.offsets.lowerBound, nextOffset)
    if first > nextOffset { finish(nextOffset...(first - 1), &harvest) }
    guard stretch.isDeliverable else { return finish(first...stretch.offsets.upperBound, &harvest) }
    // What came back for one of its last deliveries goes alone.
    guard harvest.throttled == nil else { return harvest.stop() }

    var last = stretch.offsets.upperBound
    if harvest.mode == .recordLimit { last = min(last, first.addingClamped(Int64(harvest.limit - harvest.count) - 1)) }
    if let group = harvest.group, harvest.mode == .batchOptimized, first - group.lowerBound >= harvest.batchSize {
      appendGroup(&harvest)
    }
    harvest.group = (harvest.group?.lowerBound ?? first)...last
    harvest.count += Int(last - first + 1)
    nextOffset = last + 1
  }

  /// New offsets at which there is nothing to deliver.
  private mutating func finish(_ offsets: ClosedRange<Int64>, _ harvest: inout Harvest) {
    appendGroup(&harvest)
    runs.append(InFlightRun(offsets, .finished))
    nextOffset = offsets.upperBound + 1
  }

  /// What was gathered of new records is in flight from now on, as one batch.
  private mutating func appendGroup(_ harvest: inout Harvest) {
    guard let group = harvest.group else { return }
    harvest.group = nil
    runs.append(
      InFlightRun(group, .acquired(memberId: harvest.memberId, untilMs: harvest.deadlineMs), deliveryCount: 1))
    harvest.count -= Int(group.upperBound - group.lowerBound + 1)
    hold(group, deliveryCount: 1, &harvest)
  }

  private mutating func hold(_ offsets: ClosedRange<Int64>, deliveryCount: Int16, _ harvest: inout Harvest) {
    let size = Int(offsets.upperBound - offsets.lowerBound + 1)
    held[harvest.memberId, default: 0] += size
    alarms.set(offsets, at: harvest.deadlineMs)
    harvest.add(offsets, deliveryCount: deliveryCount)
  }
}

/// What one `acquire` has gathered so far.
private struct Harvest {
  let memberId: String
  let mode: ShareAcquireMode
  let batchSize: Int64
  let limit: Int
  let deadlineMs: Int64
  /// Records acquired, with those in `group`.
  var count = 0
  var acquired: [AcquiredRecords] = []
  /// New records that are not in flight yet, since more may join their batch.
  var group: ClosedRange<Int64>?
  /// Set once a record that came back often is in it: from which batch, and how many of it go together.
  var throttled: (batchFirstOffset: Int64, budget: Int64)?
  private var isStopped = false

  init(memberId: String, mode: ShareAcquireMode, batchSize: Int64, limit: Int, deadlineMs: Int64) {
    self.memberId = memberId
    self.mode = mode
    self.batchSize = batchSize
    self.limit = limit
    self.deadlineMs = deadlineMs
  }

  var isFull: Bool { isStopped || count >= limit }

  mutating func stop() { isStopped = true }

  mutating func add(_ offsets: ClosedRange<Int64>, deliveryCount: Int16) {
    count += Int(offsets.upperBound - offsets.lowerBound + 1)
    if let last = acquired.last, last.deliveryCount == deliveryCount, last.lastOffset + 1 == offsets.lowerBound,
      deliveryCount > 1
    {
      acquired[acquired.count - 1].lastOffset = offsets.upperBound
    } else {
      acquired.append(
        AcquiredRecords(
          firstOffset: offsets.lowerBound, lastOffset: offsets.upperBound, deliveryCount: deliveryCount))
    }
  }
}
