// What administrators see of a classic group.

import MillraceProtocol
import NIOCore

extension ClassicGroup {
  /// As ListGroups v5 names it; `typesFilter` is compared without regard to case.
  static let typeName = "classic"

  func described() -> DescribeGroupsResponse.DescribedGroup {
    // Outside of a stable generation there is no protocol in use and so nothing that a member says under it.
    let isStable = state == .stable
    return DescribeGroupsResponse.DescribedGroup(
      errorCode: ErrorCode.none.rawValue, groupId: groupId, groupState: state.rawValue,
      protocolType: protocolType ?? "", protocolData: isStable ? protocolName ?? "" : "",
      members: members.values.map { member in
        DescribeGroupsResponse.DescribedGroupMember(
          memberId: member.memberId, groupInstanceId: member.groupInstanceId, clientId: member.clientId,
          clientHost: member.clientHost,
          memberMetadata: isStable ? member.metadata(for: protocolName) ?? ByteBuffer() : ByteBuffer(),
          memberAssignment: member.assignment)
      })
  }

  func listed() -> ListGroupsResponse.ListedGroup {
    ListGroupsResponse.ListedGroup(
      groupId: groupId, protocolType: protocolType ?? "", groupState: state.rawValue, groupType: Self.typeName)
  }
}
