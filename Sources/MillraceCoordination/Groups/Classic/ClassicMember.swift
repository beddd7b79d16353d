// A member of a classic group: who it is, what it can do, what it was given, and which of its requests are parked.
//
// Whatever came out of a request is copied, since a slice would keep the whole frame alive for as long as the member.

import MillraceProtocol
import NIOCore

package struct ClassicMember: Sendable {
  package let memberId: String
  /// `group.instance.id`: the member is static and keeps its assignment across restarts (KIP-345).
  package let groupInstanceId: String?
  package let clientId: String
  package let clientHost: String
  package internal(set) var rebalanceTimeoutMs: Int32
  package internal(set) var sessionTimeoutMs: Int32
  /// In the member's order of preference.
  package internal(set) var protocols: [SupportedProtocol]
  package internal(set) var assignment = ByteBuffer()

  package internal(set) var joinTicket: JoinTicket?
  package internal(set) var syncTicket: SyncTicket?
  /// It has never been told its id by a completed join, so it cannot heartbeat and its parked join may expire.
  package internal(set) var isNew = false
  var session = Countdown()

  var isAwaitingJoin: Bool { joinTicket != nil }

  /// A parked request is as good as a heartbeat, except for a new member, whose parked join is what expires.
  var hasSatisfiedHeartbeat: Bool { !isNew && (joinTicket != nil || syncTicket != nil) }

  func metadata(for protocolName: String?) -> ByteBuffer? {
    protocols.first { $0.name == protocolName }?.metadata
  }
}

/// A protocol (an assignor, for consumers) that a member supports, with what it says to the leader under it.
package struct SupportedProtocol: Sendable, Equatable {
  package let name: String
  package let metadata: ByteBuffer

  package init(name: String, metadata: ByteBuffer) {
    self.name = name
    self.metadata = ByteBuffer(buffer: metadata)
  }
}

extension [SupportedProtocol] {
  /// What a JoinGroup offers; of two protocols with one name the first counts.
  init(_ offered: [JoinGroupRequest.JoinGroupRequestProtocol]) {
    self = []
    reserveCapacity(offered.count)
    var names: Set<String> = []
    for one in offered where names.insert(one.name).inserted {
      append(SupportedProtocol(name: one.name, metadata: one.metadata))
    }
  }
}
