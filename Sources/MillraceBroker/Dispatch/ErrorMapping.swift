// From the log's and the batch's errors to Kafka's codes: the one place.

import MillraceLog
import MillraceProtocol

extension ErrorCode {
  package init(_ error: LogError) {
    switch error {
    case .offsetOutOfRange: self = .offsetOutOfRange
    case .outOfOrderSequence: self = .outOfOrderSequenceNumber
    case .invalidProducerEpoch: self = .invalidProducerEpoch
    case .invalidTransactionState: self = .invalidTxnState
    case .transactionCoordinatorFenced: self = .transactionCoordinatorFenced
    case .recordTooLarge: self = .recordListTooLarge
    case .invalidBatch: self = .invalidRecord
    case .corrupt: self = .corruptMessage
    case .storage, .noDataDirectory, .directoryInUse, .differentCluster, .differentBroker: self = .kafkaStorageError
    case .inconsistentTopicId: self = .inconsistentTopicId
    case .unknownPartition, .deleted: self = .unknownTopicOrPartition
    case .partitionExists: self = .topicAlreadyExists
    case .closed: self = .notLeaderOrFollower
    }
  }
}

extension Uuid {
  package init(_ id: TopicID) { self.init(high: id.high, low: id.low) }
}

extension TopicID {
  package init(_ id: Uuid) { self.init(high: id.high, low: id.low) }
}
