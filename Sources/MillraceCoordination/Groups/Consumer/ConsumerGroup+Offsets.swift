// What a consumer group allows to be done to its committed offsets.

import MillraceProtocol

extension ConsumerGroup {
  /// From this version of OffsetCommit on the generation can be a member epoch.
  private static let firstEpochVersion: Int16 = 9

  /// Members commit in their epoch; a client without membership may commit only while the group is empty.
  func refusalOfCommit(memberId: String, epoch claimed: Int32, version: Int16) -> ErrorCode? {
    if claimed < 0 && members.isEmpty { return nil }
    guard let member = members[memberId] else { return .unknownMemberId }
    if !member.usesClassicProtocol && version < Self.firstEpochVersion { return .unsupportedVersion }
    return refusal(of: member, epoch: claimed)
  }

  /// Producers need not say who they are; what they say is checked. They know generations only.
  func refusalOfTransactionalCommit(memberId: String, groupInstanceId: String?, epoch claimed: Int32) -> ErrorCode? {
    if claimed < 0 && members.isEmpty { return nil }
    if claimed == -1 && memberId.isEmpty && groupInstanceId == nil { return nil }
    guard let member = members[memberId] else { return .unknownMemberId }
    return member.epoch == claimed ? nil : .illegalGeneration
  }

  func refusalOfFetch(memberId: String?, epoch claimed: Int32) -> ErrorCode? {
    if memberId == nil && claimed < 0 { return nil }
    guard let member = members[memberId ?? ""] else { return .unknownMemberId }
    return refusal(of: member, epoch: claimed)
  }

  private func refusal(of member: ConsumerMember, epoch claimed: Int32) -> ErrorCode? {
    if member.epoch == claimed { return nil }
    return member.usesClassicProtocol ? .illegalGeneration : .staleMemberEpoch
  }
}
