// The share coordinator for one partition of __share_group_state (KIP-932): the persisted state of the share-partitions
// whose keys hash there.
//
// A plain value. Each request changes it at once and returns the records to journal; the runtime appends them, says
// where they are (`journaled`), and answers when they are durable. Replaying the log gives the same state.
//
// Requests are per share-partition; whether the topic-partition exists (UNKNOWN_TOPIC_OR_PARTITION) is for the caller to
// say, who has the catalog.

import MillraceProtocol

package struct ShareStateConfig: Sendable, Equatable {
  /// `share.coordinator.snapshot.update.records.per.snapshot`
  package var updatesPerSnapshot: Int32 = 500
  /// `share.coordinator.cold.partition.snapshot.interval.ms`
  package var coldSnapshotIntervalMs: Int64 = 300_000

  package init() {}
}

/// What the journal says of a share-partition.
package struct ShareState: Sendable, Equatable {
  package internal(set) var snapshot: ShareSnapshot
  /// The snapshot epoch with which the state began: updates from before speak of another beginning. The lowest number
  /// when the journal does not have that any more, and so none of those updates either.
  var initialSnapshotEpoch: Int32
  /// False while only updates are known.
  var hasSnapshot = true
  var updatesSinceSnapshot: Int32 = 0
}

/// What ReadShareGroupStateSummary tells.
package struct ShareStateSummary: Sendable, Equatable {
  package var stateEpoch: Int32
  package var leaderEpoch: Int32
  package var startOffset: Int64
  package var deliveryCompleteCount: Int32

  /// Of a share-partition that was never initialized.
  package static let uninitialized = ShareStateSummary(
    stateEpoch: 0, leaderEpoch: 0, startOffset: PersistedShareState.uninitializedStartOffset, deliveryCompleteCount: -1)
}

package struct ShareStateShard: Sendable {
  package var config: ShareStateConfig
  package internal(set) var states: [ShareStateKey: ShareState] = [:]
  /// Updates in transactions that have not ended, by producer id.
  var pending: [Int64: [PendingUpdate]] = [:]
  var extent = JournalExtent()

  struct PendingUpdate: Sendable, Equatable {
    var key: ShareStateKey
    var update: ShareUpdate
    var offset: Int64
  }

  package init(config: ShareStateConfig) {
    self.config = config
  }

  // MARK: Requests

  /// InitializeShareGroupState: the state begins anew, at an offset or (-1) wherever the group's reset will say.
  package mutating func initialize(
    _ key: ShareStateKey, stateEpoch: Int32, startOffset: Int64, now: Moment
  ) -> (error: ErrorCode, records: [ShareStateRecord]) {
    guard key.partition >= 0, key.groupId.utf8.count <= ConsumerGroupConfig.maxIdBytes,
      startOffset >= PersistedShareState.uninitializedStartOffset
    else { return (.invalidRequest, []) }
    let current = states[key]
    if stateEpoch != -1, let current, current.snapshot.stateEpoch > stateEpoch { return (.fencedStateEpoch, []) }
    let snapshot = ShareSnapshot(
      snapshotEpoch: current.map { Self.next($0.snapshot.snapshotEpoch) } ?? 0, stateEpoch: stateEpoch,
      leaderEpoch: 0, startOffset: startOffset, deliveryCompleteCount: -1, createTimestampMs: now.wallMs,
      writeTimestampMs: now.wallMs, batches: [])
    return (.none, journal(.snapshot(key, snapshot)))
  }

  /// ReadShareGroupState, by the new leader of the share-partition: whoever led it before is fenced from now on. While a
  /// transaction is open that changes the state, nobody can be told what it is.
  package mutating func read(
    _ key: ShareStateKey, leaderEpoch: Int32
  ) -> (result: Result<PersistedShareState, ShareStateRefusal>, records: [ShareStateRecord]) {
    guard let state = states[key]?.snapshot else { return (.failure(.notInitialized), []) }
    if state.leaderEpoch > leaderEpoch { return (.failure(.fencedLeaderEpoch), []) }
    if pending.values.contains(where: { $0.contains { $0.key == key } }) { return (.failure(.unsettled), []) }
    let persisted = PersistedShareState(
      stateEpoch: state.stateEpoch, startOffset: state.startOffset, batches: state.batches)
    if state.leaderEpoch == leaderEpoch { return (.success(persisted), []) }
    let write = ShareStateWrite(
      stateEpoch: state.stateEpoch, leaderEpoch: leaderEpoch, startOffset: state.startOffset,
      deliveryCompleteCount: state.deliveryCompleteCount, batches: [])
    return (.success(persisted), journal(record(key, write, leaderEpoch: leaderEpoch)))
  }

  /// WriteShareGroupState: an update, or once there were enough of them a snapshot.
  package mutating func write(
    _ key: ShareStateKey, _ write: ShareStateWrite, now: Moment
  ) -> (error: ErrorCode, records: [ShareStateRecord]) {
    if let refusal = refusal(of: write, key) { return (refusal.errorCode, []) }
    guard let state = states[key] else { return (.invalidRequest, []) }
    guard state.updatesSinceSnapshot >= config.updatesPerSnapshot else {
      return (.none, journal(record(key, write, leaderEpoch: state.snapshot.leaderEpoch)))
    }
    var snapshot = state.snapshot
    if write.startOffset != -1 { snapshot.startOffset = write.startOffset }
    if write.deliveryCompleteCount != -1 { snapshot.deliveryCompleteCount = write.deliveryCompleteCount }
    snapshot.batches.combine(with: write.batches, startOffset: snapshot.startOffset)
    snapshot.snapshotEpoch = Self.next(snapshot.snapshotEpoch)
    snapshot.createTimestampMs = now.wallMs
    snapshot.writeTimestampMs = now.wallMs
    return (.none, journal(.snapshot(key, snapshot)))
  }

  /// A write that becomes durable in somebody else's transaction, together with what caused it. Changes nothing yet:
  /// the record is appended in that transaction, given to `replay` with its producer id, and takes effect with `ended`.
  package func transactionalWrite(
    _ key: ShareStateKey, _ write: ShareStateWrite
  ) -> Result<ShareStateRecord, ShareStateRefusal> {
    if let refusal = refusal(of: write, key) { return .failure(refusal) }
    guard let state = states[key] else { return .failure(.notInitialized) }
    // Writes outside of the transaction may overtake it, so it must not speak of the start.
    var late = write
    late.startOffset = -1
    late.deliveryCompleteCount = -1
    return .success(record(key, late, leaderEpoch: state.snapshot.leaderEpoch))
  }

  /// DeleteShareGroupState. Deleting what is not there succeeds.
  package mutating func delete(_ key: ShareStateKey) -> (error: ErrorCode, records: [ShareStateRecord]) {
    guard key.partition >= 0 else { return (.invalidRequest, []) }
    return (.none, states[key] == nil ? [] : journal(.snapshot(key, nil)))
  }

  /// ReadShareGroupStateSummary.
  package func summary(_ key: ShareStateKey) -> ShareStateSummary {
    guard let state = states[key]?.snapshot else { return .uninitialized }
    return ShareStateSummary(
      stateEpoch: state.stateEpoch, leaderEpoch: state.leaderEpoch, startOffset: state.startOffset,
      deliveryCompleteCount: state.deliveryCompleteCount)
  }

  /// Where records wait for their dead letters.
  package var keysWithLetters: [ShareStateKey] {
    states.filter { $0.value.snapshot.batches.contains { $0.state == .archiving } }.map(\.key)
  }

  // MARK: Housekeeping

  /// The topics are gone, and the state of every group that consumed them with them.
  package mutating func delete(topics: Set<Uuid>) -> [ShareStateRecord] {
    let gone = states.keys.filter { topics.contains($0.topicId) }
    return gone.sorted { $0.coordinatorKey < $1.coordinatorKey }.flatMap { journal(.snapshot($0, nil)) }
  }

  /// New snapshots of what has not been written for long, so that its old one does not keep the whole journal. When
  /// all are like that the journal does not grow either, and nothing is done.
  package mutating func snapshotCold(now: Moment) -> [ShareStateRecord] {
    guard states.values.contains(where: { $0.snapshot.createTimestampMs == $0.snapshot.writeTimestampMs }) else {
      return []
    }
    var records: [ShareStateRecord] = []
    for (key, state) in states.sorted(by: { $0.key.coordinatorKey < $1.key.coordinatorKey }) {
      let (age, overflow) = now.wallMs.subtractingReportingOverflow(state.snapshot.writeTimestampMs)
      guard !overflow, age >= config.coldSnapshotIntervalMs else { continue }
      var snapshot = state.snapshot
      snapshot.snapshotEpoch = Self.next(snapshot.snapshotEpoch)
      snapshot.writeTimestampMs = now.wallMs
      records += journal(.snapshot(key, snapshot))
    }
    return records
  }

  // MARK: -

  static func next(_ epoch: Int32) -> Int32 { epoch == .max ? .max : epoch + 1 }

  private func refusal(of write: ShareStateWrite, _ key: ShareStateKey) -> ShareStateRefusal? {
    guard let state = states[key]?.snapshot else { return .notInitialized }
    if write.startOffset < -1 { return .malformed }
    if write.leaderEpoch != -1, state.leaderEpoch > write.leaderEpoch { return .fencedLeaderEpoch }
    if write.stateEpoch != -1, state.stateEpoch > write.stateEpoch { return .fencedStateEpoch }
    return nil
  }

  private func record(_ key: ShareStateKey, _ write: ShareStateWrite, leaderEpoch: Int32) -> ShareStateRecord {
    let state = states[key]
    return .update(
      key,
      ShareUpdate(
        snapshotEpoch: state?.snapshot.snapshotEpoch ?? 0, leaderEpoch: leaderEpoch, startOffset: write.startOffset,
        deliveryCompleteCount: write.deliveryCompleteCount,
        batches: [].combined(with: write.batches, startOffset: write.startOffset)))
  }

  /// The state has changed as the record says.
  private mutating func journal(_ record: ShareStateRecord) -> [ShareStateRecord] {
    apply(record)
    return [record]
  }
}

/// Why the share coordinator does not do what it was asked.
package enum ShareStateRefusal: Error, Sendable, Equatable {
  case notInitialized
  case malformed
  case fencedLeaderEpoch
  case fencedStateEpoch
  case unsettled

  package var errorCode: ErrorCode {
    switch self {
    case .notInitialized, .malformed: .invalidRequest
    case .fencedLeaderEpoch: .fencedLeaderEpoch
    case .fencedStateEpoch: .fencedStateEpoch
    case .unsettled: .coordinatorLoadInProgress
    }
  }
}
