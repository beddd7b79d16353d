// A member of a consumer group (KIP-848): what it says of itself, and how far it has come with what it was assigned.
//
//                    partitions to give up                   given up
//   Stable  ────────────────────────────▶  UnrevokedPartitions ──────▶ ┐
//     ▲  └────── nothing to give up, but somebody else still has ────▶ UnreleasedPartitions
//     └───────────────────────── all of the target is its own ────────────────┘
//
// The two parts are two records in the journal, and change independently.

import MillraceProtocol
import NIOCore

package struct ConsumerMember: Sendable, Equatable {
  package let memberId: String
  package var profile = Profile()
  package var placement = Placement()

  init(memberId: String) { self.memberId = memberId }

  /// What the member says.
  package struct Profile: Sendable, Equatable {
    /// `group.instance.id`: the member is static and keeps its assignment while it is away.
    var instanceId: String?
    var rackId: String?
    var clientId = ""
    var clientHost = ""
    /// Each once, in order.
    var topicNames: [String] = []
    /// Never empty.
    var topicRegex: String?
    var rebalanceTimeoutMs: Int32 = -1
    var serverAssignor: String?
    /// The member came by JoinGroup and is served the classic protocol.
    var classic: Classic?
  }

  struct Classic: Sendable, Equatable {
    var sessionTimeoutMs: Int32
    /// At least one, in its order of preference.
    var protocols: [SupportedProtocol]
  }

  package enum State: Int8, Sendable {
    case stable = 0
    /// It was told to give up partitions and still has some of them.
    case unrevokedPartitions = 1
    /// Others still have partitions of its target.
    case unreleasedPartitions = 2
    /// Written by a newer coordinator.
    case unknown = 127
  }

  /// How far it has come.
  package struct Placement: Sendable, Equatable {
    package var epoch: Int32 = 0
    package var previousEpoch: Int32 = -1
    package var state = State.stable
    package var assigned = PartitionsByTopic()
    package var pendingRevocation = PartitionsByTopic()
  }

  /// A member that has left for good, or a static one that may come back.
  static let leavingEpoch: Int32 = -1
  static let leavingStaticEpoch: Int32 = -2

  package var epoch: Int32 { placement.epoch }
  package var instanceId: String? { profile.instanceId }
  package var usesClassicProtocol: Bool { profile.classic != nil }

  func isReconciled(to targetEpoch: Int32) -> Bool { placement.state == .stable && placement.epoch == targetEpoch }
}

// MARK: - As records

extension ConsumerMember.Profile {
  init(_ value: ConsumerGroupMemberMetadataValue) {
    instanceId = value.instanceId
    rackId = value.rackId
    clientId = value.clientId
    clientHost = value.clientHost
    topicNames = Set(value.subscribedTopicNames).sorted()
    topicRegex = value.subscribedTopicRegex.flatMap { $0.isEmpty ? nil : $0 }
    rebalanceTimeoutMs = value.rebalanceTimeoutMs
    serverAssignor = value.serverAssignor
    // Without protocols there is nothing to serve it under.
    classic = value.classicMemberMetadata.flatMap { classic in
      classic.supportedProtocols.isEmpty
        ? nil
        : .init(
          sessionTimeoutMs: classic.sessionTimeoutMs,
          protocols: classic.supportedProtocols.map { SupportedProtocol(name: $0.name, metadata: $0.metadata) })
    }
  }

  func record(groupId: String, memberId: String) -> GroupRecord {
    .consumerMember(
      ConsumerGroupMemberMetadataKey(groupId: groupId, memberId: memberId),
      ConsumerGroupMemberMetadataValue(
        instanceId: instanceId, rackId: rackId, clientId: clientId, clientHost: clientHost,
        subscribedTopicNames: topicNames, subscribedTopicRegex: topicRegex, rebalanceTimeoutMs: rebalanceTimeoutMs,
        serverAssignor: serverAssignor,
        classicMemberMetadata: classic.map { classic in
          .init(
            sessionTimeoutMs: classic.sessionTimeoutMs,
            supportedProtocols: classic.protocols.map { .init(name: $0.name, metadata: $0.metadata) })
        }))
  }
}

extension ConsumerMember.Placement {
  init(_ value: ConsumerGroupCurrentMemberAssignmentValue) {
    epoch = value.memberEpoch
    previousEpoch = value.previousMemberEpoch
    state = ConsumerMember.State(rawValue: value.state) ?? .unknown
    assigned = PartitionsByTopic(value.assignedPartitions)
    pendingRevocation = PartitionsByTopic(value.partitionsPendingRevocation)
  }

  func record(groupId: String, memberId: String) -> GroupRecord {
    .currentAssignment(
      ConsumerGroupCurrentMemberAssignmentKey(groupId: groupId, memberId: memberId),
      ConsumerGroupCurrentMemberAssignmentValue(
        memberEpoch: epoch, previousMemberEpoch: previousEpoch, state: state.rawValue,
        assignedPartitions: assigned.asCurrent, partitionsPendingRevocation: pendingRevocation.asCurrent))
  }
}
