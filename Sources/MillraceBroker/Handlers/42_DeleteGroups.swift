// DeleteGroups, key 42 (KIP-229). v2 flexible.
//
// Deletes empty groups with their offsets. An id that is named twice is answered once.

import MillraceProtocol

struct DeleteGroupsHandler: Handler {
  func handle(_ request: DeleteGroupsRequest, _ context: RequestContext, _ reply: Reply<DeleteGroupsResponse>) {
    var seen: Set<String> = []
    let groupIds = request.groupsNames.filter { seen.insert($0).inserted }
    context.broker.groups.delete(groupIds) { reply.send(DeleteGroupsResponse(results: $0)) }
  }
}
