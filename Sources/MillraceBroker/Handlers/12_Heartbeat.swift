// Heartbeat, key 12.
//
// v1 throttle time   v3 group.instance.id (KIP-345)   v4 flexible
//
// Touches nothing but the member's deadline, so it is answered at once.

import MillraceProtocol

struct HeartbeatHandler: Handler {
  func handle(_ request: HeartbeatRequest, _ context: RequestContext, _ reply: Reply<HeartbeatResponse>) {
    reply.send(context.broker.groups.heartbeat(request))
  }
}
