// InitProducerId, key 22 (KIP-98). v2 flexible   v3 the producer's own id and epoch (KIP-360)   v4, v5 error codes.
//
// An idempotent producer gets a new id with epoch 0 every time it asks. Transactional ids need a transaction
// coordinator, which this broker does not have.

import MillraceCoordination
import MillraceProtocol

struct InitProducerIdHandler: Handler {
  func handle(_ request: InitProducerIdRequest, _ context: RequestContext, _ reply: Reply<InitProducerIdResponse>) {
    @Sendable func fail(_ code: ErrorCode) {
      reply.send(InitProducerIdResponse(errorCode: code.rawValue, producerId: -1, producerEpoch: -1))
    }
    if let id = request.transactionalId {
      return fail(id.isEmpty ? .invalidRequest : .transactionalIdAuthorizationFailed)
    }
    guard (request.producerId >= 0) == (request.producerEpoch >= 0) else { return fail(.invalidRequest) }
    context.broker.catalog.allocateProducerId { result in
      switch result {
      case .success(let id): reply.send(InitProducerIdResponse(producerId: id, producerEpoch: 0))
      case .failure: fail(.coordinatorNotAvailable)
      }
    }
  }
}
