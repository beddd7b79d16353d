// Offsets of partitions and the deletion of records below them: questions to the leader of each partition.

import MillraceProtocol

/// Which offset of a partition is asked for.
public enum OffsetQuery: Sendable, Hashable {
  /// That of the first record.
  case earliest
  /// That after the last record.
  case latest
  /// That of the first record with this time or a later one, in milliseconds since 1970.
  case timestamp(Int64)
  /// That of the record with the latest time (KIP-734).
  case maxTimestamp
  /// That of the first record on the leader's own disk (KIP-405).
  case earliestLocal
  /// That of the last record in remote storage (KIP-1005).
  case latestTiered

  var wire: Int64 {
    switch self {
    case .latest: -1
    case .earliest: -2
    case .maxTimestamp: -3
    case .earliestLocal: -4
    case .latestTiered: -5
    case .timestamp(let timestamp): max(timestamp, 0)
    }
  }

  /// The version of ListOffsets that knows the query.
  var minimumVersion: Int16 {
    switch self {
    case .earliest, .latest, .timestamp: 1
    case .maxTimestamp: 7
    case .earliestLocal: 8
    case .latestTiered: 9
    }
  }
}

/// An offset that was asked for.
public struct OffsetInfo: Sendable, Hashable {
  /// -1 when no record is what was asked for.
  public var offset: Int64
  /// The record's time; -1 when there is none, or the question was not about times.
  public var timestamp: Int64
  /// The leader epoch of the record; nil when the broker does not say.
  public var leaderEpoch: Int32?
}

extension Admin {
  /// Looks up offsets.
  public func listOffsets(
    _ queries: [TopicPartition: OffsetQuery], isolation: IsolationLevel = .readUncommitted
  ) async throws(KafkaError) -> [TopicPartition: Result<OffsetInfo, KafkaError>] {
    await cluster.listOffsets(queries, isolation: isolation)
  }

  /// Makes records before an offset unreadable; the broker frees their space as it can.
  ///
  /// - Parameter offsets: the first offset to keep, -1 for the high watermark (delete all).
  /// - Returns: the first offset that is left in each partition.
  public func deleteRecords(
    before offsets: [TopicPartition: Int64]
  ) async throws(KafkaError) -> [TopicPartition: Result<Int64, KafkaError>] {
    let timeoutMs = brokerTimeoutMs
    return await cluster.askLeaders(of: Array(offsets.keys)) { [cluster] broker, partitions throws(KafkaError) in
      let response = try await cluster.attempt(to: .broker(broker)) { _ in
        DeleteRecordsRequest(
          topics: partitions.groupedByTopic().map { topic, indexes in
            .init(
              name: topic,
              partitions: indexes.map { .init(partitionIndex: $0, offset: offsets[TopicPartition(topic, $0)] ?? -1) })
          }, timeoutMs: timeoutMs)
      }
      var results: [TopicPartition: Result<Int64, KafkaError>] = [:]
      for topic in response.topics {
        for answer in topic.partitions {
          let partition = TopicPartition(topic.name, answer.partitionIndex)
          results[partition] = Result(.broker(answer.errorCode, about: "partition \(partition)"), answer.lowWatermark)
        }
      }
      return results
    }
  }
}
