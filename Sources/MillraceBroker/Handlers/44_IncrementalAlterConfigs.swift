// IncrementalAlterConfigs, key 44 (KIP-339): single configs of a resource. v1 flexible.

import MillraceCoordination
import MillraceProtocol

struct IncrementalAlterConfigsHandler: Handler {
  func handle(
    _ request: IncrementalAlterConfigsRequest, _ context: RequestContext,
    _ reply: Reply<IncrementalAlterConfigsResponse>
  ) {
    context.broker.catalog.perform { catalog, _ in
      catalog.decide(request)
    } done: { result in
      switch result {
      case .success(let outcome): reply.send(outcome.answer)
      case .failure(let error):
        reply.send(
          IncrementalAlterConfigsResponse(
            responses: request.resources.map {
              .init(
                errorCode: error.code.rawValue, errorMessage: error.message, resourceType: $0.resourceType,
                resourceName: $0.resourceName)
            }))
      }
    }
  }
}
