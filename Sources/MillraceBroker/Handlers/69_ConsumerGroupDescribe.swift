// ConsumerGroupDescribe, key 69 (KIP-848). Groups of the consumer protocol only. v1 member types, for members that have
// come by the classic protocol (KIP-1099).

import MillraceProtocol

struct ConsumerGroupDescribeHandler: Handler {
  func handle(
    _ request: ConsumerGroupDescribeRequest, _ context: RequestContext, _ reply: Reply<ConsumerGroupDescribeResponse>
  ) {
    context.broker.groups.describeConsumerGroups(request.groupIds) { groups in
      var groups = groups
      if request.includeAuthorizedOperations {
        for index in groups.indices where groups[index].errorCode == ErrorCode.none.rawValue {
          groups[index].authorizedOperations = AuthorizedOperations.group
        }
      }
      reply.send(ConsumerGroupDescribeResponse(groups: groups))
    }
  }
}
