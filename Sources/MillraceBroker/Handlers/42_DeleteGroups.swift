// DeleteGroups, key 42 (KIP-229). v2 flexible.
//
// Deletes empty groups with their offsets. An id that is named twice is answered once.

import MillraceCoordination
import MillraceProtocol

struct DeleteGroupsHandler: Handler {
  func handle(_ request: DeleteGroupsRequest, _ context: RequestContext, _ reply: Reply<DeleteGroupsResponse>) {
    context.broker.groups.delete(request.groupsNames.eachOnce()) { reply.send(DeleteGroupsResponse(results: $0)) }
  }
}
