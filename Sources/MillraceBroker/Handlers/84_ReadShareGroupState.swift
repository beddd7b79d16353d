// ReadShareGroupState, key 84 (KIP-932): by the leader of the share-partition. From then on those before it are fenced.

import MillraceProtocol

struct ReadShareGroupStateHandler: Handler {
  func handle(
    _ request: ReadShareGroupStateRequest, _ context: RequestContext, _ reply: Reply<ReadShareGroupStateResponse>
  ) {
    typealias Answer = ReadShareGroupStateResponse.PartitionResult
    ShareStateQuery.ask(
      request.topics.map { ($0.topicId, $0.partitions) }, ofGroup: request.groupId, index: \.partition, context
    ) { (key, asked, answer: @escaping @Sendable (Answer) -> Void) in
      context.broker.shareState.read(key, leaderEpoch: asked.leaderEpoch) { result in
        switch result {
        case .success(let state):
          answer(
            Answer(
              partition: key.partition, stateEpoch: state.stateEpoch, startOffset: state.startOffset,
              stateBatches: state.batches.map { $0.message() }))
        case .failure(let error):
          answer(Answer(partition: key.partition, errorCode: error.rawValue, errorMessage: error.message))
        }
      }
    } then: { topics in
      reply.send(.init(results: topics.map { .init(topicId: $0.topicId, partitions: $0.partitions) }))
    }
  }
}
