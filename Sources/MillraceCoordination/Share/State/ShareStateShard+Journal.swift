// Taking in facts: from the journal at start, and from the shard's own decisions; and which part of the journal is
// still needed.

import MillraceProtocol

extension ShareStateShard {
  /// - Parameters:
  ///   - offset: of the record in the journal.
  ///   - producerId: of its batch, if that is part of a transaction.
  package mutating func replay(_ record: ShareStateRecord, at offset: Int64, producerId: Int64? = nil) {
    if let producerId {
      // Only updates are written in transactions.
      guard case .update(let key, let update) = record else { return }
      pending[producerId, default: []].append(PendingUpdate(key: key, update: update, offset: offset))
      extent.last = max(extent.last ?? offset, offset)
    } else {
      apply(record)
      journaled(record, at: offset)
    }
  }

  /// The transaction of this producer has ended in the journal.
  package mutating func ended(producerId: Int64, isCommit: Bool) {
    guard let updates = pending.removeValue(forKey: producerId), isCommit else { return }
    for one in updates {
      guard let state = states[one.key] else { continue }
      // It takes effect here, which may be after snapshots that do not have it: so it is needed until the next one.
      if state.applies(one.update) { extent.keep(one.key, from: one.offset) }
      apply(.update(one.key, one.update))
    }
  }

  /// A record that the shard decided has this place in the journal.
  package mutating func journaled(_ record: ShareStateRecord, at offset: Int64) {
    extent.last = max(extent.last ?? offset, offset)
    if case .snapshot(let key, let snapshot) = record {
      extent.neededFrom[key] = snapshot == nil ? nil : offset
    } else if extent.neededFrom[record.key] == nil {
      extent.neededFrom[record.key] = offset
    }
  }

  /// The journal is not needed below this offset. Nil when nothing is known of it.
  package var prunableBelow: Int64? {
    guard let last = extent.last else { return nil }
    let transactions = pending.values.compactMap { $0.map(\.offset).min() }.min()
    return min(extent.neededFrom.values.min() ?? last, transactions ?? last)
  }

  mutating func apply(_ record: ShareStateRecord) {
    switch record {
    case .snapshot(let key, nil):
      states[key] = nil
    case .snapshot(let key, var snapshot?):
      let before = states[key]
      let beginsAnew =
        (snapshot.batches.isEmpty && snapshot.deliveryCompleteCount == -1)
        || before.map { $0.hasSnapshot && snapshot.stateEpoch > $0.snapshot.stateEpoch } == true
      let initial = beginsAnew ? snapshot.snapshotEpoch : before?.initialSnapshotEpoch ?? .min
      // Epochs only rise, so that whoever was fenced once stays so.
      snapshot.stateEpoch = max(snapshot.stateEpoch, before?.snapshot.stateEpoch ?? .min)
      snapshot.leaderEpoch = max(snapshot.leaderEpoch, before?.snapshot.leaderEpoch ?? .min)
      snapshot.batches = [].combined(with: snapshot.batches, startOffset: snapshot.startOffset)
      states[key] = ShareState(snapshot: snapshot, initialSnapshotEpoch: initial)
    case .update(let key, let update):
      // In place: the batches are not copied.
      if states[key]?.merge(update) == nil {
        // The journal begins within the updates. The next snapshot has the rest; should there be none, which no pruning
        // of ours leaves behind, what the updates say is all there is.
        let snapshot = ShareSnapshot(
          snapshotEpoch: update.snapshotEpoch, stateEpoch: 0, leaderEpoch: update.leaderEpoch,
          startOffset: update.startOffset, deliveryCompleteCount: update.deliveryCompleteCount,
          createTimestampMs: 0, writeTimestampMs: 0,
          batches: [].combined(with: update.batches, startOffset: update.startOffset))
        states[key] = ShareState(snapshot: snapshot, initialSnapshotEpoch: .min, hasSnapshot: false)
      }
    }
  }
}

extension ShareState {
  /// Not if the state began anew after the update was made.
  func applies(_ update: ShareUpdate) -> Bool { update.snapshotEpoch >= initialSnapshotEpoch }

  mutating func merge(_ update: ShareUpdate) {
    guard applies(update) else { return }
    if update.startOffset != -1 { snapshot.startOffset = update.startOffset }
    if update.leaderEpoch != -1 { snapshot.leaderEpoch = max(snapshot.leaderEpoch, update.leaderEpoch) }
    if update.deliveryCompleteCount != -1 { snapshot.deliveryCompleteCount = update.deliveryCompleteCount }
    snapshot.batches.combine(with: update.batches, startOffset: snapshot.startOffset)
    if updatesSinceSnapshot < .max { updatesSinceSnapshot += 1 }
  }
}

/// Which part of the journal is needed: for each share-partition all from its last snapshot on.
struct JournalExtent: Sendable, Equatable {
  var neededFrom: [ShareStateKey: Int64] = [:]
  var last: Int64?

  mutating func keep(_ key: ShareStateKey, from offset: Int64) {
    neededFrom[key] = min(neededFrom[key] ?? offset, offset)
  }
}
