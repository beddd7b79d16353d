// What an error means for a transaction: after most it can be aborted and the next one tried, after some the producer is
// of no use any more.

import MillraceProtocol

enum TransactionFailure {
  /// Who said it. A partition that does not like the epoch may just be behind; the coordinator knows.
  enum Source: Sendable {
    case partition
    case coordinator
  }

  static func isFatal(_ error: KafkaError, from source: Source) -> Bool {
    switch error.code {
    case .unsupportedVersion, .configuration: return true
    case .fenced: return error.brokerCode != .fencedInstanceId
    default: break
    }
    switch error.brokerCode {
    case .producerFenced, .transactionalIdAuthorizationFailed, .clusterAuthorizationFailed, .unsupportedVersion,
      .unsupportedForMessageFormat, .invalidTransactionTimeout, .transactionalIdNotFound:
      return true
    case .invalidProducerEpoch, .invalidProducerIdMapping, .unknownProducerId, .invalidTxnState:
      return source == .coordinator
    default: return false
    }
  }

  /// The same error, as one of being fenced if it is one.
  static func fenced(_ error: KafkaError) -> KafkaError {
    switch error.brokerCode {
    case .invalidProducerEpoch, .invalidProducerIdMapping, .unknownProducerId:
      KafkaError(
        .fenced,
        error.message + "; another producer with the same transactional id has taken its place, or it timed out",
        brokerCode: error.brokerCode)
    default: error
    }
  }
}

extension KafkaError {
  static let transactionAborted = KafkaError(.aborted, "the transaction was aborted before the record was written")
}
