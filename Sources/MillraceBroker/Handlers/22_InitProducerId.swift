// InitProducerId, key 22 (KIP-98). v2 flexible   v3 the producer's own id and epoch (KIP-360)
// v4 PRODUCER_FENCED   v5 TRANSACTION_ABORTABLE (KIP-890)
//
// An idempotent producer gets a new id with epoch 0 every time it asks. A transactional one gets the id that belongs to
// its transactional id, with an epoch that fences whoever had it before.

import MillraceCoordination
import MillraceProtocol

struct InitProducerIdHandler: Handler {
  func handle(_ request: InitProducerIdRequest, _ context: RequestContext, _ reply: Reply<InitProducerIdResponse>) {
    guard request.transactionalId == nil else {
      return context.broker.transactions.initProducerId(request) { response in
        var response = response
        response.errorCode.spellFencing(knownFrom: 4, in: context.version)
        reply.send(response)
      }
    }
    guard (request.producerId >= 0) == (request.producerEpoch >= 0) else {
      return reply.send(InitProducerIdResponse(refusing: .invalidRequest))
    }
    context.broker.catalog.allocateProducerId { result in
      switch result {
      case .success(let id): reply.send(InitProducerIdResponse(producerId: id, producerEpoch: 0))
      case .failure: reply.send(InitProducerIdResponse(refusing: .coordinatorNotAvailable))
      }
    }
  }
}

extension Int16 {
  /// Clients that are older than PRODUCER_FENCED know INVALID_PRODUCER_EPOCH.
  mutating func spellFencing(knownFrom first: Int16, in version: Int16) {
    guard version < first, self == ErrorCode.producerFenced.rawValue else { return }
    self = ErrorCode.invalidProducerEpoch.rawValue
  }
}
