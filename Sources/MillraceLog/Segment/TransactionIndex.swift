// The aborted transactions whose markers lie in one segment (KIP-98), for `read_committed` readers. The active segment's
// index grows in memory and is written at every checkpoint and when the segment is closed; a closed one's is read from
// its file when a reader first asks, or made from the log where the file is not to be believed.

import Synchronization

final class TransactionIndex: Sendable {
  let slot: FileSlot
  private let state: Mutex<State>

  private struct State {
    /// Nil until the file was read or the index was made from the log.
    var entries: [AbortedTransactionEntry]?
    /// Entries that are in the file as they are here.
    var stored = 0
    /// No transaction that began before it is open behind the segment; nil while the segment is active.
    var lastStableOffset: Int64?
  }

  /// `isNew` when no file of this name can be there yet.
  init(slot: FileSlot, isNew: Bool) {
    self.slot = slot
    state = Mutex(State(entries: isNew ? [] : nil))
  }

  var isKnown: Bool { state.withLock { $0.entries != nil } }
  var count: Int { state.withLock { $0.entries?.count ?? 0 } }

  /// No transaction that began before it is open behind the segment.
  var lastStableOffset: Int64? { state.withLock { $0.lastStableOffset } }

  /// The entries whose markers lie at `offset` or behind it; nil when the index is not known.
  func entries(from offset: Int64) -> ArraySlice<AbortedTransactionEntry>? {
    state.withLock { state in
      state.entries.map { $0[$0.partitioningIndex { $0.lastOffset >= offset }...] }
    }
  }

  func append(_ entry: AbortedTransactionEntry) {
    state.withLock { state in
      state.entries?.append(entry)
    }
  }

  /// What the index holds; `lastStableOffset` is nil for the active segment.
  func set(_ entries: [AbortedTransactionEntry], stored: Int = 0, lastStableOffset: Int64? = nil) {
    state.withLock { $0 = State(entries: entries, stored: stored, lastStableOffset: lastStableOffset) }
  }

  /// The segment is closed: transactions that are still open began at `lastStableOffset` or after it.
  func close(lastStableOffset: Int64) { state.withLock { $0.lastStableOffset = lastStableOffset } }

  /// Adds the transactions that a reader of the offsets from `first` up to `end` has to leave out. Returns whether there
  /// are no more of them in later segments; nil when the index is not known.
  func collect(from first: Int64, before end: Int64, into found: inout [AbortedTransaction]) -> Bool? {
    state.withLock { state in
      guard let entries = state.entries else { return nil }
      var index = entries.partitioningIndex { $0.lastOffset >= first }
      while index < entries.count {
        let entry = entries[index]
        if entry.firstOffset < end {
          found.append(AbortedTransaction(producerId: entry.producerId, firstOffset: entry.firstOffset))
        }
        if entry.lastStableOffset >= end { return true }
        index += 1
      }
      return state.lastStableOffset.map { $0 >= end } ?? false
    }
  }

  /// What the file says; nil when it is not there or not whole.
  func read() throws(LogError) -> TransactionIndexContent? {
    try LogError.wrap(try slot.fileSystem.contents(of: slot.checkedPath())).flatMap {
      TransactionIndexContent(fileContent: $0)
    }
  }

  /// Puts the index into its file: it has every abort before `through`.
  func store(through: Int64, lastStableOffset: Int64) throws(LogError) {
    try state.withLock { (state) throws(LogError) in
      guard let entries = state.entries else { return }
      let size = AbortedTransactionEntry.byteCount
      let bytes = TransactionIndexContent(entries: entries, through: through, lastStableOffset: lastStableOffset)
        .encode()
      let file = try LogError.wrap(try slot.open(.create))
      slot.noteWrite()
      let kept = min(state.stored, entries.count) * size
      state.stored = 0
      try LogError.wrap(try write(bytes, from: kept, to: file))
      slot.noteWrite()
      state.stored = entries.count
    }
  }

  /// Makes the file hold `bytes`, of which it has the first `start`.
  private func write(_ bytes: [UInt8], from start: Int, to file: SegmentFile) throws(StorageError) {
    try bytes.withBytes { (buffer) throws(StorageError) in
      try file.write(UnsafeRawBufferPointer(rebasing: buffer[start...]), at: Int64(start))
    }
    if try file.size() > Int64(bytes.count) {
      try file.truncate(to: Int64(bytes.count))
    }
  }
}
