// ConsumerGroupHeartbeat, key 68 (KIP-848). v1 subscriptions by regular expression; members make their own ids.
//
// The one request of the consumer protocol: it joins, stays, says what it wants and has, leaves, and is told what it is
// to have.

import MillraceCoordination
import MillraceProtocol

struct ConsumerGroupHeartbeatHandler: Handler {
  func handle(
    _ request: ConsumerGroupHeartbeatRequest, _ context: RequestContext, _ reply: Reply<ConsumerGroupHeartbeatResponse>
  ) {
    guard context.broker.servesConsumerProtocol else {
      return reply.send(ConsumerGroupHeartbeatResponse(refusing: .unsupportedVersion))
    }
    let caller = HeartbeatCaller(
      clientId: context.clientId ?? "", clientHost: context.connection.clientHost,
      newMemberId: Uuid.random().description)
    context.broker.groups.heartbeat(request, version: context.version, from: caller) { reply.send($0) }
  }
}

extension Broker {
  /// `group.coordinator.rebalance.protocols` and the feature group.version.
  var servesConsumerProtocol: Bool {
    configuration.servesConsumerProtocol && catalog.groupVersion >= GroupVersion.consumerProtocol
  }
}
