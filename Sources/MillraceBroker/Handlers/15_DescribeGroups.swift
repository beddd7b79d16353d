// DescribeGroups, key 15. Classic groups only: other types are not found here.
//
// v1 throttle time   v3 authorized operations (KIP-430)   v4 group.instance.id (KIP-345)   v5 flexible
// v6 GROUP_ID_NOT_FOUND for a group that is not there (KIP-1043)

import MillraceProtocol

struct DescribeGroupsHandler: Handler {
  func handle(_ request: DescribeGroupsRequest, _ context: RequestContext, _ reply: Reply<DescribeGroupsResponse>) {
    context.broker.groups.describe(request.groups, version: context.version) { groups in
      var groups = groups
      if request.includeAuthorizedOperations {
        for index in groups.indices where groups[index].errorCode == ErrorCode.none.rawValue {
          groups[index].authorizedOperations = AuthorizedOperations.group
        }
      }
      reply.send(DescribeGroupsResponse(groups: groups))
    }
  }
}
