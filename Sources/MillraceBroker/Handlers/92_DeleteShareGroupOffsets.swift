// DeleteShareGroupOffsets, key 92 (KIP-932): an empty group forgets where it is in some topics.

import MillraceCoordination
import MillraceProtocol

struct DeleteShareGroupOffsetsHandler: Handler {
  func handle(
    _ request: DeleteShareGroupOffsetsRequest, _ context: RequestContext,
    _ reply: Reply<DeleteShareGroupOffsetsResponse>
  ) {
    guard context.broker.servesShareGroups else { return reply.send(.init(refusing: .unsupportedVersion)) }
    context.broker.groups.deleteOffsets(request) { response in
      context.connection.execute { reply.send(response) }
    }
  }
}
