// InitializeShareGroupState, key 83 (KIP-932): by the group coordinator, for share-partitions that the group is to
// consume from now on, or from another offset.

import MillraceProtocol

struct InitializeShareGroupStateHandler: Handler {
  func handle(
    _ request: InitializeShareGroupStateRequest, _ context: RequestContext,
    _ reply: Reply<InitializeShareGroupStateResponse>
  ) {
    typealias Answer = InitializeShareGroupStateResponse.PartitionResult
    ShareStateQuery.ask(
      request.topics.map { ($0.topicId, $0.partitions) }, ofGroup: request.groupId, index: \.partition, context
    ) { (key, asked, answer: @escaping @Sendable (Answer) -> Void) in
      let tell = { @Sendable (error: ErrorCode) in
        answer(Answer(partition: key.partition, errorCode: error.rawValue, errorMessage: error.message))
      }
      if let refusal = context.refusal(of: key) { return tell(refusal) }
      context.broker.shareState.initialize(
        key, stateEpoch: asked.stateEpoch, startOffset: asked.startOffset, then: tell)
    } then: { topics in
      reply.send(.init(results: topics.map { .init(topicId: $0.topicId, partitions: $0.partitions) }))
    }
  }
}
