// What compaction makes of one batch: nothing, the same, or a smaller one with the same offsets, sequences and times
// (Kafka's Cleaner, and KIP-534 for how long tombstones and markers stay).

import MillraceRecords

struct BatchFilter {
  enum Outcome {
    case drop
    case keep
    case replace([UInt8])
  }

  /// The last thing that the log knows of a producer.
  struct LastOfProducer: Sendable {
    /// Nil when it is a marker.
    var dataOffset: Int64?
    var epoch: Int16
  }

  let map: OffsetMap
  let nowMs: Int64
  let deleteRetentionMs: Int64
  let producers: [Int64: LastOfProducer]
  var transactions: CleanedTransactions

  /// - Parameter isLast: the batch is the last of the segments that become one: it stays, if without records, so that
  ///   the new segment says how far it reaches.
  mutating func filter(_ batch: BatchView, isLast: Bool) throws(BatchError) -> Outcome {
    let header = batch.header
    let isNeedless: Bool
    var dropsRecords: Bool
    if header.isControl {
      isNeedless = transactions.isNeedless(header, EndTransactionMarker(batch.bytes))
      dropsRecords = isNeedless && header.deleteHorizonMs.map { $0 <= nowMs } ?? false
    } else {
      isNeedless = false
      dropsRecords = transactions.isAborted(header)
    }
    let keepsEmpty = isLast || isLastOfProducer(header)
    if dropsRecords { return keepsEmpty ? empty(header) : .drop }

    let found = try header.isControl ? Found(all: header.recordCount) : find(batch)
    guard found.kept > 0 else { return keepsEmpty ? empty(header) : .drop }
    let needsHorizon = (found.hasTombstones || isNeedless) && !header.hasDeleteHorizon
    if found.kept == header.recordCount, !needsHorizon { return .keep }
    let (horizon, overflow) = nowMs.addingReportingOverflow(deleteRetentionMs)
    return .replace(
      try rebuild(batch, deleteHorizonMs: needsHorizon ? (overflow ? .max : horizon) : header.deleteHorizonMs))
  }

  private func empty(_ header: BatchHeader) -> Outcome {
    header.recordCount == 0 ? .keep : .replace(header.emptied())
  }

  private func isLastOfProducer(_ header: BatchHeader) -> Bool {
    guard header.hasProducerId, let last = producers[header.producerId] else { return false }
    if let offset = last.dataOffset { return header.lastOffset == offset }
    return header.isControl && header.producerEpoch == last.epoch
  }

  private struct Found {
    var kept: Int32 = 0
    var hasTombstones = false

    init() {}
    init(all count: Int32) { kept = count }
  }

  private func find(_ batch: BatchView) throws(BatchError) -> Found {
    var found = Found()
    try batch.forEachRecord { record in
      guard isKept(record, batch.header) else { return }
      found.kept += 1
      if !record.hasValue { found.hasTombstones = true }
    }
    return found
  }

  private func isKept(_ record: Record, _ header: BatchHeader) -> Bool {
    if record.offset > map.latestOffset { return true }
    // A record without a key is from before the topic was compacted.
    guard let key = record.key else { return false }
    if let last = map.offset(of: key), record.offset < last { return false }
    return record.hasValue || header.deleteHorizonMs.map { nowMs < $0 } ?? true
  }

  private func rebuild(_ batch: BatchView, deleteHorizonMs: Int64?) throws(BatchError) -> [UInt8] {
    let header = batch.header
    var builder = BatchBuilder(capacity: batch.bytes.count + 64, baseTimestamp: deleteHorizonMs)
    try batch.forEachRecord { record in
      guard header.isControl || isKept(record, header) else { return }
      builder.append(copying: record, offsetDelta: record.offsetDelta)
    }
    var fields = BatchFields(of: header)
    fields.deleteHorizonMs = deleteHorizonMs
    do {
      return try builder.build(fields)
    } catch { throw .compression(error) }
  }
}
