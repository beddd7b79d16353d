// DeleteTopics, by name or by id (KIP-516).

import MillraceProtocol

extension Catalog {
  package func decide(
    _ request: DeleteTopicsRequest, version: Int16
  ) -> CatalogDecision<DeleteTopicsResponse> {
    var wanted = request.topics
    wanted += request.topicNames.map { DeleteTopicsRequest.DeleteTopicState(name: $0) }
    guard settings.isTopicDeletionEnabled else {
      // TOPIC_DELETION_DISABLED is known to clients since version 3.
      let code: ErrorCode = version < 3 ? .invalidRequest : .topicDeletionDisabled
      let error = CatalogError(code, "Topics cannot be deleted here: delete.topic.enable is false.")
      return CatalogDecision(answer: DeleteTopicsResponse(responses: wanted.map { result($0.name, $0.topicId, error) }))
    }

    let found = wanted.map { topic in topic.name.map { self.topic(named: $0) } ?? self.topic(id: topic.topicId) }
    let occurrences = Dictionary(found.compactMap { $0 }.map { ($0.id, 1) }, uniquingKeysWith: +)
    var records: [MetadataRecord] = []
    var response = DeleteTopicsResponse()
    for (asked, topic) in zip(wanted, found) {
      do throws(CatalogError) {
        let topic = try deletable(asked, topic)
        guard occurrences[topic.id] == 1 else {
          throw CatalogError(.invalidRequest, "Topic '\(topic.name)' is in the request more than once.")
        }
        records.append(.removeTopic(RemoveTopicRecord(topicId: topic.id)))
        response.responses.append(result(topic.name, topic.id, nil))
      } catch {
        response.responses.append(result(asked.name, asked.topicId, error))
      }
    }
    return CatalogDecision(records, answer: response)
  }

  private func deletable(
    _ asked: DeleteTopicsRequest.DeleteTopicState, _ topic: CatalogTopic?
  ) throws(CatalogError) -> CatalogTopic {
    if asked.name == nil && asked.topicId == .zero {
      throw CatalogError(.invalidRequest, "A topic to delete needs a name or an id.")
    }
    if asked.name != nil && asked.topicId != .zero {
      throw CatalogError(.invalidRequest, "A topic to delete has a name or an id, not both.")
    }
    guard let topic else {
      throw asked.name == nil
        ? CatalogError(.unknownTopicId, "There is no topic with id \(asked.topicId).")
        : CatalogError(.unknownTopicOrPartition, "There is no topic '\(asked.name ?? "")'.")
    }
    guard !topic.isInternal else {
      throw CatalogError(.invalidRequest, "Topic '\(topic.name)' belongs to the broker and cannot be deleted.")
    }
    return topic
  }

  private func result(
    _ name: String?, _ id: Uuid, _ error: CatalogError?
  ) -> DeleteTopicsResponse.DeletableTopicResult {
    DeleteTopicsResponse.DeletableTopicResult(
      name: name, topicId: id, errorCode: (error?.code ?? .none).rawValue, errorMessage: error?.message)
  }
}
