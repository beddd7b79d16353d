// Starting: replay the journal, compare it with the directories, open the topics. After a clean stop nothing of a
// partition is read, so thousands of them cost only their objects.

import MillraceCoordination
import MillraceLog
import MillraceProtocol
import MillraceRecords
import Synchronization

extension CatalogRuntime {
  private static let progressInterval = Duration.seconds(2)
  /// More ids than this are not given out by facts that one accident can take.
  private static let mostLostProducerIds: Int64 = 1 << 32

  /// Blocks until every topic can be served. Throws if the journal cannot be opened or written.
  package func start() throws(CatalogError) {
    worker.start(name: "catalog")
    do throws(LogError) {
      let journal = Journal(log: try openJournal(), leaderEpoch: Self.journalLeaderEpoch)
      let (removed, isWhole) = try replay(journal)
      let found = findPartitions()
      let reconciliation = reconcile(found, removed)
      appendStart(journal, adopted: reconciliation.adopted)
      let undeleted = reconciliation.toDelete.count { !deletePartition(PartitionID($0)) }
      state.withLock { $0.snapshots.openDeletions += undeleted }
      for directory in reconciliation.toSetAside { setAside(directory) }
      let opened = openTopics(
        Set(found).subtracting(reconciliation.toDelete).subtracting(reconciliation.toSetAside))
      let knowsAll = isWhole && reconciliation.adopted.isEmpty
      if !knowsAll || !store.wasCleanlyStopped { recover(opened) }
      skipUsedProducerIds(of: opened, journal, knowsAll: knowsAll)
    } catch {
      throw CatalogError(error)
    }
  }

  // MARK: The journal

  private func openJournal() throws(LogError) -> PartitionLog {
    let id = PartitionID(topic: TopicName.clusterMetadata, partition: 0)
    // There is only one, whatever became of the file in its directory.
    let topicId = store.recordedTopicId(of: id) ?? TopicID(Uuid.metadataTopic)
    // Nothing goes by age or size, but what snapshots stand for.
    let config = LogConfig(
      segmentBytes: configuration.metadataSegmentBytes, segmentMs: configuration.metadataSegmentMs, retentionMs: -1,
      retentionBytes: -1)
    do throws(LogError) {
      return try store.partition(id, topicId: topicId, config: config)
    } catch .unknownPartition {
      return try store.createPartition(id, topicId: topicId, config: config)
    } catch {
      throw error
    }
  }

  /// Returns the topics whose removal was met, and whether every fact behind the snapshot was there.
  private func replay(_ journal: Journal) throws(LogError) -> (removed: Set<Uuid>, isWhole: Bool) {
    var catalog = state.withLock { $0.catalog }
    var removed: Set<Uuid> = []
    let logger = logger
    let snapshot = try loadSnapshot(of: journal.log)
    let start = snapshot?.endOffset ?? 0
    for record in snapshot?.records ?? [] { catalog.apply(record, at: start - 1) }
    var byteCount: Int64 = 0
    var next = start
    var isWhole = true
    // What was removed before the snapshot is read too, as far as it is there: nothing else tells of a directory that
    // came back.
    try journal.replay { fact, offset, _ in
      if offset >= start {
        if offset != next { isWhole = false }
        next = offset + 1
      }
      guard let value = fact.value else { return }
      if offset >= start { byteCount += fact.byteCount }
      do {
        let record = try MetadataRecord(from: value)
        if case .removeTopic(let record) = record { removed.insert(record.topicId) }
        if offset >= start { catalog.apply(record, at: offset) }
      } catch {
        logger.error("a metadata record cannot be read", metadata: ["offset": "\(offset)", "error": "\(error)"])
      }
    } damaged: { offset, reason in
      logger.error("the metadata journal is damaged", metadata: ["offset": "\(offset)", "reason": "\(reason)"])
    }
    let end = journal.log.offsets.logEndOffset
    let logStart = journal.log.offsets.logStartOffset
    if logStart > start {
      logger.error(
        "facts are missing between the newest snapshot of the metadata and its journal",
        metadata: ["from": "\(start)", "to": "\(logStart)"])
    }
    state.withLock { state in
      state.catalog = catalog
      state.journal = journal
      state.journalEnd = end
      state.snapshots.endOffset = start
      state.snapshots.bytesSince = byteCount
    }
    if next != end { isWhole = false }
    if start > end { try replaceSnapshot(beyond: end, journal.log) }
    return (removed, isWhole)
  }

  /// Journals the start and what was adopted, and waits until that is durable: the raised leader epochs must not be
  /// forgotten once they are used. A disk that takes nothing, since it is full, does not keep the broker from serving
  /// what it has; then these facts are true for this run only.
  private func appendStart(_ journal: Journal, adopted: [MetadataRecord]) {
    if !adopted.isEmpty {
      logger.warning("partitions that the metadata did not know are adopted", metadata: ["facts": "\(adopted.count)"])
    }
    let endpoints = configuration.listeners.map { listener in
      RegisterBrokerRecord.BrokerEndpoint(
        name: listener.name, host: listener.advertisedHost, port: listener.advertisedPort, securityProtocol: 0)
    }
    let end = state.withLock { state -> Int64? in
      let base = state.journalEnd
      let start = state.catalog.decideStart(
        wasCleanlyStopped: store.wasCleanlyStopped, incarnation: .random(), endpoints: endpoints,
        rack: configuration.rack, nextOffset: base)
      let records = start.records + adopted
      for (index, record) in records.enumerated() { state.catalog.apply(record, at: base + Int64(index)) }
      do throws(LogError) {
        state.journalEnd = try journal.append(try records.map(Self.fact), nowMs: clock.nowMs())
        return state.journalEnd
      } catch {
        logger.error("the metadata journal takes no facts", metadata: ["error": "\(error)"])
        return nil
      }
    }
    guard let end else { return }
    do throws(LogError) {
      try waitUntilDurable(through: end)
    } catch {
      logger.error("the metadata journal does not become durable", metadata: ["error": "\(error)"])
    }
  }

  /// Ids that producers in the logs have go to nobody else, though the fact that gave them out was lost: a new producer
  /// would be taken for the old one, and its records for duplicates.
  private func skipUsedProducerIds(of logs: [PartitionLog], _ journal: Journal, knowsAll: Bool) {
    let end = state.withLock { state -> Int64? in
      // A client may put any id into a batch. One that is far from those given out must not use them all up.
      let (limit, overflow) = state.catalog.nextProducerId.addingReportingOverflow(Self.mostLostProducerIds)
      let plausible = logs.compactMap(\.largestProducerId).filter { overflow || $0 < limit }
      let largest = plausible.max() ?? -1
      guard !knowsAll || largest >= state.catalog.nextProducerId else { return nil }
      let skip = state.catalog.decideSkippedProducerIds(through: largest)
      for (index, record) in skip.records.enumerated() {
        state.catalog.apply(record, at: state.journalEnd + Int64(index))
      }
      do throws(LogError) {
        state.journalEnd = try journal.append(try skip.records.map(Self.fact), nowMs: clock.nowMs())
        return state.journalEnd
      } catch {
        logger.error("the metadata journal takes no facts", metadata: ["error": "\(error)"])
        return nil
      }
    }
    guard end != nil else { return }
    logger.warning("facts about producer ids may be lost: some ids are skipped")
  }

  // MARK: The directories

  private func findPartitions() -> [FoundPartition] {
    let catalog = state.withLock { $0.catalog }
    var found: [(id: PartitionID, topicId: TopicID?)] = []
    for (id, topicId) in store.existingPartitions() where id.topic != TopicName.clusterMetadata {
      var topicId = topicId
      if topicId == nil {
        // Not read after a clean stop, where it matters only for what the journal does not know.
        let isKnown = catalog.topic(named: id.topic).map { Int(id.partition) < $0.partitionCount } ?? false
        if !isKnown { topicId = store.recordedTopicId(of: id) }
      }
      found.append((id, topicId))
    }
    // An id that is the topic's but for a few bits is damaged. Of a topic that the journal does not know the id is the one
    // that most of its directories have.
    let ids = Dictionary(grouping: found, by: \.id.topic).compactMapValues { directories -> TopicID? in
      if let topic = catalog.topic(named: directories[0].id.topic) { return TopicID(topic.id) }
      let counts = Dictionary(directories.compactMap(\.topicId).map { ($0, 1) }, uniquingKeysWith: +)
      return counts.max { $0.value < $1.value }?.key
    }
    return found.map { id, topicId in
      let topicId = topicId.map { own in ids[id.topic].flatMap { own.isNear($0) ? $0 : nil } ?? own }
      return FoundPartition(topic: id.topic, partition: id.partition, topicId: topicId.map { Uuid($0) })
    }
  }

  private func reconcile(_ found: [FoundPartition], _ removed: Set<Uuid>) -> Reconciliation {
    let catalog = state.withLock { $0.catalog }
    var random = SystemRandomNumberGenerator()
    return catalog.reconcile(with: found, removed: removed, random: &random)
  }

  private func setAside(_ directory: FoundPartition) {
    do throws(LogError) {
      try store.setAside(PartitionID(directory))
      logger.warning(
        "a partition that contradicts the metadata is set aside", metadata: ["partition": "\(PartitionID(directory))"])
    } catch {
      logger.error(
        "cannot set a partition aside", metadata: ["partition": "\(PartitionID(directory))", "error": "\(error)"])
    }
  }

  /// Returns the logs of their partitions.
  private func openTopics(_ found: Set<FoundPartition>) -> [PartitionLog] {
    let catalog = state.withLock { $0.catalog }
    let onDisk = Set(found.map { PartitionID($0) })
    var logs: [PartitionLog] = []
    for topic in catalog.topics.values {
      let opened = open(topic, catalog, onDisk)
      logs += opened
      state.withLock { state in
        let partitions = opened.enumerated().map { index, log in
          Partition(index: Int32(index), log: log, leaderEpoch: catalog.leaderEpoch(topic, index))
        }
        state.partitions[topic.id] = partitions
        if !partitions.isEmpty { topics.put(visible(topic, partitions, catalog)) }
      }
    }
    return logs
  }

  /// Reads what was not checkpointed of all logs, and says now and then how far that is.
  private func recover(_ logs: [PartitionLog]) {
    let lastSaid = Mutex(ContinuousClock.now)
    store.recover(logs, threadsPerDirectory: configuration.recoveryThreadsPerDirectory) { [logger] done, count in
      let isDue = lastSaid.withLock { last in
        guard .now - last >= Self.progressInterval else { return false }
        last = .now
        return true
      }
      if isDue { logger.notice("recovering after an unclean stop", metadata: ["logs": "\(done) of \(count)"]) }
    }
  }

  /// The logs of the topic's partitions; fewer, if a directory is missing and cannot be made now.
  private func open(_ topic: CatalogTopic, _ catalog: Catalog, _ onDisk: Set<PartitionID>) -> [PartitionLog] {
    let config = logConfig(of: topic, catalog)
    let topicId = TopicID(topic.id)
    var logs: [PartitionLog] = []
    do throws(LogError) {
      for index in 0..<Int32(topic.partitionCount) {
        let id = PartitionID(topic: topic.name, partition: index)
        if !onDisk.contains(id) {
          logger.warning("a partition without a directory is made", metadata: ["partition": "\(id)"])
          _ = try store.createPartition(id, topicId: topicId, config: config)
        }
        logs.append(try store.partition(id, topicId: topicId, config: config))
      }
    } catch {
      logger.error("cannot open a topic", metadata: ["topic": "\(topic.name)", "error": "\(error)"])
    }
    return logs
  }
}

extension PartitionID {
  init(_ directory: FoundPartition) { self.init(topic: directory.topic, partition: directory.partition) }
}
