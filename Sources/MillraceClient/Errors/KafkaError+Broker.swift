// Error codes of brokers as sentences. Codes that a person can do something about have advice of their own; the others
// read as their name.

import MillraceProtocol

extension KafkaError {
  /// The error for `code` in a broker's answer about `subject` ("topic 'orders'"), nil when the code is NONE.
  ///
  /// `detail` is the broker's own message, where the answer has one: it knows more than we do.
  static func broker(_ code: ErrorCode, about subject: String, detail: String? = nil) -> KafkaError? {
    code == .none ? nil : KafkaError(brokerCode: code, about: subject, detail: detail)
  }

  /// The same for a code as it stands in a message.
  static func broker(_ code: Int16, about subject: String, detail: String? = nil) -> KafkaError? {
    code == 0 ? nil : KafkaError(brokerCode: ErrorCode(rawValue: code), about: subject, detail: detail)
  }

  init(brokerCode code: ErrorCode, about subject: String, detail: String? = nil) {
    var message = "\(subject): "
    if let detail, !detail.isEmpty {
      message += "\(detail) (\(code.name))"
    } else if let advice = Self.advice(for: code) {
      message += "\(advice) (\(code.name))"
    } else {
      message += "the broker answered \(code.name)"
    }
    let fenced = code == .producerFenced || code == .fencedInstanceId
    self.init(fenced ? .fenced : .broker, message, brokerCode: code, isRetriable: code.isRetriable)
  }

  private static func advice(for code: ErrorCode) -> String? {
    switch code {
    case .unknownTopicOrPartition: "it does not exist; create it or check the name"
    case .topicAlreadyExists: "it exists already"
    case .invalidTopicException: "the name is not valid: use 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'"
    case .invalidPartitions: "the number of partitions is not valid"
    case .invalidReplicationFactor: "the replication factor is not valid for this cluster"
    case .invalidConfig: "a config value is not valid"
    case .messageTooLarge: "a batch is larger than the topic allows; send smaller records or raise max.message.bytes"
    case .recordListTooLarge: "a batch is larger than a segment of the topic"
    case .invalidRecord: "the broker refused a record of the batch"
    case .unsupportedCompressionType: "the broker does not take this compression type"
    case .corruptMessage: "the batch arrived damaged"
    case .notLeaderOrFollower: "the broker does not lead the partition any more"
    case .leaderNotAvailable: "the partition has no leader at the moment"
    case .notEnoughReplicas, .notEnoughReplicasAfterAppend: "fewer replicas are in sync than min.insync.replicas"
    case .offsetOutOfRange: "the offset is not in the partition any more, or not yet"
    case .kafkaStorageError: "the broker cannot use its disk; see its log"
    case .coordinatorNotAvailable: "the group coordinator is not available at the moment"
    case .coordinatorLoadInProgress: "the group coordinator is still loading"
    case .notCoordinator: "another broker coordinates the group now"
    case .groupIdNotFound: "there is no such group"
    case .nonEmptyGroup: "the group has active members; stop its consumers first"
    case .groupSubscribedToTopic: "the group is subscribed to the topic; stop its consumers first"
    case .groupMaxSizeReached: "the group has as many members as it may have"
    case .invalidSessionTimeout: "the session time-out is outside the range that the broker allows"
    case .inconsistentGroupProtocol: "the group uses another protocol or other assignors than this member"
    case .unknownMemberId: "the member is not in the group any more; it was too slow or was removed"
    case .illegalGeneration: "the group has rebalanced since; the member has to join again"
    case .rebalanceInProgress: "the group is rebalancing"
    case .fencedInstanceId: "another member with the same group.instance.id has taken its place"
    case .transactionalIdNotFound: "there is no such transactional id"
    case .concurrentTransactions: "the transaction before is still being ended"
    case .invalidTxnState: "the transaction is in no state for this"
    case .producerFenced: "another producer with the same transactional id has taken its place"
    case .outOfOrderSequenceNumber: "records before these were lost, so order could not be kept"
    case .unsupportedVersion: "the broker does not support this request; it needs a newer version"
    case .clusterAuthorizationFailed, .topicAuthorizationFailed, .groupAuthorizationFailed,
      .transactionalIdAuthorizationFailed:
      "access was denied"
    case .requestTimedOut: "the broker could not complete the request in time"
    case .policyViolation: "a policy of the cluster refuses it"
    case .offsetNotAvailable: "the partition's offsets are not available yet after a change of leader"
    case .unknownServerError: "the broker failed; see its log"
    default: nil
    }
  }
}
