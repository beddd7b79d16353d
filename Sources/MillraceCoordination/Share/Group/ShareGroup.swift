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
  package internal(set) var assigned: SharePartitions = [:]
}

package struct ShareGroup: Sendable {
  package let groupId: String
  package internal(set) var epoch: Int32 = 0
  package internal(set) var assignmentEpoch: Int32 = 0
  package internal(set) var members: [String: ShareGroupMember] = [:]
  package internal(set) var target: [String: SharePartitions] = [:]
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

  /// Stands for ids and partition counts of the subscribed topics. Only ever compared with itself: another broker's
  /// hash differs, which costs one assignment.
  func hash(of topics: ShareTopics) -> Int64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    func add(_ number: UInt64) { hash = (hash ^ number) &* 0x100_0000_01B3 }
    for topic in subscribers.keys.sorted().compactMap({ topics[$0] }) {
      add(topic.topicId.high)
      add(topic.topicId.low)
      add(UInt64(truncatingIfNeeded: topic.partitionCount))
    }
    return Int64(bitPattern: hash)
  }
}

/// Which share-partitions of a group have state in the share coordinator, or are to have or to lose it.
package struct ShareStatePartitions: Sendable, Equatable {
  package internal(set) var initializing: SharePartitions = [:]
  package internal(set) var initialized: SharePartitions = [:]
  package internal(set) var deleting: Set<Uuid> = []
  /// The names under which the topics are journaled.
  var names: [Uuid: String] = [:]
  /// When the initialization of a topic was begun (wall clock); not known after a restart, so then it is tried again.
  var begunMs: [Uuid: Int64] = [:]

  package var isEmpty: Bool { initializing.isEmpty && initialized.isEmpty && deleting.isEmpty }

  mutating func tidy() {
    initializing = initializing.filter { !$0.value.isEmpty }
    initialized = initialized.filter { !$0.value.isEmpty }
    begunMs = begunMs.filter { initializing[$0.key] != nil }
    names = names.filter { initializing[$0.key] != nil || initialized[$0.key] != nil || deleting.contains($0.key) }
  }
}

/// The topics as share groups have to know them. A value that is handed to each event and not kept.
package struct ShareTopics: Sendable {
  package struct Topic: Sendable, Equatable {
    package var topicId: Uuid
    package var name: String
    package var partitionCount: Int32

    package init(topicId: Uuid, name: String, partitionCount: Int32) {
      self.topicId = topicId
      self.name = name
      self.partitionCount = partitionCount
    }
  }

  /// Another number whenever anything has changed.
  package let version: UInt64
  private let byName: [String: Topic]
  private let byId: [Uuid: Topic]

  package init(_ topics: [Topic], version: UInt64) {
    self.version = version
    byName = Dictionary(topics.map { ($0.name, $0) }) { first, _ in first }
    byId = Dictionary(topics.map { ($0.topicId, $0) }) { first, _ in first }
  }

  package subscript(name: String) -> Topic? { byName[name] }
  package subscript(id: Uuid) -> Topic? { byId[id] }
}
