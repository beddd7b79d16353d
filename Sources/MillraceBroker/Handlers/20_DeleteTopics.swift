// DeleteTopics, key 20. v4 flexible   v5 error messages   v6 by name or by id (KIP-516).

import MillraceCoordination
import MillraceProtocol

struct DeleteTopicsHandler: Handler {
  func handle(_ request: DeleteTopicsRequest, _ context: RequestContext, _ reply: Reply<DeleteTopicsResponse>) {
    context.broker.catalog.perform { catalog, _ in
      catalog.decide(request, version: context.version)
    } done: { result in
      switch result {
      case .success(let outcome): reply.send(outcome.answer)
      case .failure(let error):
        let asked = request.topics + request.topicNames.map { .init(name: $0) }
        reply.send(
          DeleteTopicsResponse(
            responses: asked.map {
              .init(
                name: $0.name, topicId: $0.topicId, errorCode: error.code.rawValue, errorMessage: error.message)
            }))
      }
    }
  }
}
