// CreatePartitions: a topic's partitions can only become more.

import MillraceProtocol

extension Catalog {
  package func decide(_ request: CreatePartitionsRequest) -> CatalogDecision<CreatePartitionsResponse> {
    let occurrences = Dictionary(request.topics.map { ($0.name, 1) }, uniquingKeysWith: +)
    var answered: Set<String> = []
    var records: [MetadataRecord] = []
    var response = CreatePartitionsResponse()
    for asked in request.topics where answered.insert(asked.name).inserted {
      var result = CreatePartitionsResponse.CreatePartitionsTopicResult(name: asked.name)
      do throws(CatalogError) {
        guard occurrences[asked.name] == 1 else {
          throw CatalogError(.invalidRequest, "Topic '\(asked.name)' is in the request more than once.")
        }
        let added = try addedPartitions(asked, alreadyInRequest: records.count)
        records += added
      } catch {
        result.errorCode = error.code.rawValue
        result.errorMessage = error.message
      }
      response.results.append(result)
    }
    return CatalogDecision(request.validateOnly ? [] : records, answer: response)
  }

  private func addedPartitions(
    _ asked: CreatePartitionsRequest.CreatePartitionsTopic, alreadyInRequest: Int
  ) throws(CatalogError) -> [MetadataRecord] {
    guard let topic = topic(named: asked.name) else {
      throw CatalogError(.unknownTopicOrPartition, "There is no topic '\(asked.name)'.")
    }
    let current = topic.partitionCount
    guard asked.count > current else {
      let reason =
        asked.count == current ? "that many already" : "\(current), and the number of partitions cannot become smaller"
      throw CatalogError(
        .invalidPartitions, "Topic '\(asked.name)' cannot go to \(asked.count) partition(s): it has \(reason).")
    }
    let additional = Int(asked.count) - current
    if let assignments = asked.assignments {
      guard assignments.count == additional else {
        throw CatalogError(
          .invalidReplicaAssignment,
          "\(additional) partition(s) would be added, but \(assignments.count) assignment(s) are given.")
      }
      for assignment in assignments { try validate(assignment: assignment.brokerIds) }
    }
    guard alreadyInRequest + additional <= Self.maxPartitionsPerRequest, Int(asked.count) <= Self.maxPartitionsPerTopic
    else {
      throw CatalogError(
        .policyViolation, "One request can make \(Self.maxPartitionsPerRequest) partitions; this one asks for more.")
    }
    return (current..<Int(asked.count)).map { newPartitionRecord(topic.id, Int32($0)) }
  }
}
