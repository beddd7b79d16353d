// ListGroups, key 16.
//
// v1 throttle time   v3 flexible   v4 states: filter and answer (KIP-518)   v5 types: filter and answer (KIP-848)

import MillraceProtocol

struct ListGroupsHandler: Handler {
  func handle(_ request: ListGroupsRequest, _ context: RequestContext, _ reply: Reply<ListGroupsResponse>) {
    context.broker.groups.list(states: request.statesFilter, types: request.typesFilter) { reply.send($0) }
  }
}
