// One sparse index: entries in a file, and behind them the newest ones in memory until they fill a block. One writer
// appends (under the partition's lock), any thread looks up.
//
// An index is a hint. A write that fails leaves its entries in memory and is tried again with a later block; nothing
// about the log depends on it. Whoever uses an entry checks what it says against the log.

import Synchronization

final class IndexFile<Entry: IndexEntry>: Sendable {
  /// Entries that make a write worth its system call.
  private static var blockCount: Int { 512 }
  /// A binary search reads single entries until this many bytes are left, and those in one read.
  private static var searchBlock: Int { 4096 }

  let slot: FileSlot
  private let state: Mutex<State>

  private struct State {
    /// Entries in the file; nil until somebody asked the file.
    var stored: Int?
    var tail: [Entry] = []
    /// How long the tail has to be for the next try to write it.
    var writeAt = IndexFile.blockCount
    /// The newest entry, once known.
    var last: Entry?
  }

  /// `isNew` when no file of this name can be there yet.
  init(slot: FileSlot, isNew: Bool) {
    self.slot = slot
    state = Mutex(State(stored: isNew ? 0 : nil))
  }

  private var fileSystem: any FileSystem { slot.fileSystem }

  // MARK: Writing

  func append(_ entry: Entry) {
    state.withLock { state in
      state.tail.append(entry)
      state.last = entry
      guard state.tail.count >= state.writeAt else { return }
      if (try? writeTail(&state)) == nil { state.writeAt += Self.blockCount }
    }
  }

  /// Puts every entry into the file.
  func flush() throws(LogError) {
    try state.withLock { (state) throws(LogError) in try writeTail(&state) }
  }

  private func writeTail(_ state: inout State) throws(LogError) {
    guard !state.tail.isEmpty else { return }
    let stored = try storedCount(&state)
    let file = try LogError.wrap(try slot.open(.create))
    try withUnsafeTemporaryAllocation(
      byteCount: state.tail.count * Entry.byteCount, alignment: 8
    ) { (buffer) throws(LogError) in
      for (index, entry) in state.tail.enumerated() { entry.write(to: buffer, at: index * Entry.byteCount) }
      slot.noteWrite()
      try LogError.wrap(
        try file.write(UnsafeRawBufferPointer(buffer), at: Int64(stored * Entry.byteCount)))
      slot.noteWrite()
    }
    state.stored = stored + state.tail.count
    state.tail.removeAll(keepingCapacity: state.tail.capacity <= Self.blockCount * 2)
    state.writeAt = Self.blockCount
  }

  /// Keeps the first `count` entries.
  func truncate(toCount count: Int) throws(LogError) {
    try state.withLock { (state) throws(LogError) in
      let stored = try storedCount(&state)
      state.last = nil
      if count >= stored {
        state.tail.removeLast(max(0, stored + state.tail.count - count))
      } else {
        state.tail.removeAll()
        let file = try LogError.wrap(try slot.open(.create))
        slot.noteWrite()
        try LogError.wrap(try file.truncate(to: Int64(count * Entry.byteCount)))
        slot.noteWrite()
        state.stored = count
      }
    }
  }

  /// Drops bytes at the end of the file that are no whole entry.
  func trim() throws(LogError) {
    try truncate(toCount: count())
    try flush()
  }

  /// Puts `entries` in the place of all there are. Without entries it needs no room.
  func replace(with entries: [Entry]) throws(LogError) {
    try state.withLock { (state) throws(LogError) in
      if entries.isEmpty, state.stored == 0 {
        state = State(stored: 0)
        return
      }
      if entries.isEmpty, try LogError.wrap(try fileSystem.status(of: slot.checkedPath())) == nil {
        state = State(stored: 0)
        return
      }
      let file = try LogError.wrap(try slot.open(.create))
      slot.noteWrite()
      try LogError.wrap(try file.truncate(to: 0))
      state = State(stored: 0, tail: entries, last: entries.last)
      try writeTail(&state)
    }
  }

  // MARK: Reading

  func count() throws(LogError) -> Int {
    try state.withLock { (state) throws(LogError) in try storedCount(&state) + state.tail.count }
  }

  func last() throws(LogError) -> Entry? {
    try state.withLock { (state) throws(LogError) in
      if let last = state.last { return last }
      let stored = try storedCount(&state)
      if stored > 0 { state.last = try entry(stored - 1) }
      return state.last
    }
  }

  /// The last entry for which `precedes` holds, and how many entries there are up to and with it. `precedes` must hold
  /// for a prefix of the entries.
  func last(where precedes: (Entry) -> Bool) throws(LogError) -> (entry: Entry, count: Int)? {
    let (stored, found) = try state.withLock { (state) throws(LogError) -> (Int, (entry: Entry, count: Int)?) in
      let stored = try storedCount(&state)
      let inTail = state.tail.partitioningIndex { !precedes($0) }
      return (stored, inTail > 0 ? (state.tail[inTail - 1], stored + inTail) : nil)
    }
    if let found { return found }
    guard stored > 0 else { return nil }
    return try searchFile(stored, precedes)
  }

  /// Reads all entries; nil if they are not in order or the file ends within one.
  func checkedEntries() throws(LogError) -> [Entry]? {
    try state.withLock { (state) throws(LogError) in
      guard let bytes = try LogError.wrap(try fileSystem.contents(of: slot.checkedPath())) else {
        return state.stored == 0 ? state.tail : nil
      }
      guard bytes.count % Entry.byteCount == 0 else { return nil }
      var entries: [Entry] = []
      entries.reserveCapacity(bytes.count / Entry.byteCount + state.tail.count)
      bytes.withUnsafeBytes { buffer in
        for start in stride(from: 0, to: buffer.count, by: Entry.byteCount) { entries.append(Entry(buffer, at: start)) }
      }
      entries.append(contentsOf: state.tail)
      for index in entries.indices.dropFirst() where !entries[index].follows(entries[index - 1]) { return nil }
      return entries
    }
  }

  private func storedCount(_ state: inout State) throws(LogError) -> Int {
    if let stored = state.stored { return stored }
    let size = try LogError.wrap(try fileSystem.status(of: slot.checkedPath()))?.byteCount ?? 0
    let stored = Int(clamping: size / Int64(Entry.byteCount))
    state.stored = stored
    return stored
  }

  private func entry(_ index: Int) throws(LogError) -> Entry {
    try entries(index, count: 1) { Entry($0, at: 0) }
  }

  private func entries<Result>(
    _ index: Int, count: Int, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(LogError) -> Result {
    let file = try LogError.wrap(try slot.open(.readWrite))
    return try withUnsafeTemporaryAllocation(
      byteCount: count * Entry.byteCount, alignment: 8
    ) { (buffer) throws(LogError) in
      let read = try LogError.wrap(
        try file.read(into: buffer, at: Int64(index * Entry.byteCount)))
      // A file that somebody shortened: zeros stand for what is gone, and do not pass the check against the log.
      for missing in read..<buffer.count { buffer[missing] = 0 }
      return body(UnsafeRawBufferPointer(buffer))
    }
  }

  private func searchFile(
    _ stored: Int, _ precedes: (Entry) -> Bool
  ) throws(LogError) -> (entry: Entry, count: Int)? {
    // Before `low` all precede, from `high` on none does.
    var low = 0
    var high = stored
    while (high - low) * Entry.byteCount > Self.searchBlock {
      let middle = low + (high - low) / 2
      if precedes(try entry(middle)) { low = middle + 1 } else { high = middle }
    }
    // One entry more in front: it is the answer when nothing in the block precedes.
    let first = max(0, low - 1)
    guard high > first else { return nil }
    return try entries(first, count: high - first) { buffer in
      var found: (entry: Entry, count: Int)?
      for index in first..<high {
        let entry = Entry(buffer, at: (index - first) * Entry.byteCount)
        guard precedes(entry) else { break }
        found = (entry, index + 1)
      }
      return found
    }
  }
}

extension Array {
  /// The first index whose element is `inSecond`, when all those after it are too.
  func partitioningIndex(_ inSecond: (Element) -> Bool) -> Int {
    var low = startIndex
    var high = endIndex
    while low < high {
      let middle = low + (high - low) / 2
      if inSecond(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
