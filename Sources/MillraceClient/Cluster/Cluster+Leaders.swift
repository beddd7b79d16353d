// Questions about partitions: each goes to the partition's leader, those with the same leader in one request, and what
// fails because a leader has moved is asked again where it has moved to.

import MillraceProtocol

extension Cluster {
  /// Asks the leaders of partitions until each partition has an answer, an error that will not pass, or time is up.
  ///
  /// - Parameter ask: sends one request to a broker about the partitions that it leads.
  func askLeaders<Value: Sendable>(
    of partitions: [TopicPartition], until deadline: ContinuousClock.Instant? = nil,
    _ ask:
      @escaping @Sendable (Int32, [TopicPartition]) async throws(KafkaError) -> [TopicPartition: Result<
        Value, KafkaError
      >]
  ) async -> [TopicPartition: Result<Value, KafkaError>] {
    let deadline = deadline ?? .now + configuration.operationTimeout
    var backoff = Backoff(configuration)
    var results: [TopicPartition: Result<Value, KafkaError>] = [:]
    var open = partitions
    while true {
      for (partition, result) in await askOnce(open, ask) { results[partition] = result }
      open = open.filter { partition in
        if case .failure(let error)? = results[partition] { error.isRetriable } else { false }
      }
      let wait = backoff.next()
      guard !open.isEmpty, .now + wait < deadline else { return results }
      expireMetadata(of: Set(open.map(\.topic)))
      do throws(KafkaError) {
        try await pause(wait)
      } catch {
        for partition in open { results[partition] = .failure(error) }
        return results
      }
    }
  }

  private func askOnce<Value: Sendable>(
    _ partitions: [TopicPartition],
    _ ask:
      @escaping @Sendable (Int32, [TopicPartition]) async throws(KafkaError) -> [TopicPartition: Result<
        Value, KafkaError
      >]
  ) async -> [TopicPartition: Result<Value, KafkaError>] {
    var results: [TopicPartition: Result<Value, KafkaError>] = [:]
    var led: [Int32: [TopicPartition]] = [:]
    for partition in partitions {
      do throws(KafkaError) {
        led[try await leader(of: partition).id, default: []].append(partition)
      } catch {
        results[partition] = .failure(error)
      }
    }
    return await withTaskGroup(of: [TopicPartition: Result<Value, KafkaError>].self) { group in
      for (broker, partitions) in led {
        group.addTask {
          let answers: [TopicPartition: Result<Value, KafkaError>]
          do throws(KafkaError) {
            answers = try await ask(broker, partitions)
          } catch {
            return Dictionary(uniqueKeysWithValues: partitions.map { ($0, .failure(error)) })
          }
          return Dictionary(
            partitions.map { partition in
              let missing = KafkaError(.invalidResponse, "broker \(broker) left out partition \(partition)")
              return (partition, answers[partition] ?? .failure(missing))
            }, uniquingKeysWith: { first, _ in first })
        }
      }
      for await answers in group { results.merge(answers) { _, new in new } }
      return results
    }
  }

  /// Looks up offsets at the leaders.
  func listOffsets(
    _ queries: [TopicPartition: OffsetQuery], isolation: IsolationLevel, until deadline: ContinuousClock.Instant? = nil
  ) async -> [TopicPartition: Result<OffsetInfo, KafkaError>] {
    await askLeaders(of: Array(queries.keys), until: deadline) { broker, partitions throws(KafkaError) in
      let metadata = self.metadata
      let response = try await self.attempt(to: .broker(broker)) { version throws(KafkaError) in
        for partition in partitions {
          guard let query = queries[partition], query.minimumVersion > version else { continue }
          throw KafkaError(
            .unsupportedVersion, "broker \(broker) cannot look up the offset '\(query)'; it needs a newer version")
        }
        return ListOffsetsRequest(
          replicaId: -1, isolationLevel: version >= 2 ? isolation.rawValue : 0,
          topics: partitions.groupedByTopic().map { topic, indexes in
            .init(
              name: topic,
              partitions: indexes.map { index in
                .init(
                  partitionIndex: index,
                  currentLeaderEpoch: metadata.topics[topic]?[partition: index]?.leaderEpoch ?? -1,
                  timestamp: queries[TopicPartition(topic, index)]?.wire ?? -1)
              })
          },
          timeoutMs: self.configuration.requestTimeout.clampedMilliseconds)
      }
      var results: [TopicPartition: Result<OffsetInfo, KafkaError>] = [:]
      for topic in response.topics {
        for answer in topic.partitions {
          let partition = TopicPartition(topic.name, answer.partitionIndex)
          results[partition] = Result(
            .broker(answer.errorCode, about: "partition \(partition)"),
            OffsetInfo(
              offset: answer.offset, timestamp: answer.timestamp,
              leaderEpoch: answer.leaderEpoch < 0 ? nil : answer.leaderEpoch))
        }
      }
      return results
    }
  }
}
