// Taking part in a group, whichever way the group has. `ClassicMember` is one way, `HeartbeatMember` the other.

/// What a member wants to read.
enum Subscription: Sendable, Equatable {
  case topics(Set<String>)
  /// Topics whose whole name matches; the broker evaluates it, in the syntax of RE2 (KIP-848).
  case pattern(String)
}

protocol GroupMember: AnyObject, Sendable {
  /// Joins the group when it is called first, and changes what is wanted afterwards.
  func subscribe(to subscription: Subscription) throws(KafkaError)

  /// Gives up without telling anybody; the group finds out by the session time-out.
  func abandon()

  /// Gives back what it has, in order, and leaves the group.
  func leave() async
}
