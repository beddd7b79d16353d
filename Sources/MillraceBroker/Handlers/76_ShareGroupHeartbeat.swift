// ShareGroupHeartbeat, key 76 (KIP-932). v1 is the first that is final.
//
// The one request of membership in a share group: it joins, stays, says what it wants, leaves, and is told what to
// fetch from.

import MillraceCoordination
import MillraceProtocol

struct ShareGroupHeartbeatHandler: Handler {
  /// As in Kafka: a UUID in its long form, and everything shorter.
  private static let maxMemberIdLength = 36

  func handle(
    _ request: ShareGroupHeartbeatRequest, _ context: RequestContext, _ reply: Reply<ShareGroupHeartbeatResponse>
  ) {
    guard context.broker.servesShareGroups else {
      return reply.send(ShareGroupHeartbeatResponse(refusing: .unsupportedVersion))
    }
    guard request.memberId.utf16.count <= Self.maxMemberIdLength else {
      return reply.send(ShareGroupHeartbeatResponse(refusing: .invalidRequest))
    }
    let caller = HeartbeatCaller(clientId: context.clientId ?? "", clientHost: context.connection.clientHost)
    context.broker.groups.heartbeat(request, from: caller) { reply.send($0) }
  }
}

extension Broker {
  /// The feature share.version.
  package var servesShareGroups: Bool { catalog.shareVersion >= ShareVersion.shareGroups }
}
