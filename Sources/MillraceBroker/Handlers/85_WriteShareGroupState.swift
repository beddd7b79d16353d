// WriteShareGroupState, key 85 (KIP-932): by the leader of the share-partition. v1 the count of deliveries that are
// complete (KIP-1226).

import MillraceCoordination
import MillraceProtocol

struct WriteShareGroupStateHandler: Handler {
  func handle(
    _ request: WriteShareGroupStateRequest, _ context: RequestContext, _ reply: Reply<WriteShareGroupStateResponse>
  ) {
    typealias Answer = WriteShareGroupStateResponse.PartitionResult
    ShareStateQuery.ask(
      request.topics.map { ($0.topicId, $0.partitions) }, ofGroup: request.groupId, index: \.partition, context
    ) { (key, asked, answer: @escaping @Sendable (Answer) -> Void) in
      let tell = { @Sendable (error: ErrorCode) in
        answer(Answer(partition: key.partition, errorCode: error.rawValue, errorMessage: error.message))
      }
      guard let write = ShareStateWrite(asked) else { return tell(.invalidRequest) }
      context.broker.shareState.write(key, write, then: tell)
    } then: { topics in
      reply.send(.init(results: topics.map { .init(topicId: $0.topicId, partitions: $0.partitions) }))
    }
  }
}
