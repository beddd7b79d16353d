// What the coordinator of share groups asks of the share coordinator.

package struct ShareInitialization: Sendable, Equatable {
  package var key: ShareStateKey
  package var stateEpoch: Int32
  /// -1: where the group's `share.auto.offset.reset` says, when it is first fetched from.
  package var startOffset: Int64
}
