// SyncGroup, key 14.
//
// v1 throttle time   v3 group.instance.id (KIP-345)   v4 flexible   v5 protocol type and name, both ways (KIP-559)
//
// Answered when the leader's assignment is durable.

import MillraceCoordination
import MillraceProtocol

struct SyncGroupHandler: Handler {
  func handle(_ request: SyncGroupRequest, _ context: RequestContext, _ reply: Reply<SyncGroupResponse>) {
    if context.version >= 5, request.protocolType == nil || request.protocolName == nil {
      return reply.send(SyncGroupResponse(refusing: .inconsistentGroupProtocol))
    }
    context.broker.groups.sync(request) { reply.send($0) }
  }
}
