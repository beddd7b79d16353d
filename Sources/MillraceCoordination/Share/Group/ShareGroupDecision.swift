// What the coordinator of share groups decided about one event. The runtime performs it in this order: append `records`
// as one batch, arm `timers`, answer when the records are durable, and then begin what `initialize` and `delete` say.

import MillraceProtocol

package struct ShareGroupDecision: Sendable {
  /// Facts for the journal. The shard has already taken them in.
  package var records: [ShareGroupRecord] = []
  /// Alarms to set. An alarm is never cancelled: when it goes off too late to matter, the shard recognises that.
  package var timers: [ShareGroupTimer] = []
  /// State to be initialized in the share coordinator; then `ShareGroupShard.initialized` or `initializationFailed`.
  package var initialize: [ShareInitialization] = []
  /// State to be deleted in the share coordinator; then the event's second half.
  package var delete: [ShareStateKey] = []
  /// Members that were put out because they fell silent: their share sessions may be ended.
  package var fenced: [ShareSessionKey] = []

  package init() {}
}

package struct ShareInitialization: Sendable, Equatable {
  package var key: ShareStateKey
  package var stateEpoch: Int32
  /// -1: where the group's `share.auto.offset.reset` says, when it is first fetched from.
  package var startOffset: Int64
}

/// An alarm and, at once, the name by which it comes back to `ShareGroupShard.timerFired`.
package struct ShareGroupTimer: Hashable, Sendable {
  package var groupId: String
  package var memberId: String
  package var deadlineMs: Int64
}

/// Who sends a ShareGroupHeartbeat.
package struct ShareGroupCaller: Sendable {
  package var clientId: String
  package var clientHost: String

  package init(clientId: String, clientHost: String) {
    self.clientId = clientId
    self.clientHost = clientHost
  }
}
