// The facts that the share coordinator journals in __share_group_state, as Kafka 4.2 writes them.
//
//   key    [type: Int16 = 0][ShareSnapshotKey v0]   the whole state of a share-partition; no value: it is deleted
//   key    [type: Int16 = 1][ShareUpdateKey v0]     what has changed since the snapshot of the same snapshot epoch
//   value  [version: Int16 = 0][the value message]
//
// The topic is not compacted: what snapshots have made needless is removed from its beginning.

import MillraceProtocol
import NIOCore

/// A share-partition: one partition of a topic, as one share group consumes it.
package struct ShareStateKey: Hashable, Sendable {
  package var groupId: String
  package var topicId: Uuid
  package var partition: Int32

  package init(groupId: String, topicId: Uuid, partition: Int32) {
    self.groupId = groupId
    self.topicId = topicId
    self.partition = partition
  }

  /// The key by which FindCoordinator asks for it (key type 2), and whose hash picks the partition of the journal.
  package var coordinatorKey: String { "\(groupId):\(topicId):\(partition)" }

  /// Nil for a text that is none.
  package init?(coordinatorKey: String) {
    let parts = coordinatorKey.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].contains(where: { !$0.isWhitespace }),
      let topicId = Uuid(base64: String(parts[1])),
      let partition = Int32(parts[2])
    else { return nil }
    self.init(groupId: String(parts[0]), topicId: topicId, partition: partition)
  }
}

package enum ShareStateRecord: Sendable, Equatable {
  case snapshot(ShareStateKey, ShareSnapshot?)
  case update(ShareStateKey, ShareUpdate)

  package var key: ShareStateKey {
    switch self {
    case .snapshot(let key, _), .update(let key, _): key
    }
  }
}

package struct ShareSnapshot: Sendable, Equatable {
  package var snapshotEpoch: Int32
  package var stateEpoch: Int32
  package var leaderEpoch: Int32
  package var startOffset: Int64
  /// -1: not known.
  package var deliveryCompleteCount: Int32
  package var createTimestampMs: Int64
  package var writeTimestampMs: Int64
  package var batches: [ShareStateBatch]
}

package struct ShareUpdate: Sendable, Equatable {
  package var snapshotEpoch: Int32
  package var leaderEpoch: Int32
  /// -1: as before.
  package var startOffset: Int64
  /// -1: not known.
  package var deliveryCompleteCount: Int32
  package var batches: [ShareStateBatch]
}

package enum ShareStateRecordError: Error, Equatable {
  case malformed(ProtocolError)
  /// The batches are no state: see `ShareStateBatch`.
  case malformedBatch
}

extension ShareStateRecord {
  private static let valueVersion: Int16 = 0

  package func encode() throws(ProtocolError) -> (key: ByteBuffer, value: ByteBuffer?) {
    switch self {
    case .snapshot(let key, let snapshot):
      let recordKey = ShareSnapshotKey(groupId: key.groupId, topicId: key.topicId, partition: key.partition)
      guard let snapshot else { return (try CoordinatorRecord.encodeKey(recordKey), nil) }
      let value = ShareSnapshotValue(
        snapshotEpoch: snapshot.snapshotEpoch, stateEpoch: snapshot.stateEpoch, leaderEpoch: snapshot.leaderEpoch,
        startOffset: snapshot.startOffset, deliveryCompleteCount: snapshot.deliveryCompleteCount,
        createTimestamp: snapshot.createTimestampMs, writeTimestamp: snapshot.writeTimestampMs,
        stateBatches: snapshot.batches.map { $0.message() })
      return (
        try CoordinatorRecord.encodeKey(recordKey),
        try CoordinatorRecord.encodeValue(value, version: Self.valueVersion)
      )
    case .update(let key, let update):
      let recordKey = ShareUpdateKey(groupId: key.groupId, topicId: key.topicId, partition: key.partition)
      let value = ShareUpdateValue(
        snapshotEpoch: update.snapshotEpoch, leaderEpoch: update.leaderEpoch, startOffset: update.startOffset,
        deliveryCompleteCount: update.deliveryCompleteCount, stateBatches: update.batches.map { $0.message() })
      return (
        try CoordinatorRecord.encodeKey(recordKey),
        try CoordinatorRecord.encodeValue(value, version: Self.valueVersion)
      )
    }
  }

  /// The fact in a record of the log, or nil for one that belongs to somebody else.
  package static func decode(key: ByteBuffer, value: ByteBuffer?) throws(ShareStateRecordError) -> ShareStateRecord? {
    do {
      switch try CoordinatorRecord.recordType(ofKey: key) {
      case ShareSnapshotKey.apiKey:
        let recordKey = try CoordinatorRecord.decodeKey(ShareSnapshotKey.self, from: key)
        let key = ShareStateKey(
          groupId: recordKey.groupId, topicId: recordKey.topicId, partition: recordKey.partition)
        guard let value else { return .snapshot(key, nil) }
        let decoded = try CoordinatorRecord.decodeValue(ShareSnapshotValue.self, from: value)
        return .snapshot(
          key,
          ShareSnapshot(
            snapshotEpoch: decoded.snapshotEpoch, stateEpoch: decoded.stateEpoch, leaderEpoch: decoded.leaderEpoch,
            startOffset: decoded.startOffset, deliveryCompleteCount: decoded.deliveryCompleteCount,
            createTimestampMs: decoded.createTimestamp, writeTimestampMs: decoded.writeTimestamp,
            batches: try batches(decoded.stateBatches)))
      case ShareUpdateKey.apiKey:
        let recordKey = try CoordinatorRecord.decodeKey(ShareUpdateKey.self, from: key)
        guard let value else { return nil }
        let decoded = try CoordinatorRecord.decodeValue(ShareUpdateValue.self, from: value)
        return .update(
          ShareStateKey(groupId: recordKey.groupId, topicId: recordKey.topicId, partition: recordKey.partition),
          ShareUpdate(
            snapshotEpoch: decoded.snapshotEpoch, leaderEpoch: decoded.leaderEpoch, startOffset: decoded.startOffset,
            deliveryCompleteCount: decoded.deliveryCompleteCount, batches: try batches(decoded.stateBatches)))
      default:
        return nil
      }
    } catch let error as ProtocolError {
      throw .malformed(error)
    } catch {
      throw .malformedBatch
    }
  }

  private static func batches(
    _ messages: [some ShareStateBatchMessage]
  ) throws(ShareStateRecordError) -> [ShareStateBatch] {
    var batches: [ShareStateBatch] = []
    batches.reserveCapacity(messages.count)
    for message in messages {
      guard let batch = ShareStateBatch(message) else { throw .malformedBatch }
      batches.append(batch)
    }
    return batches
  }
}
