// Why the log did not do what it was asked. The broker maps each case to one of Kafka's error codes, in one place.

package enum LogError: Error, Sendable, Equatable {
  case offsetOutOfRange(requested: Int64, start: Int64, end: Int64)

  // The rules for producers with an id (KIP-98, KIP-360).
  case outOfOrderSequence(producerId: Int64, expected: Int32, found: Int32)
  case invalidProducerEpoch(producerId: Int64, current: Int16, found: Int16)
  /// A plain batch from a producer that has a transaction open, or a transactional one that the log may not take.
  case invalidTransactionState(producerId: Int64)
  case transactionCoordinatorFenced(producerId: Int64, current: Int32, found: Int32)

  /// The batch is larger than a segment may be.
  case recordTooLarge(byteCount: Int, limit: Int)
  /// The header of a batch to append lies about itself.
  case invalidBatch
  /// Bytes of the log are not what was written. Everything around `position` is still served.
  case corrupt(path: String, position: Int64)
  /// The disk said no: this call failed, or the log is offline for writing since one failed.
  case storage(StorageError)
  /// The partition on disk belongs to another topic of the same name.
  case inconsistentTopicId(PartitionID, onDisk: TopicID)
  case unknownPartition(PartitionID)
  case partitionExists(PartitionID)
  case deleted
  case closed

  // Opening a store.
  case noDataDirectory
  /// Another process serves this data directory.
  case directoryInUse(String)
  case differentCluster(directory: String, found: String, expected: String)
  case differentBroker(directory: String, found: Int32, expected: Int32)
}

extension LogError {
  /// Makes a call of the file system, whose errors are `storage` errors of the log.
  static func wrap<Result>(_ body: @autoclosure () throws(StorageError) -> Result) throws(LogError) -> Result {
    do { return try body() } catch { throw .storage(error) }
  }

  /// Whether a write that failed like this is the log's last. Without room, or without a descriptor to spare, the log
  /// is as it was and the next append may succeed.
  var endsWriting: Bool {
    guard case .storage(let error) = self else { return false }
    let isRefusal = error.isOutOfSpace && (error.operation == .write || error.operation == .open)
    return !isRefusal && !error.isTooManyOpenFiles
  }
}

extension LogError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .offsetOutOfRange(let requested, let start, let end): "offset \(requested) is not within \(start) to \(end)"
    case .outOfOrderSequence(let id, let expected, let found):
      "producer \(id) sent sequence \(found) where \(expected) is next"
    case .invalidProducerEpoch(let id, let current, let found):
      "producer \(id) has epoch \(current) by now and came with \(found)"
    case .invalidTransactionState(let id): "producer \(id) has no transaction that this batch could belong to"
    case .transactionCoordinatorFenced(let id, let current, let found):
      "the coordinator of producer \(id) has epoch \(current) by now and came with \(found)"
    case .recordTooLarge(let count, let limit): "a batch of \(count) bytes does not fit a segment of \(limit)"
    case .invalidBatch: "the header of the batch does not hold together"
    case .corrupt(let path, let position): "\(path) is damaged at byte \(position)"
    case .storage(let error): error.description
    case .inconsistentTopicId(let id, let onDisk): "partition \(id) on disk belongs to the topic with id \(onDisk)"
    case .unknownPartition(let id): "there is no partition \(id)"
    case .partitionExists(let id): "partition \(id) exists"
    case .deleted: "the partition was deleted"
    case .closed: "the log is closed"
    case .noDataDirectory: "no data directory is configured: set log.dirs"
    case .directoryInUse(let path):
      "the data directory \(path) is in use by another broker: stop that one, or set log.dirs to another directory"
    case .differentCluster(let path, let found, let expected):
      "the data directory \(path) belongs to cluster \(found), not \(expected): correct cluster.id or log.dirs"
    case .differentBroker(let path, let found, let expected):
      "the data directory \(path) belongs to broker \(found), not \(expected): correct node.id or log.dirs"
    }
  }
}
