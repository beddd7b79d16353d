// What can be wrong with an answer to a fetch.

import MillraceProtocol
import MillraceRecords

extension KafkaError {
  var isAboutFetchSession: Bool {
    brokerCode == .fetchSessionIdNotFound || brokerCode == .invalidFetchSessionEpoch
      || brokerCode == .fetchSessionTopicIdError
  }

  /// Whether a fetch that failed with it is not just tried again.
  var isForApplication: Bool {
    !isRetriable && !isAboutFetchSession && brokerCode != .unknownServerError && code != .cancelled && code != .closed
  }

  static func corrupt(_ partition: TopicPartition, at offset: Int64, _ error: BatchError) -> KafkaError {
    let what =
      switch error {
      case .unsupportedMagic(let magic):
        "a batch of message format \(magic), which brokers of before Kafka 0.11 wrote and this client does not read"
      default: "\(error)"
      }
    return KafkaError(
      .corruptRecords, "partition \(partition) cannot be read at offset \(offset): \(what); seek behind it to go on")
  }
}
