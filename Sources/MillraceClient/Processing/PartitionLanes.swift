// The partitions that a worker has at the moment, and what of each may be committed.
//
// A partition is paused from when a batch of it is given out until its lane is done with that: so the consumer goes on
// with the others, whatever one of them waits for, and holds back what comes next. The worker always comes back for
// more at once; that a handler takes its time is no reason for the group to take its partitions away.

import Synchronization

final class PartitionLanes: Sendable {
  private struct State {
    var lanes: [TopicPartition: PartitionLane] = [:]
    /// Partitions that were taken away, until they are assigned again. The consumer may know of them a little longer.
    var gone: Set<TopicPartition> = []
    /// What is committed as far as we know.
    var committed: [TopicPartition: Int64] = [:]
    var isStopped = false
  }

  private let consumer: Consumer
  private let attempts: RecordAttempts
  private let state = Mutex(State())
  /// Ends the work as a whole.
  private let stop: @Sendable (HandlerFailure) -> Void

  init(_ consumer: Consumer, _ attempts: RecordAttempts, stop: @escaping @Sendable (HandlerFailure) -> Void) {
    self.consumer = consumer
    self.attempts = attempts
    self.stop = stop
  }

  // MARK: Work

  func take(_ batch: RecordBatch) {
    let partition = batch.topicPartition
    // Not assigned any more: another member reads it.
    guard (try? consumer.pause([partition])) != nil else { return }
    let lane = state.withLock { state -> PartitionLane? in
      guard !state.isStopped, !state.gone.contains(partition) else { return nil }
      let lane = state.lanes[partition] ?? PartitionLane(partition)
      state.lanes[partition] = lane
      return lane
    }
    lane?.start { [weak self] in await self?.work(batch, in: lane) }
  }

  private func work(_ batch: RecordBatch, in lane: PartitionLane?) async {
    guard let lane else { return }
    for record in batch {
      guard !lane.isStopped else { return lane.rest() }
      switch await attempts.settle(record, in: lane) {
      case .settled: lane.complete(through: record.offset, leaderEpoch: record.leaderEpoch)
      case .givenBack:
        lane.stop()
        return lane.rest()
      case .stop(let failure):
        lane.stop()
        stop(failure)
        return lane.rest()
      }
    }
    lane.complete(through: batch.lastOffset, leaderEpoch: nil)
    lane.rest()
    try? consumer.resume([lane.partition])
  }

  // MARK: Partitions come and go

  func assigned(_ partitions: [TopicPartition]) {
    state.withLock { state in
      state.gone.subtract(partitions)
      for partition in partitions { state.committed[partition] = nil }
    }
  }

  /// Ends what is under way in these partitions, commits and forgets them.
  func revoked(_ partitions: [TopicPartition]) async {
    let lanes = state.withLock { state in
      state.gone.formUnion(partitions)
      return partitions.compactMap { state.lanes[$0] }
    }
    await end(lanes, within: attempts.configuration.grace)
    await commit()
    state.withLock { state in for partition in partitions { state.lanes[partition] = nil } }
  }

  /// They are another member's already.
  func lost(_ partitions: [TopicPartition]) async {
    let lanes = state.withLock { state in
      state.gone.formUnion(partitions)
      return partitions.compactMap { state.lanes.removeValue(forKey: $0) }
    }
    await end(lanes, within: .zero)
  }

  /// Ends all that is under way, and takes nothing new.
  func end() async {
    let lanes = state.withLock { state in
      state.isStopped = true
      return Array(state.lanes.values)
    }
    await end(lanes, within: attempts.configuration.grace)
  }

  private func end(_ lanes: [PartitionLane], within grace: Duration) async {
    for lane in lanes { lane.stop() }
    await Task.finish(lanes.map(\.work), within: grace)
  }

  // MARK: Commits

  /// Commits what is done since the last time.
  func commit() async {
    let idle = consumer.fetcher.idlePositions() ?? [:]
    let new = state.withLock { state in
      var offsets = state.lanes.compactMapValues(\.completed)
      // Where nothing is under way, everything that came is done: also what was no record, such as the end of a
      // transaction. In this order: a lane that has come to rest since then had its batch counted before.
      for (partition, position) in idle where !state.isStopped && !state.gone.contains(partition) {
        if let lane = state.lanes[partition], !lane.isIdle || lane.isStopped { continue }
        if position.offset > offsets[partition]?.offset ?? -1 { offsets[partition] = position }
      }
      return offsets.filter { state.committed[$0.key] != $0.value.offset }
    }
    guard !new.isEmpty else { return }
    do throws(KafkaError) {
      try await consumer.commit(new)
      state.withLock { state in for (partition, offset) in new { state.committed[partition] = offset.offset } }
    } catch {
      if error.code != .cancelled { attempts.tell(.notCommitted(error)) }
    }
  }
}
