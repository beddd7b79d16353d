// ShareGroupDescribe, key 77 (KIP-932). Share groups only.

import MillraceProtocol

struct ShareGroupDescribeHandler: Handler {
  func handle(
    _ request: ShareGroupDescribeRequest, _ context: RequestContext, _ reply: Reply<ShareGroupDescribeResponse>
  ) {
    guard context.broker.servesShareGroups else {
      return reply.send(
        .init(
          groups: request.groupIds.map { .init(errorCode: ErrorCode.unsupportedVersion.rawValue, groupId: $0) }))
    }
    context.broker.groups.describeShareGroups(request.groupIds) { groups in
      var groups = groups
      if request.includeAuthorizedOperations {
        for index in groups.indices where groups[index].errorCode == ErrorCode.none.rawValue {
          groups[index].authorizedOperations = AuthorizedOperations.group
        }
      }
      reply.send(ShareGroupDescribeResponse(groups: groups))
    }
  }
}
