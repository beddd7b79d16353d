// Snapshots of the metadata, behind which the journal is cut. The two newest are kept, with the journal from the older
// one on: whatever becomes of the newest, nothing is lost.
//
// A snapshot leaves out topics that are no more. That is right only when their directories are gone too: a directory that
// no fact speaks of is adopted at the next start.

import Logging
import MillraceCoordination
import MillraceLog

extension CatalogRuntime {
  private static let keptSnapshots = 2

  /// What is known of snapshots; under the lock of the state.
  struct Snapshots {
    /// What the newest one stands for.
    var endOffset: Int64 = 0
    var bytesSince: Int64 = 0
    var isQueued = false
    /// Deletions that are facts and not yet done, or that failed.
    var openDeletions = 0
  }

  // MARK: Reading

  /// The newest snapshot that can be read.
  func loadSnapshot(of log: PartitionLog) throws(LogError) -> MetadataSnapshot? {
    for (name, endOffset) in try snapshotFiles(of: log).reversed() {
      if let snapshot = try log.contents(ofFile: name).flatMap({ MetadataSnapshot($0, endOffset: endOffset) }) {
        return snapshot
      }
      logger.error(
        "a snapshot of the metadata cannot be read, the one before it is used", metadata: ["file": "\(name)"])
    }
    return nil
  }

  private func snapshotFiles(of log: PartitionLog) throws(LogError) -> [(name: String, endOffset: Int64)] {
    try log.fileNames(endingIn: MetadataSnapshot.fileSuffix).compactMap { name in
      MetadataSnapshot.endOffset(ofFile: name).map { (name, $0) }
    }.sorted { $0.1 < $1.1 }
  }

  // MARK: Taking

  /// Under the lock, after facts were appended or deletions done: has the worker take a snapshot if there is enough for it.
  func submitSnapshotIfDue(_ state: inout State) {
    if state.snapshots.bytesSince >= configuration.metadataSnapshotBytes { submitSnapshot(&state) }
  }

  /// Has a snapshot taken if there is any fact that the last one does not stand for.
  package func takeSnapshot() {
    state.withLock { submitSnapshot(&$0) }
  }

  private func submitSnapshot(_ state: inout State) {
    guard !state.snapshots.isQueued, state.snapshots.openDeletions == 0, state.journalEnd > state.snapshots.endOffset
    else { return }
    state.snapshots.isQueued = true
    worker.submit { [self] in storeSnapshot() }
  }

  private func storeSnapshot() {
    let plan = state.withLock { state -> (snapshot: MetadataSnapshot, log: PartitionLog)? in
      state.snapshots.isQueued = false
      // Deletions may have come since.
      guard let log = state.journal?.log, state.snapshots.openDeletions == 0 else { return nil }
      return (MetadataSnapshot(endOffset: state.journalEnd, records: state.catalog.snapshotRecords()), log)
    }
    guard let (snapshot, log) = plan else { return }
    do throws(LogError) {
      try waitUntilDurable(through: snapshot.endOffset)
      try store(snapshot, beside: log)
      try cut(log)
      logger.info(
        "took a snapshot of the metadata",
        metadata: ["file": "\(snapshot.fileName)", "facts": "\(snapshot.records.count)"])
    } catch {
      logger.error("cannot take a snapshot of the metadata", metadata: ["error": "\(error)"])
    }
  }

  /// Durable on return.
  func store(_ snapshot: MetadataSnapshot, beside log: PartitionLog) throws(LogError) {
    let bytes: [UInt8]
    do {
      bytes = try snapshot.encoded(timestamp: clock.nowMs())
    } catch {
      // What was journaled can be written again.
      throw .invalidBatch
    }
    try log.replaceFile(snapshot.fileName, with: bytes)
    state.withLock { state in
      state.snapshots.endOffset = snapshot.endOffset
      state.snapshots.bytesSince = 0
    }
  }

  /// Removes old snapshots, and what of the journal only they need.
  private func cut(_ log: PartitionLog) throws(LogError) {
    let files = try snapshotFiles(of: log)
    guard files.count >= Self.keptSnapshots else { return }
    let kept = files.suffix(Self.keptSnapshots)
    let nowMs = clock.nowMs()
    _ = try log.deleteRecords(before: kept.first?.endOffset ?? 0, nowMs: nowMs)
    // The next round of retention removes segments; what follows begins one, so that they can go.
    try log.roll(nowMs: nowMs)
    for file in files.dropLast(Self.keptSnapshots) { try log.removeFile(file.name) }
  }

  /// A snapshot that stands for more facts than the journal has: a part of the journal was lost with the disk. What is
  /// journaled next would have offsets that the snapshot seems to stand for, so its content gets the end that is true.
  func replaceSnapshot(beyond end: Int64, _ log: PartitionLog) throws(LogError) {
    let records = state.withLock { $0.catalog.snapshotRecords() }
    try store(MetadataSnapshot(endOffset: end, records: records), beside: log)
    for file in try snapshotFiles(of: log) where file.endOffset > end { try log.removeFile(file.name) }
  }
}
