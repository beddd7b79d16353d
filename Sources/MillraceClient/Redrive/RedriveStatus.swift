// What can be seen of redrives from outside: the group that each of them is.

import MillraceProtocol

/// How far the redrive of a topic is, and who runs it.
public struct RedriveStatus: Sendable, Hashable {
  /// A partition of the dead-letter topic.
  public struct Partition: Sendable, Hashable {
    /// Which partition.
    public var topicPartition: TopicPartition
    /// The first letter that is there.
    public var start: Int64
    /// The next letter to redrive.
    public var position: Int64
    /// The offset after the last letter.
    public var end: Int64
  }

  /// The dead-letter topic.
  public var topic: String
  /// Who runs it; empty when nobody does.
  public var members: [GroupMemberDescription]
  /// By their indexes.
  public var partitions: [Partition]

  /// Offsets that it has passed; a few of them may be no letters.
  public var passed: Int64 { partitions.reduce(0) { $0 + ($1.position - $1.start) } }
  /// Offsets that are ahead of it; a few of them may be no letters.
  public var left: Int64 { partitions.reduce(0) { $0 + ($1.end - $1.position) } }
}

extension Admin {
  /// The topics that were redriven once, or are now.
  public func redrivenTopics() async throws(KafkaError) -> [String] {
    try await listGroups().map(\.groupId).filter { $0.hasPrefix(RedriveConfiguration.groupPrefix) }
      .map { String($0.dropFirst(RedriveConfiguration.groupPrefix.count)) }
  }

  /// How far the redrive of a dead-letter topic is, whoever runs it.
  public func redriveStatus(of topic: String) async throws(KafkaError) -> RedriveStatus {
    let group = RedriveConfiguration.group(of: topic)
    var members: [GroupMemberDescription] = []
    switch try await describeGroups([group])[group] {
    case .success(let description)?: members = description.members
    case .failure(let error)? where error.brokerCode != .groupIdNotFound: throw error
    case .failure?, nil: break
    }
    let positions = try await groupOffsets(group, requireStable: false).mapValues(\.offset)
    let first = try await letterSpans(of: topic)
    let spans = try await letterSpans(of: topic, from: positions)
    let partitions = spans.sorted { $0.key < $1.key }.map { partition, span in
      RedriveStatus.Partition(
        topicPartition: partition, start: min(first[partition]?.start ?? span.start, span.start),
        position: span.start, end: span.end)
    }
    return RedriveStatus(topic: topic, members: members, partitions: partitions)
  }

  /// Ends the redrive of a topic, whoever runs it. What it did stays done.
  ///
  /// - Returns: who ran it.
  public func cancelRedrive(of topic: String) async throws(KafkaError) -> [GroupMemberDescription] {
    let group = RedriveConfiguration.group(of: topic)
    let members = try await redriveStatus(of: topic).members
    guard !members.isEmpty else { return [] }
    for result in try await removeMembers(members.map(\.memberId), from: group).values { try result.get() }
    return members
  }
}
