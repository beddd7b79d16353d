// LeaveGroup, key 13.
//
// v1 throttle time   v3 several members, by id or group.instance.id (KIP-345)   v4 flexible   v5 reason (KIP-800)

import MillraceProtocol

struct LeaveGroupHandler: Handler {
  func handle(_ request: LeaveGroupRequest, _ context: RequestContext, _ reply: Reply<LeaveGroupResponse>) {
    context.broker.groups.leave(request, version: context.version) { reply.send($0) }
  }
}
