// AlterConfigs, key 33 (KIP-133): the whole set of a resource's configs. v2 flexible.

import MillraceCoordination
import MillraceProtocol

struct AlterConfigsHandler: Handler {
  func handle(_ request: AlterConfigsRequest, _ context: RequestContext, _ reply: Reply<AlterConfigsResponse>) {
    context.broker.catalog.perform { catalog, _ in
      catalog.decide(request)
    } done: { result in
      switch result {
      case .success(let outcome): reply.send(outcome.answer)
      case .failure(let error):
        reply.send(
          AlterConfigsResponse(
            responses: request.resources.map {
              .init(
                errorCode: error.code.rawValue, errorMessage: error.message, resourceType: $0.resourceType,
                resourceName: $0.resourceName)
            }))
      }
    }
  }
}
