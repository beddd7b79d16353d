// Turns the places where reading may start into offsets.

struct StartOffsets {
  private let cluster: Cluster
  private let configuration: ConsumerConfiguration
  private let identity: CurrentIdentity?

  init(_ cluster: Cluster, _ configuration: ConsumerConfiguration, _ identity: CurrentIdentity?) {
    self.cluster = cluster
    self.configuration = configuration
    self.identity = identity
  }

  func resolve(
    _ starts: [TopicPartition: StartPosition]
  ) async throws(KafkaError) -> [TopicPartition: Result<Int64, KafkaError>] {
    var results: [TopicPartition: Result<Int64, KafkaError>] = [:]
    var starts = starts
    let committed = starts.filter { $0.value == .committed }.map(\.key)
    if !committed.isEmpty {
      guard let group = configuration.groupId, let identity else {
        throw KafkaError(.invalidArgument, "committed offsets need a group id")
      }
      let isConsumerProtocol = configuration.groupProtocol == .consumer
      let offsets = try await cluster.committedOffsets(
        of: group, committed,
        as: {
          let member = identity.value
          return isConsumerProtocol && member.generation >= 0 ? member : nil
        })
      for partition in committed {
        starts[partition] = nil
        if let offset = offsets[partition] {
          results[partition] = .success(offset.offset)
          continue
        }
        switch configuration.autoOffsetReset {
        case .earliest: starts[partition] = .earliest
        case .latest: starts[partition] = .latest
        case .none:
          results[partition] = .failure(
            KafkaError(
              .noOffset,
              "group '\(group)' has no offset for partition \(partition) and autoOffsetReset is none; commit one or seek"
            ))
        }
      }
    }
    try await lookUp(starts, into: &results)
    return results
  }

  private func lookUp(
    _ starts: [TopicPartition: StartPosition], into results: inout [TopicPartition: Result<Int64, KafkaError>]
  ) async throws(KafkaError) {
    var queries: [TopicPartition: OffsetQuery] = [:]
    for (partition, start) in starts {
      switch start {
      case .offset(let offset): results[partition] = .success(offset)
      case .earliest: queries[partition] = .earliest
      case .latest, .fromEnd: queries[partition] = .latest
      case .timestamp(let timestamp): queries[partition] = .timestamp(timestamp)
      case .committed: break
      }
    }
    // What needs a second question: the beginning, so as not to start before it, or the end, where no record is so late.
    var second: [TopicPartition: OffsetQuery] = [:]
    var ends: [TopicPartition: Int64] = [:]
    for (partition, result) in await cluster.listOffsets(queries, isolation: configuration.isolation) {
      switch (result, starts[partition]) {
      case (.success(let info), .fromEnd):
        ends[partition] = info.offset
        second[partition] = .earliest
      case (.success(let info), _) where info.offset < 0: second[partition] = .latest
      default: results[partition] = result.map(\.offset)
      }
    }
    guard !second.isEmpty else { return }
    for (partition, result) in await cluster.listOffsets(second, isolation: configuration.isolation) {
      results[partition] = result.map { info in
        guard case .fromEnd(let count)? = starts[partition], let end = ends[partition] else { return info.offset }
        return max(info.offset, end - max(0, min(count, end)))
      }
    }
  }
}
