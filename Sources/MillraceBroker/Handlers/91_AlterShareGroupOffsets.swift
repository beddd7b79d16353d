// AlterShareGroupOffsets, key 91 (KIP-932): where an empty group begins in some partitions. It is founded by that.

import MillraceCoordination
import MillraceProtocol

struct AlterShareGroupOffsetsHandler: Handler {
  func handle(
    _ request: AlterShareGroupOffsetsRequest, _ context: RequestContext, _ reply: Reply<AlterShareGroupOffsetsResponse>
  ) {
    guard context.broker.servesShareGroups else { return reply.send(.init(refusing: .unsupportedVersion)) }
    context.broker.groups.alterOffsets(request) { response in
      context.connection.execute { reply.send(response) }
    }
  }
}
