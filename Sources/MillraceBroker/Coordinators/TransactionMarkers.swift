// Writes the outcomes of transactions into their partitions: one control batch each (KIP-98). All are written by one
// thread, one after the other, so that a marker that is tried again never comes after one of a later transaction.
//
// A partition that does not take its marker now is asked again until it does, as long as the outcome is still wanted:
// an outcome that was decided is never given up. A partition that is gone needs none.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol

final class TransactionMarkers: Sendable {
  private static let retryDelay = Duration.milliseconds(250)

  private let topics: TopicTable
  private let catalog: CatalogRuntime
  private let groups: GroupRuntime
  private let shareState: ShareStateRuntime
  private let clock: any BrokerClock
  private let timers: Timers
  private let logger: Logger
  let worker = SerialWorker()

  init(
    topics: TopicTable, catalog: CatalogRuntime, groups: GroupRuntime, shareState: ShareStateRuntime,
    clock: any BrokerClock, timers: Timers, logger: Logger
  ) {
    self.topics = topics
    self.catalog = catalog
    self.groups = groups
    self.shareState = shareState
    self.clock = clock
    self.timers = timers
    self.logger = logger
  }

  /// Calls `done` once, on any thread, when the outcome stands durably in all partitions; never, if it is no longer
  /// wanted before.
  func write(
    _ ending: TransactionEnding, coordinatorEpoch: Int32, whileWanted isWanted: @escaping @Sendable () -> Bool,
    done: @escaping @Sendable () -> Void
  ) {
    let marker = TransactionMarker(
      producerId: ending.producerId, producerEpoch: ending.producerEpoch, isCommit: ending.isCommit,
      coordinatorEpoch: coordinatorEpoch, transactionVersion: ending.transactionVersion)
    let partitions = ending.partitions
    let gathering = Gathering<Bool>(count: partitions.count) { _ in done() }
    worker.submit { [self] in
      for (index, partition) in partitions.enumerated() {
        write(marker, into: partition, ending.transactionalId, whileWanted: isWanted, isFirst: true) {
          gathering.put(true, at: index)
        }
      }
    }
  }

  /// On the worker's thread.
  private func write(
    _ marker: TransactionMarker, into partition: TransactionPartition, _ transactionalId: String,
    whileWanted isWanted: @escaping @Sendable () -> Bool, isFirst: Bool, done: @escaping @Sendable () -> Void
  ) {
    guard isWanted() else { return }
    append(marker.unfenced(by: log(of: partition)), to: partition) { [self] result in
      switch result {
      case .success:
        done()
      case .failure(.invalidProducerEpoch):
        // It has this outcome already, or a later producer has written there since.
        done()
      case .failure(.unknownTopicOrPartition):
        done()
      case .failure(let error):
        if isFirst {
          logger.warning(
            "the outcome of a transaction cannot be written yet",
            metadata: [
              "transactional.id": "\(transactionalId)", "partition": "\(partition.topic)-\(partition.partition)",
              "error": "\(error.name)",
            ])
        }
        timers.schedule(after: Self.retryDelay) { [self] in
          worker.submit { [self] in
            write(marker, into: partition, transactionalId, whileWanted: isWanted, isFirst: false, done: done)
          }
        }
      }
    }
  }

  private func log(of partition: TransactionPartition) -> PartitionLog? {
    topics.topic(named: partition.topic)?.partition(partition.partition)?.log
  }

  /// Appends the marker; calls `done` once, on any thread, when it is durable or refused.
  func append(
    _ marker: TransactionMarker, to partition: TransactionPartition,
    _ done: @escaping @Sendable (Result<Void, ErrorCode>) -> Void
  ) {
    guard let found = topics.topic(named: partition.topic)?.partition(partition.partition) else {
      // A topic whose partitions could not be opened is not gone.
      let isThere = catalog.hasTopic(named: partition.topic)
      return done(.failure(isThere ? .notLeaderOrFollower : .unknownTopicOrPartition))
    }
    if partition.topic == GroupRuntime.topicName {
      return groups.end(marker, partition: partition.partition, done)
    }
    if partition.topic == ShareStateRuntime.topicName {
      return shareState.end(marker, partition: partition.partition, done)
    }
    let journal = Journal(log: found.log, leaderEpoch: found.leaderEpoch)
    do throws(LogError) {
      let end = try journal.append(marker, nowMs: clock.nowMs())
      found.log.whenDurable(through: end) { done($0.mapError { ErrorCode($0) }) }
    } catch {
      done(.failure(ErrorCode(error)))
    }
  }
}

extension TransactionMarker {
  /// There is no other coordinator than this broker, whatever epoch an administrator wrote into the partition.
  fileprivate func unfenced(by log: PartitionLog?) -> TransactionMarker {
    guard let recorded = log?.coordinatorEpoch(ofProducer: producerId), recorded > coordinatorEpoch else { return self }
    var marker = self
    marker.coordinatorEpoch = recorded
    return marker
  }
}
