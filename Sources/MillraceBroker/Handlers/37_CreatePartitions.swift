// CreatePartitions, key 37 (KIP-195). v2 flexible   v3 quota errors. Answered when the partitions can be used.

import MillraceCoordination
import MillraceProtocol

struct CreatePartitionsHandler: Handler {
  func handle(_ request: CreatePartitionsRequest, _ context: RequestContext, _ reply: Reply<CreatePartitionsResponse>) {
    let broker = context.broker
    broker.catalog.perform { catalog, _ in
      catalog.decide(request)
    } done: { result in
      switch result {
      case .success(let outcome):
        var response = outcome.answer
        for (id, error) in outcome.failures {
          guard let name = broker.topics.topic(id: id)?.name,
            let index = response.results.firstIndex(where: { $0.name == name })
          else { continue }
          response.results[index].errorCode = error.code.rawValue
          response.results[index].errorMessage = error.message
        }
        reply.send(response)
      case .failure(let error):
        reply.send(
          CreatePartitionsResponse(
            results: request.topics.map {
              .init(name: $0.name, errorCode: error.code.rawValue, errorMessage: error.message)
            }))
      }
    }
  }
}
