// Share groups (KIP-932): where they are in their partitions.

import MillraceProtocol

/// Where a share group is in a partition.
public struct ShareGroupOffset: Sendable, Hashable {
  /// The first offset that is not done with: all records before it were accepted, rejected or given up.
  public var startOffset: Int64
  /// Of the partition's leader, when the start offset was written.
  public var leaderEpoch: Int32?
  /// How many records there are for the group; nil when the broker does not say.
  public var lag: Int64?
}

/// Neighbouring records behind the start offset of a share group, of which the same is known.
public struct ShareGroupRecords: Sendable, Hashable {
  /// KIP-932 and KIP-1191 have these states. Records that a member holds at the moment count as available: that they are
  /// held is not persisted.
  public enum State: Sendable, Hashable {
    /// To be delivered, or delivered at the moment.
    case available
    /// Accepted.
    case acknowledged
    /// Given up, and its dead letter not written yet.
    case archiving
    /// Rejected, or delivered as often as is allowed.
    case archived
    /// A state that this client does not know, as its number.
    case other(Int8)
  }

  /// Which records.
  public var offsets: ClosedRange<Int64>
  /// What became of them so far.
  public var state: State
  /// How often they were delivered.
  public var deliveryCount: Int
}

extension Admin {
  /// Where a share group is in its partitions. What it has not begun to read is left out.
  ///
  /// - Parameters:
  ///   - group: the share group.
  ///   - partitions: nil for all that the group has.
  /// - Throws: `KafkaError` with broker code `.groupIdNotFound` when there is no such share group.
  public func shareGroupOffsets(
    _ group: String, partitions: [TopicPartition]? = nil
  ) async throws(KafkaError) -> [TopicPartition: Result<ShareGroupOffset, KafkaError>] {
    let subject = "share group '\(group)'"
    let response = try await cluster.send(to: .coordinator(.group(group))) { _ in
      DescribeShareGroupOffsetsRequest(
        groups: [
          .init(
            groupId: group,
            topics: partitions?.groupedByTopic().map { .init(topicName: $0.topic, partitions: $0.partitions) })
        ])
    } failure: { response in
      response.groups.first.flatMap { .broker($0.errorCode, about: subject, detail: $0.errorMessage) }
    }
    var results: [TopicPartition: Result<ShareGroupOffset, KafkaError>] = [:]
    for topic in response.groups.first?.topics ?? [] {
      for answer in topic.partitions where answer.startOffset >= 0 || answer.errorCode != 0 {
        let partition = TopicPartition(topic.topicName, answer.partitionIndex)
        results[partition] = Result(
          .broker(answer.errorCode, about: "\(subject), partition \(partition)", detail: answer.errorMessage),
          ShareGroupOffset(
            startOffset: answer.startOffset, leaderEpoch: answer.leaderEpoch < 0 ? nil : answer.leaderEpoch,
            lag: answer.lag < 0 ? nil : answer.lag))
      }
    }
    return results
  }

  /// What a share group has in flight in its partitions (ReadShareGroupState, which Kafka keeps for brokers): the records
  /// behind the start offset that were delivered at least once, in the order of their offsets.
  ///
  /// - Parameters:
  ///   - group: the share group.
  ///   - partitions: nil for all that the group has.
  /// - Throws: `KafkaError` with broker code `.groupIdNotFound` when there is no such share group.
  public func shareGroupRecords(
    _ group: String, partitions: [TopicPartition]? = nil
  ) async throws(KafkaError) -> [TopicPartition: Result<[ShareGroupRecords], KafkaError>] {
    var results: [TopicPartition: Result<[ShareGroupRecords], KafkaError>] = [:]
    for (partition, offset) in try await shareGroupOffsets(group, partitions: partitions) {
      do throws(KafkaError) {
        results[partition] = .success(try await records(of: group, in: partition, try offset.get().leaderEpoch ?? 0))
      } catch {
        results[partition] = .failure(error)
      }
    }
    return results
  }

  private func records(
    of group: String, in partition: TopicPartition, _ leaderEpoch: Int32
  ) async throws(KafkaError) -> [ShareGroupRecords] {
    let topicId = try await cluster.topic(partition.topic).id
    let index = partition.partition
    let response = try await cluster.send(
      to: .coordinator(.sharePartition(group: group, topicId: topicId, partition: index))
    ) { _ in
      // A newer epoch would fence the leader of the share-partition.
      ReadShareGroupStateRequest(
        groupId: group,
        topics: [.init(topicId: topicId, partitions: [.init(partition: index, leaderEpoch: leaderEpoch)])])
    } failure: { response in
      response.results.first?.partitions.first.flatMap {
        .broker($0.errorCode, about: "share group '\(group)', partition \(partition)", detail: $0.errorMessage)
      }
    }
    return (response.results.first?.partitions.first?.stateBatches ?? []).compactMap(ShareGroupRecords.init)
  }

  /// Sets where a share group without members goes on. What it has in flight is forgotten.
  public func alterShareGroupOffsets(
    _ group: String, _ offsets: [TopicPartition: Int64]
  ) async throws(KafkaError) -> [TopicPartition: Result<Void, KafkaError>] {
    guard !offsets.isEmpty else { return [:] }
    let subject = "share group '\(group)'"
    let response = try await cluster.send(to: .coordinator(.group(group))) { _ in
      AlterShareGroupOffsetsRequest(
        groupId: group,
        topics: offsets.keys.groupedByTopic().map { topic, indexes in
          .init(
            topicName: topic,
            partitions: indexes.map {
              .init(partitionIndex: $0, startOffset: offsets[TopicPartition(topic, $0)] ?? -1)
            })
        })
    } failure: {
      .broker($0.errorCode, about: subject, detail: $0.errorMessage)
    }
    var results: [TopicPartition: Result<Void, KafkaError>] = [:]
    for topic in response.responses {
      for answer in topic.partitions {
        let partition = TopicPartition(topic.topicName, answer.partitionIndex)
        results[partition] = Result(
          .broker(answer.errorCode, about: "\(subject), partition \(partition)", detail: answer.errorMessage))
      }
    }
    return results
  }

  /// Forgets where a share group without members is in topics, so that it begins anew by its `share.auto.offset.reset`.
  public func deleteShareGroupOffsets(
    _ group: String, topics: [String]
  ) async throws(KafkaError) -> [String: Result<Void, KafkaError>] {
    let subject = "share group '\(group)'"
    let response = try await cluster.send(to: .coordinator(.group(group))) { _ in
      DeleteShareGroupOffsetsRequest(groupId: group, topics: topics.map { .init(topicName: $0) })
    } failure: {
      .broker($0.errorCode, about: subject, detail: $0.errorMessage)
    }
    return Dictionary(
      response.responses.map { answer in
        (
          answer.topicName,
          Result(
            .broker(answer.errorCode, about: "\(subject), topic '\(answer.topicName)'", detail: answer.errorMessage))
        )
      }, uniquingKeysWith: { first, _ in first })
  }
}

extension ShareGroupRecords {
  init?(_ batch: ReadShareGroupStateResponse.StateBatch) {
    guard batch.firstOffset <= batch.lastOffset else { return nil }
    offsets = batch.firstOffset...batch.lastOffset
    deliveryCount = Int(batch.deliveryCount)
    state =
      switch batch.deliveryState {
      case 0: .available
      case 2: .acknowledged
      case 3: .archiving
      case 4: .archived
      default: .other(batch.deliveryState)
      }
  }
}

extension ShareGroupRecords.State: CustomStringConvertible {
  public var description: String {
    switch self {
    case .available: "Available"
    case .acknowledged: "Acknowledged"
    case .archiving: "Archiving"
    case .archived: "Archived"
    case .other(let code): "state \(code)"
    }
  }
}
