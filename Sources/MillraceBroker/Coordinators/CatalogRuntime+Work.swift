// What the worker thread does: directories for new partitions, away with those of deleted topics, configs to open logs.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

extension CatalogRuntime {
  // MARK: New partitions

  func submitGrowth(of id: Uuid, _ state: inout State) {
    guard state.isGrowthQueued.insert(id).inserted else { return }
    worker.submit { [self] in grow(id) }
  }

  private func grow(_ id: Uuid) {
    let plan = state.withLock { state -> (topic: CatalogTopic, have: Int, config: LogConfig, end: Int64)? in
      state.isGrowthQueued.remove(id)
      guard let topic = state.catalog.topic(id: id) else { return nil }
      return (topic, state.partitions[id]?.count ?? 0, logConfig(of: topic, state.catalog), state.journalEnd)
    }
    guard let plan else {
      return release(id, .failure(CatalogError(.unknownTopicOrPartition, "The topic was deleted meanwhile.")))
    }
    do throws(LogError) {
      let logs = try makeLogs(of: plan.topic, from: plan.have, plan.config)
      try waitUntilDurable(through: plan.end)
      publish(plan.topic, logs)
    } catch {
      logger.error(
        "cannot make the partitions of a topic", metadata: ["topic": "\(plan.topic.name)", "error": "\(error)"])
      release(id, .failure(CatalogError(error)))
    }
  }

  /// The logs of a topic's partitions from `first` on, with their directories.
  func makeLogs(of topic: CatalogTopic, from first: Int, _ config: LogConfig) throws(LogError) -> [PartitionLog] {
    guard first < topic.partitionCount else { return [] }
    let topicId = TopicID(topic.id)
    let ids = (first..<topic.partitionCount).map { PartitionID(topic: topic.name, partition: Int32($0)) }
    let missing = ids.filter { store.partition($0) == nil }
    if !missing.isEmpty {
      _ = try store.createPartitions(missing.map { ($0, topicId) }, config: config)
    }
    var logs: [PartitionLog] = []
    for id in ids { logs.append(try store.partition(id, topicId: topicId, config: config)) }
    return logs
  }

  /// Makes the topic visible with these partitions behind those that it has, and tells who waits for it.
  private func publish(_ topic: CatalogTopic, _ logs: [PartitionLog]) {
    let ready = state.withLock { state -> (Topic, [@Sendable (Result<Topic, CatalogError>) -> Void])? in
      guard let latest = state.catalog.topic(id: topic.id) else { return nil }
      var partitions = state.partitions[topic.id] ?? []
      for log in logs {
        let index = partitions.count
        partitions.append(
          Partition(index: Int32(index), log: log, leaderEpoch: state.catalog.leaderEpoch(latest, index)))
      }
      state.partitions[topic.id] = partitions
      let published = visible(latest, partitions, state.catalog)
      topics.put(published)
      // Who asked for partitions that were decided after this began waits for the next job.
      guard partitions.count >= latest.partitionCount else { return (published, []) }
      return (published, state.waiters.removeValue(forKey: topic.id) ?? [])
    }
    guard let (published, waiters) = ready else {
      return release(topic.id, .failure(CatalogError(.unknownTopicOrPartition, "The topic was deleted meanwhile.")))
    }
    for waiter in waiters { waiter(.success(published)) }
  }

  private func release(_ id: Uuid, _ result: Result<Topic, CatalogError>) {
    let waiters = state.withLock { $0.waiters.removeValue(forKey: id) ?? [] }
    for waiter in waiters { waiter(result) }
  }

  // MARK: Deleted topics

  func submitDeletion(of topic: CatalogTopic, through end: Int64) {
    worker.submit { [self] in
      do throws(LogError) {
        try waitUntilDurable(through: end)
      } catch {
        // Without its fact the deletion did not happen; the next start finds the topic again.
        return logger.error(
          "a deletion is not durable, its data stays", metadata: ["topic": "\(topic.name)", "error": "\(error)"])
      }
      let partitions = (0..<Int32(topic.partitionCount)).map { PartitionID(topic: topic.name, partition: $0) }
      guard partitions.count(where: { !deletePartition($0) }) == 0 else { return }
      state.withLock { state in
        state.snapshots.openDeletions -= 1
        submitSnapshotIfDue(&state)
      }
    }
  }

  /// Returns whether the partition is no more.
  func deletePartition(_ id: PartitionID) -> Bool {
    do throws(LogError) {
      try store.deletePartition(id, nowMs: clock.nowMs())
    } catch .unknownPartition {
      // Its directory was never made.
    } catch {
      // The journal knows of the deletion: the next start finishes it.
      logger.error("cannot delete a partition", metadata: ["partition": "\(id)", "error": "\(error)"])
      return false
    }
    return true
  }

  /// Blocks the worker until the journal is durable that far.
  func waitUntilDurable(through end: Int64) throws(LogError) {
    guard let journal = state.withLock({ $0.journal }) else { throw .closed }
    try journal.waitUntilDurable(through: end)
  }

  // MARK: Configs

  /// Publishes topics with their latest configs, and has the worker tell their logs.
  func configure(_ ids: Set<Uuid>, _ state: inout State, _ outstanding: Outstanding) {
    for id in ids {
      guard let topic = state.catalog.topic(id: id), let partitions = state.partitions[id], !partitions.isEmpty else {
        continue
      }
      topics.put(visible(topic, partitions, state.catalog))
    }
    outstanding.add()
    worker.submit { [self] in
      for id in ids { configureLogs(of: id) }
      outstanding.complete()
    }
  }

  private func configureLogs(of id: Uuid) {
    let plan = state.withLock { state -> (LogConfig, [Partition])? in
      guard let topic = state.catalog.topic(id: id) else { return nil }
      return (logConfig(of: topic, state.catalog), state.partitions[id] ?? [])
    }
    guard let (config, partitions) = plan else { return }
    for partition in partitions where partition.log.config != config { partition.log.config = config }
  }

  // MARK: From the catalog's words to the broker's and the log's

  func visible(_ topic: CatalogTopic, _ partitions: [Partition], _ catalog: Catalog) -> Topic {
    Topic(
      name: topic.name, id: topic.id, isInternal: topic.isInternal,
      settings: TopicSettings(catalog.configuration(of: topic)), partitions: partitions)
  }

  func logConfig(of topic: CatalogTopic, _ catalog: Catalog) -> LogConfig {
    LogConfig(catalog.configuration(of: topic), producerIdExpirationMs: catalog.producerIdExpirationMs)
  }
}
