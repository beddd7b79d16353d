// A log's part in a commit: how far it reaches before the flush, and what that means after it.

import Synchronization

extension PartitionLog {
  /// What there is to flush; nil for a log that is not open or takes no more writes.
  func beginCommit() -> CommitWork? {
    if isOffline.load(ordering: .acquiring) { return nil }
    unflushedSinceMs.store(0, ordering: .relaxed)
    unflushedRecords.store(0, ordering: .relaxed)
    return view.withLock { current -> CommitWork? in
      guard var view = current.take() else { return nil }
      defer { current = view }
      let work = CommitWork(
        log: self, end: view.end, generation: view.generation, active: view.segments[view.segments.count - 1],
        closed: view.closedSegments, directoryChanged: view.directoryChanged)
      view.closedSegments = []
      view.directoryChanged = false
      return work
    }
  }

  /// About a batch of a busy producer. How fast a disk flushes that is measured (`FlushPace`).
  static let littleBytes = 128 << 10

  /// Whether a commit has no more to flush than that at the end of the segment that is written to.
  var hasLittleToFlush: Bool {
    view.withLock { view in
      guard let view, view.closedSegments.isEmpty, !view.directoryChanged else { return false }
      return view.end.segment == view.highWatermark.segment
        && view.end.position - view.highWatermark.position <= Self.littleBytes
    }
  }

  /// The flush is done: everything before `work.end` is durable. Returns the high watermark if it rose.
  func noteDurable(_ work: CommitWork) -> Int64? {
    view.withLock { current -> Int64? in
      // A truncation in between took away what was flushed, and said itself what is left.
      guard var view = current.take() else { return nil }
      defer { current = view }
      guard view.generation == work.generation else { return nil }
      view.durableOffset = max(view.durableOffset, work.end.offset)
      return view.raiseHighWatermark(to: work.end) ? work.end.offset : nil
    }
  }

  /// A buffered log has more unflushed records: flushes them in the background when that is due.
  func noteUnflushed(records: Int64, nowMs: Int64, config: LogConfig, didRoll: Bool) {
    _ = unflushedSinceMs.compareExchange(expected: 0, desired: max(nowMs, 1), ordering: .relaxed)
    let unflushed = unflushedRecords.add(records, ordering: .relaxed).newValue
    // A closed segment is flushed whatever the settings: it bounds what a crash leaves to read.
    if didRoll || unflushed >= config.flushMessages { home.commit.add(self) }
  }

  /// `flush.ms`: flushes a buffered log whose oldest unflushed record is that old.
  func flushIfDue(nowMs: Int64) {
    let since = unflushedSinceMs.load(ordering: .relaxed)
    guard since > 0, nowMs >= since, nowMs - since >= config.flushMs else { return }
    home.commit.add(self)
  }
}
