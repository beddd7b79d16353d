// WriteTxnMarkers, key 27 (KIP-98). v1 flexible   v2 transaction version (KIP-890)
//
// From coordinators of other brokers, which there are not, and from an administrator who ends a transaction that no
// coordinator knows of any more (KIP-664).

import MillraceCoordination
import MillraceProtocol

struct WriteTxnMarkersHandler: Handler {
  typealias Asked = WriteTxnMarkersRequest.WritableTxnMarker
  typealias Result = WriteTxnMarkersResponse.WritableTxnMarkerResult

  func handle(
    _ request: WriteTxnMarkersRequest, _ context: RequestContext, _ reply: Reply<WriteTxnMarkersResponse>
  ) {
    let markers = context.broker.transactions.markers
    let gathering = Gathering<Result>(count: request.markers.count) {
      reply.send(WriteTxnMarkersResponse(markers: $0))
    }
    guard !request.markers.isEmpty else { return }
    // On the thread that writes all markers.
    markers.worker.submit {
      for (index, asked) in request.markers.enumerated() {
        Self.write(asked, markers) { gathering.put($0, at: index) }
      }
    }
  }

  private static func write(
    _ asked: Asked, _ markers: TransactionMarkers, _ answer: @escaping @Sendable (Result) -> Void
  ) {
    let partitions = asked.topics.flatMap { topic in
      topic.partitionIndexes.map { TransactionPartition(topic: topic.name, partition: $0) }
    }
    let marker = TransactionMarker(
      producerId: asked.producerId, producerEpoch: asked.producerEpoch, isCommit: asked.transactionResult,
      coordinatorEpoch: asked.coordinatorEpoch, transactionVersion: Int16(asked.transactionVersion))
    let gathering = Gathering<ErrorCode>(count: partitions.count) { codes in
      answer(Result(asked, codes))
    }
    for (index, partition) in partitions.enumerated() {
      markers.append(marker, to: partition) { result in
        switch result {
        case .success: gathering.put(.none, at: index)
        case .failure(.coordinatorLoadInProgress), .failure(.coordinatorNotAvailable), .failure(.notCoordinator):
          gathering.put(.notLeaderOrFollower, at: index)
        case .failure(let error): gathering.put(error, at: index)
        }
      }
    }
  }
}

extension WriteTxnMarkersResponse.WritableTxnMarkerResult {
  /// - Parameter codes: of the partitions, through all topics of the question.
  fileprivate init(_ asked: WriteTxnMarkersHandler.Asked, _ codes: [ErrorCode]) {
    self.init(producerId: asked.producerId)
    var index = 0
    for topic in asked.topics {
      var result = WriteTxnMarkersResponse.WritableTxnMarkerTopicResult(name: topic.name)
      for partition in topic.partitionIndexes {
        result.partitions.append(.init(partitionIndex: partition, errorCode: codes[index].rawValue))
        index += 1
      }
      topics.append(result)
    }
  }
}
