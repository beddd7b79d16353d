// Groups of consumers: classic ones, those of the consumer protocol (KIP-848), and share groups (KIP-932).

import MillraceProtocol

/// A group, in a list of them.
public struct GroupListing: Sendable, Hashable {
  /// The group's id.
  public var groupId: String
  /// `consumer` for consumers, empty for a group that only has offsets.
  public var protocolType: String
  /// Nil when the broker does not say.
  public var state: String?
  /// `Classic`, `Consumer`, `Share` …; nil when the broker does not say.
  public var type: String?
}

/// A member of a group.
public struct GroupMemberDescription: Sendable, Hashable {
  /// The id that the member has in its group.
  public var memberId: String
  /// The name of a static member (KIP-345), nil for others.
  public var groupInstanceId: String?
  /// What the client calls itself.
  public var clientId: String
  /// Where it connects from, as the broker sees it.
  public var clientHost: String
  /// The partitions that it has.
  public var assignment: [TopicPartition]
  /// What the group wants the member to have, in a group of the consumer protocol (KIP-848).
  public var targetAssignment: [TopicPartition]?
  /// The member's epoch, where the coordinator leads the group.
  public var epoch: Int32?
}

/// A group and its members.
public struct GroupDescription: Sendable, Hashable {
  /// The group's id.
  public var groupId: String
  /// `Classic`, `Consumer` or `Share`.
  public var type: String
  /// `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Assigning`, `Reconciling`, `Dead`.
  public var state: String
  /// `consumer` or `share`, or what other clients use classic groups for, as `connect`.
  public var protocolType: String
  /// What assigns partitions: `range`, `cooperative-sticky`, `uniform` …
  public var assignor: String
  /// The broker that coordinates the group.
  public var coordinator: BrokerInfo
  /// Its members.
  public var members: [GroupMemberDescription]
  /// Counts changes of the members and of what they want; nil for a classic group.
  public var groupEpoch: Int32?
  /// The group epoch that the assignment was made for; nil for a classic group.
  public var assignmentEpoch: Int32?
}

extension Admin {
  /// The groups of all brokers, by name.
  ///
  /// - Parameters:
  ///   - states: only groups in one of these states; empty for all.
  ///   - types: only groups of one of these types; empty for all.
  public func listGroups(
    states: [String] = [], types: [String] = []
  ) async throws(KafkaError) -> [GroupListing] {
    try await cluster.refreshMetadata(.brokers)
    let parts = await results(of: cluster.brokers.map(\.id)) { [cluster] broker throws(KafkaError) in
      let response = try await cluster.send(to: .broker(broker)) { version throws(KafkaError) in
        if (!states.isEmpty && version < 4) || (!types.isEmpty && version < 5) {
          throw KafkaError(.unsupportedVersion, "broker \(broker) cannot filter groups by state or type")
        }
        return ListGroupsRequest(statesFilter: states, typesFilter: types)
      } failure: {
        .broker($0.errorCode, about: "the groups of broker \(broker)")
      }
      return response.groups.map { group in
        GroupListing(
          groupId: group.groupId, protocolType: group.protocolType,
          state: group.groupState.isEmpty ? nil : group.groupState,
          type: group.groupType.isEmpty ? nil : group.groupType)
      }
    }
    var groups: [GroupListing] = []
    for part in parts.values { groups += try part.get() }
    return groups.sorted { $0.groupId < $1.groupId }
  }

  /// Describes groups of all kinds.
  public func describeGroups(
    _ groups: [String]
  ) async throws(KafkaError) -> [String: Result<GroupDescription, KafkaError>] {
    await results(of: groups) { [cluster] group throws(KafkaError) in try await cluster.describeGroup(group) }
  }

  /// Deletes groups that have no members, with their offsets.
  public func deleteGroups(_ groups: [String]) async throws(KafkaError) -> [String: Result<Void, KafkaError>] {
    await results(of: groups) { [cluster] group throws(KafkaError) in
      _ = try await cluster.send(to: .coordinator(.group(group))) { _ in
        DeleteGroupsRequest(groupsNames: [group])
      } failure: { response in
        response.results.first.flatMap { .broker($0.errorCode, about: "group '\(group)'") }
      }
    }
  }
}

extension Cluster {
  fileprivate func describeGroup(_ group: String) async throws(KafkaError) -> GroupDescription {
    let coordinator = try await retrying(about: .coordinator(.group(group))) { () throws(KafkaError) in
      try await self.coordinator(of: .group(group))
    }
    let connection = try await connection(to: .coordinator(.group(group)))
    // A group of the classic protocol is not found by the newer request, and older brokers do not know that.
    if connection.versions.version(of: ConsumerGroupDescribeRequest.self) != nil,
      let answer = try await answerOfConsumerGroup(group)
    {
      return GroupDescription(answer, coordinator)
    }
    if connection.versions.version(of: ShareGroupDescribeRequest.self) != nil,
      let answer = try await answerOfShareGroup(group)
    {
      return GroupDescription(answer, coordinator)
    }
    return GroupDescription(try await answerOfClassicGroup(group), coordinator)
  }

  private func answerOfConsumerGroup(
    _ group: String
  ) async throws(KafkaError) -> ConsumerGroupDescribeResponse.DescribedGroup? {
    let response = try await send(to: .coordinator(.group(group))) { _ in
      ConsumerGroupDescribeRequest(groupIds: [group])
    } failure: { response in
      guard let answer = response.groups.first, answer.errorCode != ErrorCode.groupIdNotFound.rawValue else {
        return nil
      }
      return .broker(answer.errorCode, about: "group '\(group)'", detail: answer.errorMessage)
    }
    return response.groups.first { $0.errorCode == 0 }
  }

  private func answerOfShareGroup(
    _ group: String
  ) async throws(KafkaError) -> ShareGroupDescribeResponse.DescribedGroup? {
    let response = try await send(to: .coordinator(.group(group))) { _ in
      ShareGroupDescribeRequest(groupIds: [group])
    } failure: { response in
      guard let answer = response.groups.first, answer.errorCode != ErrorCode.groupIdNotFound.rawValue else {
        return nil
      }
      return .broker(answer.errorCode, about: "group '\(group)'", detail: answer.errorMessage)
    }
    return response.groups.first { $0.errorCode == 0 }
  }

  private func answerOfClassicGroup(
    _ group: String
  ) async throws(KafkaError) -> DescribeGroupsResponse.DescribedGroup {
    let response = try await send(to: .coordinator(.group(group))) { _ in
      DescribeGroupsRequest(groups: [group])
    } failure: { response in
      response.groups.first.flatMap { .broker($0.errorCode, about: "group '\(group)'", detail: $0.errorMessage) }
    }
    guard let answer = response.groups.first else {
      throw KafkaError(.invalidResponse, "the coordinator's answer leaves out group '\(group)'")
    }
    return answer
  }
}

extension GroupDescription {
  fileprivate init(_ answer: ConsumerGroupDescribeResponse.DescribedGroup, _ coordinator: BrokerInfo) {
    self.init(
      groupId: answer.groupId, type: "Consumer", state: answer.groupState, protocolType: "consumer",
      assignor: answer.assignorName, coordinator: coordinator,
      members: answer.members.map { member in
        GroupMemberDescription(
          memberId: member.memberId, groupInstanceId: member.instanceId, clientId: member.clientId,
          clientHost: member.clientHost, assignment: member.assignment.partitions,
          targetAssignment: member.targetAssignment.partitions, epoch: member.memberEpoch)
      },
      groupEpoch: answer.groupEpoch, assignmentEpoch: answer.assignmentEpoch)
  }

  fileprivate init(_ answer: ShareGroupDescribeResponse.DescribedGroup, _ coordinator: BrokerInfo) {
    self.init(
      groupId: answer.groupId, type: "Share", state: answer.groupState, protocolType: "share",
      assignor: answer.assignorName, coordinator: coordinator,
      members: answer.members.map { member in
        GroupMemberDescription(
          memberId: member.memberId, clientId: member.clientId, clientHost: member.clientHost,
          assignment: member.assignment.topicPartitions.flatMap { topic in
            topic.partitions.map { TopicPartition(topic.topicName, $0) }
          }.sorted(), epoch: member.memberEpoch)
      },
      groupEpoch: answer.groupEpoch, assignmentEpoch: answer.assignmentEpoch)
  }

  fileprivate init(_ answer: DescribeGroupsResponse.DescribedGroup, _ coordinator: BrokerInfo) {
    self.init(
      groupId: answer.groupId, type: "Classic", state: answer.groupState, protocolType: answer.protocolType,
      assignor: answer.protocolData, coordinator: coordinator,
      members: answer.members.map { member in
        GroupMemberDescription(
          memberId: member.memberId, groupInstanceId: member.groupInstanceId, clientId: member.clientId,
          clientHost: member.clientHost,
          // Members of other kinds than consumers put bytes of their own here, so what cannot be read is no partition.
          assignment: answer.protocolType == "consumer"
            ? (try? GroupAssignment(decoding: member.memberAssignment))?.partitions ?? [] : [])
      })
  }
}

extension ConsumerGroupDescribeResponse.Assignment {
  fileprivate var partitions: [TopicPartition] {
    topicPartitions.flatMap { topic in topic.partitions.map { TopicPartition(topic.topicName, $0) } }.sorted()
  }
}
