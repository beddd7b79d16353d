// One share group: its members, what each of them is to fetch from, and which share-partitions have their state.
//
// Epochs as in Kafka: the group's epoch rises with every change of members, subscriptions, topics or initialized
// partitions; the target assignment is made for an epoch; a member's epoch is that of the assignment it has. Partitions
// are shared, so a member takes its whole target at once: nobody has to give anything up first.
//
// A plain value; the rules are in the extensions of `ShareGroupShard`.

import MillraceProtocol

package struct ShareGroupMember: Sendable, Equatable {
  package internal(set) var rackId: String?
  package internal(set) var clientId = ""
  package internal(set) var clientHost = ""
  package internal(set) var subscribedTopicNames: Set<String> = []
  package internal(set) var memberEpoch: Int32 = 0
  package internal(set) var previousMemberEpoch: Int32 = -1
  package internal(set) var assigned = PartitionsByTopic()
}

package struct ShareGroup: Sendable {
  package let groupId: String
  package internal(set) var epoch: Int32 = 0
  package internal(set) var assignmentEpoch: Int32 = 0
  package internal(set) var members: [String: ShareGroupMember] = [:]
  package internal(set) var target: [String: PartitionsByTopic] = [:]
  package internal(set) var statePartitions = ShareStatePartitions()
  var metadataHash: Int64 = 0
  /// How many members subscribe to each topic.
  var subscribers: [String: Int] = [:]
  /// Partitions were initialized that no assignment knows of yet.
  var hasNewPartitions = false
  /// The version of the topics that the hash was made from.
  var topicsVersion: UInt64?
  var sessions: [String: Countdown] = [:]

  init(groupId: String) { self.groupId = groupId }

  static let typeName = "share"

  package var stateName: String { members.isEmpty ? "Empty" : "Stable" }

  mutating func put(_ member: ShareGroupMember, _ memberId: String) {
    let before = members.updateValue(member, forKey: memberId)?.subscribedTopicNames ?? []
    guard before != member.subscribedTopicNames else { return }
    for name in before.subtracting(member.subscribedTopicNames) { unsubscribe(name) }
    for name in member.subscribedTopicNames.subtracting(before) { subscribers[name, default: 0] += 1 }
  }

  mutating func remove(_ memberId: String) {
    guard let member = members.removeValue(forKey: memberId) else { return }
    for name in member.subscribedTopicNames { unsubscribe(name) }
    target[memberId] = nil
    sessions[memberId] = nil
  }

  private mutating func unsubscribe(_ name: String) {
    let left = (subscribers[name] ?? 1) - 1
    subscribers[name] = left > 0 ? left : nil
  }

  /// Stands for the topics that the group subscribes to.
  func hash(of image: TopicImage) -> Int64 { image.hash(of: subscribers.keys) }
}

/// Which share-partitions of a group have state in the share coordinator, or are to have or to lose it.
package struct ShareStatePartitions: Sendable, Equatable {
  package internal(set) var initializing = PartitionsByTopic()
  package internal(set) var initialized = PartitionsByTopic()
  package internal(set) var deleting: Set<Uuid> = []
  /// The names under which the topics are journaled.
  var names: [Uuid: String] = [:]
  /// When the initialization of a topic was begun (wall clock); not known after a restart, so then it is tried again.
  var begunMs: [Uuid: Int64] = [:]

  package var isEmpty: Bool { initializing.isEmpty && initialized.isEmpty && deleting.isEmpty }

  mutating func tidy() {
    begunMs = begunMs.filter { !initializing[$0.key].isEmpty }
    names = names.filter { id, _ in
      !initializing[id].isEmpty || !initialized[id].isEmpty || deleting.contains(id)
    }
  }
}
