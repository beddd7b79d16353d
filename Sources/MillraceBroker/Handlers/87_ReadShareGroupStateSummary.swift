// ReadShareGroupStateSummary, key 87 (KIP-932): by the group coordinator, to describe offsets. v1 leader epoch and the
// count of deliveries that are complete (KIP-1226). A share-partition that was never initialized has start offset -1.

import MillraceProtocol

struct ReadShareGroupStateSummaryHandler: Handler {
  func handle(
    _ request: ReadShareGroupStateSummaryRequest, _ context: RequestContext,
    _ reply: Reply<ReadShareGroupStateSummaryResponse>
  ) {
    typealias Answer = ReadShareGroupStateSummaryResponse.PartitionResult
    ShareStateQuery.ask(
      request.topics.map { ($0.topicId, $0.partitions) }, ofGroup: request.groupId, index: \.partition, context
    ) { (key, _, answer: @escaping @Sendable (Answer) -> Void) in
      let refuse = { @Sendable (error: ErrorCode) in
        answer(Answer(partition: key.partition, errorCode: error.rawValue, errorMessage: error.message))
      }
      if let refusal = context.refusal(of: key) { return refuse(refusal) }
      context.broker.shareState.summary(key) { result in
        switch result {
        case .success(let summary):
          answer(
            Answer(
              partition: key.partition, stateEpoch: summary.stateEpoch, leaderEpoch: summary.leaderEpoch,
              startOffset: summary.startOffset, deliveryCompleteCount: summary.deliveryCompleteCount))
        case .failure(let error): refuse(error)
        }
      }
    } then: { topics in
      reply.send(.init(results: topics.map { .init(topicId: $0.topicId, partitions: $0.partitions) }))
    }
  }
}
