// Answers that say of everything in a request that it failed.

import MillraceBroker
import MillraceProtocol
import NIOCore

enum Refusal {
  /// Nil for a request whose answer has no place for an error here. Throws when the request does not decode.
  static func answer(to frame: ByteBuffer, with code: ErrorCode) throws -> ResponseOutcome? {
    var reader = MessageReader(frame)
    let header = try RequestHeader.read(from: &reader)
    let error = code.rawValue

    func answer<R: ResponseMessage>(_ response: R) throws -> ResponseOutcome {
      let encoded = try encodeResponse(response, version: header.apiVersion, correlationId: header.correlationId)
      return .respond(OutgoingResponse(bytes: encoded.buffer))
    }

    switch header.apiKey {
    case .produce:
      let request = try ProduceRequest(from: &reader, version: header.apiVersion)
      if request.acks == 0 { return .nothing }
      return try answer(
        ProduceResponse(
          responses: request.topicData.map { topic in
            .init(
              name: topic.name, topicId: topic.topicId,
              partitionResponses: topic.partitionData.map {
                .init(index: $0.index, errorCode: error, baseOffset: -1)
              })
          }))
    case .offsetCommit:
      let request = try OffsetCommitRequest(from: &reader, version: header.apiVersion)
      return try answer(
        OffsetCommitResponse(
          topics: request.topics.map { topic in
            .init(
              name: topic.name, topicId: topic.topicId,
              partitions: topic.partitions.map { .init(partitionIndex: $0.partitionIndex, errorCode: error) })
          }))
    case .fetch: return try answer(FetchResponse(errorCode: error))
    case .joinGroup: return try answer(JoinGroupResponse(errorCode: error))
    case .syncGroup: return try answer(SyncGroupResponse(errorCode: error))
    case .heartbeat: return try answer(HeartbeatResponse(errorCode: error))
    case .consumerGroupHeartbeat: return try answer(ConsumerGroupHeartbeatResponse(errorCode: error))
    case .initProducerId: return try answer(InitProducerIdResponse(errorCode: error))
    case .addOffsetsToTxn: return try answer(AddOffsetsToTxnResponse(errorCode: error))
    case .endTxn: return try answer(EndTxnResponse(errorCode: error))
    default: return nil
    }
  }
}
