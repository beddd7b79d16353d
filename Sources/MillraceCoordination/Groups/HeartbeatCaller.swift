// Who sends a heartbeat of the consumer or of the share protocol.

package struct HeartbeatCaller: Sendable {
  package var clientId: String
  package var clientHost: String
  /// For version 0 of ConsumerGroupHeartbeat, where the coordinator may make the id: a random UUID.
  package var newMemberId: String

  package init(clientId: String, clientHost: String, newMemberId: String = "") {
    self.clientId = clientId
    self.clientHost = clientHost
    self.newMemberId = newMemberId
  }
}
