// Share sessions (KIP-932): which partitions a member of a share group fetches from on this broker, and the number that
// its next request has to carry. Shared by ShareFetch and ShareAcknowledge.
//
//   epoch  0   begins a session anew; a session that was there is dropped, and what the member holds stays with it
//   epoch  n   continues it: n has to be the expected one, which is then raised (after Int32.max comes 1)
//   epoch -1   ends it: acknowledgements are performed, and what the member still holds is to be released
//
// A plain value for all sessions of a broker, bounded by `group.share.max.share.sessions`. Sessions are not evicted:
// they end with their connection, so the limit is answered to who comes last (SHARE_SESSION_LIMIT_REACHED).

import Collections
import MillraceProtocol

package struct ShareSessionKey: Hashable, Sendable {
  package var groupId: String
  package var memberId: String

  package init(groupId: String, memberId: String) {
    self.groupId = groupId
    self.memberId = memberId
  }
}

package struct ShareTopicPartition: Hashable, Sendable {
  package var topicId: Uuid
  package var partition: Int32

  package init(topicId: Uuid, partition: Int32) {
    self.topicId = topicId
    self.partition = partition
  }
}

package enum ShareSessionEpoch {
  package static let initial: Int32 = 0
  package static let final: Int32 = -1

  static func after(_ epoch: Int32) -> Int32 { epoch == .max ? 1 : epoch + 1 }
}

/// What a ShareFetch is to do.
package enum ShareFetchContext: Sendable, Equatable {
  /// Perform the acknowledgements, then fetch from these partitions of the session, in this order.
  case fetch([ShareTopicPartition])
  /// Perform the acknowledgements and fetch nothing; then call `ShareSessions.end` and release what the member holds.
  case final
}

package enum ShareAcknowledgeContext: Sendable, Equatable {
  case acknowledge
  /// As `ShareFetchContext.final`.
  case final
}

package struct ShareSessions: Sendable {
  /// `group.share.max.share.sessions`
  package var limit: Int

  private struct Session {
    /// Partitions in the order in which they are fetched; true: not answered yet, so the next answer names it even when
    /// it has nothing to say.
    var partitions: OrderedDictionary<ShareTopicPartition, Bool> = [:]
    var nextEpoch: Int32
    var connection: UInt64
  }

  private var sessions: [ShareSessionKey: Session] = [:]
  private var keys: [UInt64: Set<ShareSessionKey>] = [:]
  private var members: [String: Int] = [:]
  package private(set) var partitionCount = 0

  package init(limit: Int) {
    self.limit = limit
  }

  package var count: Int { sessions.count }

  /// How many members of the group have a session here. With none left, the group's share-partitions can be let go.
  package func memberCount(ofGroup groupId: String) -> Int { members[groupId] ?? 0 }

  package func partitions(of key: ShareSessionKey) -> [ShareTopicPartition] {
    sessions[key].map { Array($0.partitions.keys) } ?? []
  }

  // MARK: Requests

  /// - Parameters:
  ///   - connection: names the connection for `disconnected`.
  ///   - hasAcknowledgements: any partition of the request carries acknowledgement batches.
  package mutating func fetch(
    _ key: ShareSessionKey, epoch: Int32, adding partitions: [ShareTopicPartition],
    forgetting forgotten: [ShareTopicPartition], hasAcknowledgements: Bool, connection: UInt64
  ) -> Result<ShareFetchContext, ShareSessionRefusal> {
    switch epoch {
    case ShareSessionEpoch.final:
      return sessions[key] == nil ? .failure(.shareSessionNotFound) : .success(.final)
    case ShareSessionEpoch.initial:
      // A member that holds records has a session, so it cannot acknowledge in the request that begins one.
      if hasAcknowledgements { return .failure(.invalidRequest) }
      end(key)
      guard sessions.count < limit else { return .failure(.shareSessionLimitReached) }
      var session = Session(nextEpoch: ShareSessionEpoch.after(epoch), connection: connection)
      for partition in partitions { session.partitions[partition] = false }
      begin(session, key)
      return .success(.fetch(Array(session.partitions.keys)))
    default:
      if let refusal = raiseEpoch(key, from: epoch) { return .failure(refusal) }
      return .success(.fetch(update(key, adding: partitions, forgetting: forgotten)))
    }
  }

  /// ShareAcknowledge continues or ends a session; it cannot begin one.
  package mutating func acknowledge(
    _ key: ShareSessionKey, epoch: Int32
  ) -> Result<ShareAcknowledgeContext, ShareSessionRefusal> {
    switch epoch {
    case ShareSessionEpoch.initial: .failure(.invalidShareSessionEpoch)
    case ShareSessionEpoch.final: sessions[key] == nil ? .failure(.shareSessionNotFound) : .success(.final)
    default: raiseEpoch(key, from: epoch).map { .failure($0) } ?? .success(.acknowledge)
    }
  }

  /// Whether an answer that continues a session names the partition: it has records or an error, or is new in the
  /// session, or had an error the last time.
  package mutating func includes(
    _ partition: ShareTopicPartition, of key: ShareSessionKey, hasRecords: Bool, hasError: Bool
  ) -> Bool {
    guard let isOwed = sessions[key]?.partitions[partition] else { return true }
    sessions[key]?.partitions[partition] = hasError
    return hasRecords || hasError || isOwed
  }

  // MARK: Ends

  /// - Returns: the partitions of the session, where the member's records are to be released.
  @discardableResult
  package mutating func end(_ key: ShareSessionKey) -> [ShareTopicPartition] {
    guard let session = sessions.removeValue(forKey: key) else { return [] }
    partitionCount -= session.partitions.count
    keys[session.connection]?.remove(key)
    if keys[session.connection]?.isEmpty == true { keys[session.connection] = nil }
    let left = (members[key.groupId] ?? 1) - 1
    members[key.groupId] = left > 0 ? left : nil
    return Array(session.partitions.keys)
  }

  /// The connection is gone, and with it the sessions that began on it. What their members hold is to be released.
  package mutating func disconnected(
    _ connection: UInt64
  ) -> [(key: ShareSessionKey, partitions: [ShareTopicPartition])] {
    (keys[connection] ?? []).map { ($0, end($0)) }
  }

  // MARK: -

  private mutating func begin(_ session: Session, _ key: ShareSessionKey) {
    sessions[key] = session
    keys[session.connection, default: []].insert(key)
    members[key.groupId, default: 0] += 1
    partitionCount += session.partitions.count
  }

  private mutating func raiseEpoch(_ key: ShareSessionKey, from epoch: Int32) -> ShareSessionRefusal? {
    guard let expected = sessions[key]?.nextEpoch else { return .shareSessionNotFound }
    guard expected == epoch else { return .invalidShareSessionEpoch }
    sessions[key]?.nextEpoch = ShareSessionEpoch.after(expected)
    return nil
  }

  /// The partitions to fetch from now on, rotated by one, so that none is always the last to be looked at.
  private mutating func update(
    _ key: ShareSessionKey, adding added: [ShareTopicPartition], forgetting forgotten: [ShareTopicPartition]
  ) -> [ShareTopicPartition] {
    guard var session = sessions.removeValue(forKey: key) else { return [] }
    let before = session.partitions.count
    for partition in added where session.partitions[partition] == nil { session.partitions[partition] = true }
    for partition in forgotten { session.partitions[partition] = nil }
    partitionCount += session.partitions.count - before
    let all = Array(session.partitions.keys)
    let turn = all.isEmpty ? 0 : Int(UInt32(bitPattern: session.nextEpoch)) % all.count
    sessions[key] = session
    return Array(all[turn...] + all[..<turn])
  }
}

/// Why a request does not get to its session.
package enum ShareSessionRefusal: Error, Sendable, Equatable {
  case shareSessionNotFound
  case invalidShareSessionEpoch
  case shareSessionLimitReached
  case invalidRequest

  package var errorCode: ErrorCode {
    switch self {
    case .shareSessionNotFound: .shareSessionNotFound
    case .invalidShareSessionEpoch: .invalidShareSessionEpoch
    case .shareSessionLimitReached: .shareSessionLimitReached
    case .invalidRequest: .invalidRequest
    }
  }
}
