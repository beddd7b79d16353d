// The append: checked, written with one call, published, and queued for the next commit. It waits for no disk flush.

import MillraceRecords

package struct AppendResult: Sendable, Hashable {
  package var baseOffset: Int64
  package var lastOffset: Int64
  /// The time the log gave to the records (`LogAppendTime`), or -1 when they keep their own.
  package var logAppendTime: Int64
  package var logStartOffset: Int64
  /// The log had the batch already; the offsets are those of the first time.
  package var isDuplicate: Bool
}

extension PartitionLog {
  /// Appends one validated v2 batch: `header` was read from `batch`, and its checksum was checked.
  ///
  /// Offsets, leader epoch and, by the topic's config, the time are written into a copy of the header. The batch is in
  /// the log on return; it is durable, and visible to readers, when the high watermark has passed it (`whenDurable`
  /// with the result's `lastOffset + 1`; for a duplicate too).
  package func append(
    _ batch: UnsafeRawBufferPointer, header: BatchHeader, leaderEpoch: Int32, nowMs: Int64,
    origin: AppendOrigin = .client, transaction: TransactionGuard = .unchecked
  ) throws(LogError) -> AppendResult {
    precondition(batch.count == header.sizeInBytes, "the batch is not the one whose header this is")
    let config = self.config
    let isBuffered = config.durability == .buffered
    let marker = header.isControl ? EndTransactionMarker(batch) : nil

    let result: AppendResult
    let raised: Int64?
    var didRoll = false
    do throws(LogError) {
      (result, raised) = try writer.withLock { (slot) throws(LogError) in
        let writer = try opened(&slot, nowMs: nowMs)
        if let error = offlineError { throw error }
        if let duplicate = try writer.producers.check(header, origin: origin, transaction) {
          return (AppendResult(duplicateOf: duplicate, writer.logStartOffset, config), nil)
        }
        if let marker { try writer.producers.check(marker, header) }
        let appended: LogWriter.Appended
        do throws(LogError) {
          appended = try writer.append(batch, header, leaderEpoch: leaderEpoch, nowMs: nowMs, config: config)
        } catch {
          // Before anybody else can write where this write may have left a part.
          if error.endsWriting { isOffline.store(true, ordering: .releasing) }
          throw error
        }
        didRoll = appended.didRoll
        let ended = marker.flatMap { writer.producers.add($0, appended.header, nowMs: nowMs) ? $0 : nil }
        return (
          AppendResult(appended.header, writer.logStartOffset),
          publish(appended, writer, isBuffered: isBuffered, ended: ended)
        )
      }
    } catch {
      if error.endsWriting, isOffline.load(ordering: .acquiring) { fail(error) } else { home.noteRefusal(error) }
      throw error
    }
    guard !result.isDuplicate else { return result }
    home.noteRoom()
    home.noteChange(self, byteCount: batch.count)
    if isBuffered {
      noteUnflushed(records: Int64(header.recordCount), nowMs: nowMs, config: config, didRoll: didRoll)
    } else {
      home.commit.add(self, isSmall: origin == .client && batch.count <= Self.littleBytes)
    }
    if let raised { announce(raised) }
    return result
  }

  /// Lets readers see what was appended. Returns the high watermark if it rose.
  private func publish(
    _ appended: LogWriter.Appended, _ writer: LogWriter, isBuffered: Bool, ended: EndTransactionMarker?
  ) -> Int64? {
    view.withLock { current -> Int64? in
      guard var view = current.take() else { return nil }
      defer { current = view }
      // By this append, or by one before it that rolled and then found no room to write.
      if let last = view.segments.last, last.baseOffset != writer.active.baseOffset {
        view.segments = writer.segments
        view.closedSegments.append(last)
      }
      if appended.isFirstOfSegment { view.directoryChanged = true }
      view.end = writer.end
      let header = appended.header
      if appended.beganTransaction { view.transactions.begin(header.producerId, at: appended.start) }
      if let ended { view.transactions.end(ended, header, in: writer.active) }
      return isBuffered && view.raiseHighWatermark(to: view.end) ? view.end.offset : nil
    }
  }

  /// Begins a new segment at the end of the log, if the last one has batches.
  package func roll(nowMs: Int64) throws(LogError) {
    let config = self.config
    try writer.withLock { (slot) throws(LogError) in
      let writer = try opened(&slot, nowMs: nowMs)
      if let error = offlineError { throw error }
      guard writer.active.size > 0 else { return }
      let closed = writer.active
      writer.roll(nowMs: nowMs, config: config)
      // The segments before it may go before it is written: the name of its file then says where the log goes on.
      let created = try? writer.active.log.open(.create)
      view.withLock { view in
        if created != nil { view?.directoryChanged = true }
        view?.segments = writer.segments
        view?.end = writer.end
        view?.closedSegments.append(closed)
      }
    }
    home.noteChange(self, byteCount: 0)
    home.commit.add(self)
  }
}

extension AppendResult {
  fileprivate init(_ header: BatchHeader, _ logStartOffset: Int64) {
    self.init(
      baseOffset: header.baseOffset, lastOffset: header.lastOffset,
      logAppendTime: header.timestampType == .logAppendTime ? header.maxTimestamp : -1,
      logStartOffset: logStartOffset, isDuplicate: false)
  }

  fileprivate init(duplicateOf batch: AppendedBatch, _ logStartOffset: Int64, _ config: LogConfig) {
    self.init(
      baseOffset: batch.baseOffset, lastOffset: batch.lastOffset,
      logAppendTime: config.timestampType == .logAppendTime ? batch.timestamp : -1, logStartOffset: logStartOffset,
      isDuplicate: true)
  }
}
