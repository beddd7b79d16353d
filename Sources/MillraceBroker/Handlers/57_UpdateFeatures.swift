// UpdateFeatures, key 57 (KIP-584). v0 flexible   v1 kinds of downgrade, validate only (KIP-778)   v2 one answer for
// all.

import MillraceCoordination
import MillraceProtocol

struct UpdateFeaturesHandler: Handler {
  func handle(_ request: UpdateFeaturesRequest, _ context: RequestContext, _ reply: Reply<UpdateFeaturesResponse>) {
    context.broker.catalog.perform { catalog, _ in
      catalog.decide(request, version: context.version)
    } done: { result in
      switch result {
      case .success(let outcome): reply.send(outcome.answer)
      case .failure(let error):
        reply.send(UpdateFeaturesResponse(errorCode: error.code.rawValue, errorMessage: error.message))
      }
    }
  }
}
