// As whom requests about a group's offsets are made.

import Synchronization

/// Who commits: a member of a group, or somebody from outside.
struct GroupIdentity: Sendable, Equatable {
  var group: String
  /// The generation of a classic group, the member's epoch in one of the consumer protocol.
  var generation: Int32 = -1
  var memberId = ""
  var groupInstanceId: String?
}

/// The identity of a consumer, which changes while its group does. A request that is repeated takes it anew each time.
final class CurrentIdentity: Sendable {
  private let identity: Mutex<GroupIdentity>

  init(_ identity: GroupIdentity) {
    self.identity = Mutex(identity)
  }

  var value: GroupIdentity {
    get { identity.withLock { $0 } }
    set { identity.withLock { $0 = newValue } }
  }
}
