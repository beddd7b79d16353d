// The `range` assignor: of each topic the first subscriber gets the first partitions, and so on; when they do not divide
// evenly the first subscribers get one more. Static members come first, by instance id, so that their ranges stay.

import MillraceProtocol

enum RangeAssignment {
  static func compute(_ subscribers: [Subscriber], _ partitionCounts: [Uuid: Int32]) -> [PartitionsByTopic] {
    var assigned = Array(repeating: PartitionsByTopic(), count: subscribers.count)
    var subscribersOfTopic: [Uuid: [Int]] = [:]
    for member in subscribers.indices.sorted(by: { comesFirst(subscribers[$0], subscribers[$1]) }) {
      for topic in subscribers[member].topics { subscribersOfTopic[topic, default: []].append(member) }
    }
    for (topic, members) in subscribersOfTopic {
      let count = partitionCounts[topic] ?? 0
      let (share, extra) = count.quotientAndRemainder(dividingBy: Int32(members.count))
      var next: Int32 = 0
      for (place, member) in members.enumerated() {
        let end = next + share + (Int32(place) < extra ? 1 : 0)
        assigned[member][topic] = Set(next..<end)
        next = end
      }
    }
    return assigned
  }

  private static func comesFirst(_ a: Subscriber, _ b: Subscriber) -> Bool {
    switch (a.instanceId, b.instanceId) {
    case (let a?, let b?): a < b
    case (_?, nil): true
    case (nil, _?): false
    case (nil, nil): a.memberId < b.memberId
    }
  }
}
