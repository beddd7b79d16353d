// DeleteShareGroupState, key 86 (KIP-932): by the group coordinator. What is not there is deleted already.

import MillraceProtocol

struct DeleteShareGroupStateHandler: Handler {
  func handle(
    _ request: DeleteShareGroupStateRequest, _ context: RequestContext, _ reply: Reply<DeleteShareGroupStateResponse>
  ) {
    typealias Answer = DeleteShareGroupStateResponse.PartitionResult
    ShareStateQuery.ask(
      request.topics.map { ($0.topicId, $0.partitions) }, ofGroup: request.groupId, index: \.partition, context
    ) { (key, _, answer: @escaping @Sendable (Answer) -> Void) in
      let tell = { @Sendable (error: ErrorCode) in
        answer(Answer(partition: key.partition, errorCode: error.rawValue, errorMessage: error.message))
      }
      if let refusal = context.refusal(of: key) { return tell(refusal) }
      context.broker.shareState.delete(key, then: tell)
    } then: { topics in
      reply.send(.init(results: topics.map { .init(topicId: $0.topicId, partitions: $0.partitions) }))
    }
  }
}
