// What the members of a consumer group add up to, kept up to date with each of them so that no event has to look at all.

import MillraceProtocol

struct MemberIndex: Sendable {
  /// Owners by topic and partition.
  private(set) var owners: [Uuid: [Int32: String]] = [:]
  /// Member ids by `group.instance.id`.
  private(set) var staticMembers: [String: String] = [:]
  /// How many members subscribe to each topic by its name, and to each regular expression.
  private(set) var topicNames: [String: Int] = [:]
  private(set) var patterns: [String: Int] = [:]
  private(set) var serverAssignors: [String: Int] = [:]
  private(set) var classicMemberCount = 0
  /// How many classic members support each protocol.
  private(set) var classicProtocols: [String: Int] = [:]

  mutating func add(_ member: ConsumerMember) {
    count(member, by: 1)
    if let instanceId = member.instanceId { staticMembers[instanceId] = member.memberId }
    for (topic, partitions) in member.placement.assigned.topics { own(topic, partitions, member.memberId) }
    for (topic, partitions) in member.placement.pendingRevocation.topics { own(topic, partitions, member.memberId) }
  }

  mutating func remove(_ member: ConsumerMember) {
    count(member, by: -1)
    if let instanceId = member.instanceId, staticMembers[instanceId] == member.memberId {
      staticMembers[instanceId] = nil
    }
    for (topic, partitions) in member.placement.assigned.topics { release(topic, partitions, member.memberId) }
    for (topic, partitions) in member.placement.pendingRevocation.topics { release(topic, partitions, member.memberId) }
  }

  private mutating func own(_ topic: Uuid, _ partitions: Set<Int32>, _ memberId: String) {
    for partition in partitions { owners[topic, default: [:]][partition] = memberId }
  }

  private mutating func release(_ topic: Uuid, _ partitions: Set<Int32>, _ memberId: String) {
    for partition in partitions where owners[topic]?[partition] == memberId { owners[topic]?[partition] = nil }
    if owners[topic]?.isEmpty == true { owners[topic] = nil }
  }

  private mutating func count(_ member: ConsumerMember, by step: Int) {
    for name in member.profile.topicNames { Self.count(&topicNames, name, step) }
    if let pattern = member.profile.topicRegex { Self.count(&patterns, pattern, step) }
    if let assignor = member.profile.serverAssignor { Self.count(&serverAssignors, assignor, step) }
    if let classic = member.profile.classic {
      classicMemberCount += step
      for one in classic.protocols { Self.count(&classicProtocols, one.name, step) }
    }
  }

  private static func count(_ counts: inout [String: Int], _ name: String, _ step: Int) {
    let sum = counts[name, default: 0] + step
    counts[name] = sum > 0 ? sum : nil
  }
}
