// Members of classic groups, thrown out from outside (KIP-345).

import MillraceProtocol

extension Admin {
  /// Removes members from a group, as if they had left. One that is alive finds out with its next heartbeat.
  public func removeMembers(
    _ memberIds: [String], from group: String
  ) async throws(KafkaError) -> [String: Result<Void, KafkaError>] {
    guard !memberIds.isEmpty else { return [:] }
    let response = try await cluster.send(to: .coordinator(.group(group))) { version throws(KafkaError) in
      guard version >= 3 else {
        throw KafkaError(.unsupportedVersion, "the broker removes members one by one, and only by themselves (KIP-345)")
      }
      return LeaveGroupRequest(
        groupId: group,
        members: memberIds.map { .init(memberId: $0, reason: version >= 5 ? "removed by an admin" : nil) })
    } failure: {
      .broker($0.errorCode, about: "group '\(group)'")
    }
    var results: [String: Result<Void, KafkaError>] = [:]
    for member in response.members {
      results[member.memberId] = Result(
        .broker(member.errorCode, about: "member '\(member.memberId)' of group '\(group)'"))
    }
    return results
  }
}
