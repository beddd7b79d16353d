// ListPartitionReassignments, key 46 (KIP-455). With one broker there is nowhere to move a partition to.

import MillraceProtocol

struct ListPartitionReassignmentsHandler: Handler {
  func handle(
    _ request: ListPartitionReassignmentsRequest, _ context: RequestContext,
    _ reply: Reply<ListPartitionReassignmentsResponse>
  ) {
    reply.send(ListPartitionReassignmentsResponse())
  }
}
