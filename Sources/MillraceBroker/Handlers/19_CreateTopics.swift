// CreateTopics, key 19.
//
// v4 defaults with -1 (KIP-464)   v5 flexible; the answer has configs and counts (KIP-525)   v6 quota errors   v7 topic
// ids. Answered when the topics can be used, whatever the time-out of the request: that is soon.

import MillraceCoordination
import MillraceProtocol

struct CreateTopicsHandler: Handler {
  func handle(_ request: CreateTopicsRequest, _ context: RequestContext, _ reply: Reply<CreateTopicsResponse>) {
    context.broker.catalog.perform { catalog, random in
      catalog.decide(request, random: &random)
    } done: { result in
      switch result {
      case .success(let outcome):
        var response = outcome.answer
        for index in response.topics.indices {
          guard let error = outcome.failures[response.topics[index].topicId] else { continue }
          response.topics[index] = Self.failure(response.topics[index].name, error)
        }
        reply.send(response)
      case .failure(let error):
        reply.send(CreateTopicsResponse(topics: request.topics.map { Self.failure($0.name, error) }))
      }
    }
  }

  private static func failure(_ name: String, _ error: CatalogError) -> CreateTopicsResponse.CreatableTopicResult {
    CreateTopicsResponse.CreatableTopicResult(
      name: name, errorCode: error.code.rawValue, errorMessage: error.message)
  }
}
