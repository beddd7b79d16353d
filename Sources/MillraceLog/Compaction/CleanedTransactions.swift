// Which transactions a batch belongs to, as compaction walks through the log: records of aborted ones go, and a marker goes
// when no record of its transaction is left (Kafka's CleanedTransactionMetadata).

import MillraceRecords

struct CleanedTransactions {
  private struct Aborted {
    var entry: AbortedTransactionEntry
    /// A batch of the transaction was met.
    var wasSeen = false
  }

  /// By first offset, the next one last.
  private var coming: [AbortedTransactionEntry]
  private var aborted: [Int64: Aborted] = [:]
  /// Producers of whose transaction, which is not aborted, a batch was met.
  private var committed: Set<Int64> = []
  /// Aborted transactions whose markers stay, since their last records go only now.
  private(set) var kept: [AbortedTransactionEntry] = []

  init(_ entries: [AbortedTransactionEntry]) {
    coming = entries.sorted { $0.firstOffset > $1.firstOffset }
  }

  private mutating func begin(upTo offset: Int64) {
    while let entry = coming.last, entry.firstOffset <= offset {
      coming.removeLast()
      if aborted[entry.producerId] == nil { aborted[entry.producerId] = Aborted(entry: entry) }
    }
  }

  /// Whether the records of a data batch were aborted.
  mutating func isAborted(_ header: BatchHeader) -> Bool {
    begin(upTo: header.lastOffset)
    guard header.isTransactional else { return false }
    if aborted[header.producerId] != nil {
      aborted[header.producerId]?.wasSeen = true
      return true
    }
    committed.insert(header.producerId)
    return false
  }

  /// Whether the marker in a control batch has become needless. `marker` is nil for an emptied control batch or one
  /// about something else.
  mutating func isNeedless(_ header: BatchHeader, _ marker: EndTransactionMarker?) -> Bool {
    begin(upTo: header.lastOffset)
    guard header.recordCount > 0 else { return true }
    guard let marker else { return false }
    if marker.isCommit { return committed.remove(header.producerId) == nil }
    guard let transaction = aborted.removeValue(forKey: header.producerId), transaction.wasSeen else { return true }
    kept.append(transaction.entry)
    return false
  }

  /// The kept transactions since this was last asked: the entries of one new segment.
  mutating func takeKept() -> [AbortedTransactionEntry] {
    defer { kept = [] }
    return kept
  }
}
