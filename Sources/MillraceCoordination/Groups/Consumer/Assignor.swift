// The server-side assignors of KIP-848: who of a group's members is to read which partitions.
//
// They get the members in an order of their own and the assignment so far, and return the new one in the same order.
// Every partition of every subscribed topic goes to exactly one of its subscribers.

import MillraceProtocol

package enum Assignor: String, Sendable, CaseIterable {
  /// Even, and moves as few partitions as it can.
  case uniform
  /// Neighbouring partitions, the same numbers of all topics to the same member; moves what that takes.
  case range

  func assign(_ subscribers: [Subscriber], partitionCounts: [Uuid: Int32]) -> [PartitionsByTopic] {
    switch self {
    case .uniform: UniformAssignment.compute(subscribers, partitionCounts)
    case .range: RangeAssignment.compute(subscribers, partitionCounts)
    }
  }
}

struct Subscriber: Sendable {
  var memberId: String
  var instanceId: String?
  /// Each once, in order, and all of them in `partitionCounts`.
  var topics: [Uuid]
  /// What it was to read so far.
  var current: PartitionsByTopic
}
