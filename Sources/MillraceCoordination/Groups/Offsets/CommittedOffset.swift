// Where a group is in a partition, as last committed.

import MillraceProtocol

package struct CommittedOffset: Sendable, Equatable {
  /// In a record: the offset expires with its group, not at a time of its own.
  static let noExpiry: Int64 = -1

  package var offset: Int64
  /// -1 if the client did not say (KIP-320).
  package var leaderEpoch: Int32
  package var metadata: String
  package var commitTimestampMs: Int64
  /// From clients older than OffsetCommit v5, which set a retention of their own.
  package var expireTimestampMs: Int64?
  /// Zero if it was committed by topic name (KIP-848).
  package var topicId: Uuid

  init(
    offset: Int64, leaderEpoch: Int32, metadata: String, commitTimestampMs: Int64, expireTimestampMs: Int64?,
    topicId: Uuid
  ) {
    self.offset = offset
    self.leaderEpoch = leaderEpoch
    self.metadata = metadata
    self.commitTimestampMs = commitTimestampMs
    self.expireTimestampMs = expireTimestampMs
    self.topicId = topicId
  }

  init(_ value: OffsetCommitValue) {
    self.init(
      offset: value.offset, leaderEpoch: value.leaderEpoch, metadata: value.metadata,
      commitTimestampMs: value.commitTimestamp,
      expireTimestampMs: value.expireTimestamp == Self.noExpiry ? nil : value.expireTimestamp, topicId: value.topicId)
  }

  func record(groupId: String, topic: String, partition: Int32) -> GroupRecord {
    .offset(
      OffsetCommitKey(group: groupId, topic: topic, partition: partition),
      OffsetCommitValue(
        offset: offset, leaderEpoch: leaderEpoch, metadata: metadata, commitTimestamp: commitTimestampMs,
        expireTimestamp: expireTimestampMs ?? Self.noExpiry, topicId: topicId))
  }

  static func tombstone(groupId: String, topic: String, partition: Int32) -> GroupRecord {
    .offset(OffsetCommitKey(group: groupId, topic: topic, partition: partition), nil)
  }

  /// Whether it says something about the topic that the caller means: one of the same name that was deleted since
  /// does not count. Callers and commits that know no id match everything.
  func belongs(to expected: Uuid) -> Bool {
    topicId == .zero || expected == .zero || topicId == expected
  }
}
