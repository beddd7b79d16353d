// The first offset of each leader epoch (KIP-101), and its file `leader-epoch-checkpoint`:
//
//   0                 version
//   2                 number of entries
//   0 0               epoch, start offset
//   3 1200
//
// Epochs and offsets rise.

package struct LeaderEpochs: Sendable, Equatable {
  package struct Entry: Sendable, Hashable {
    package var epoch: Int32
    package var startOffset: Int64

    package init(epoch: Int32, startOffset: Int64) {
      self.epoch = epoch
      self.startOffset = startOffset
    }
  }

  package private(set) var entries: [Entry] = []

  package init() {}

  package var latest: Int32? { entries.last?.epoch }

  /// The log has records of `epoch` from `startOffset` on. Returns whether that was news.
  package mutating func assign(_ epoch: Int32, at startOffset: Int64) -> Bool {
    guard epoch >= 0 else { return false }
    if let last = entries.last, last.epoch == epoch, last.startOffset <= startOffset { return false }
    while let last = entries.last, last.epoch >= epoch || last.startOffset >= startOffset { entries.removeLast() }
    entries.append(Entry(epoch: epoch, startOffset: startOffset))
    return true
  }

  /// Forgets what begins at or after `endOffset`.
  package mutating func truncate(to endOffset: Int64) -> Bool {
    let count = entries.count
    while let last = entries.last, last.startOffset >= endOffset { entries.removeLast() }
    return entries.count != count
  }

  /// Forgets what ended before `startOffset`; the epoch that it lies in begins there now.
  package mutating func removeBefore(_ startOffset: Int64) -> Bool {
    let index = entries.partitioningIndex { $0.startOffset > startOffset } - 1
    guard index >= 0, index > 0 || entries[0].startOffset < startOffset else { return false }
    entries.removeFirst(index)
    entries[0].startOffset = startOffset
    return true
  }

  package func epoch(of offset: Int64) -> Int32? {
    let index = entries.partitioningIndex { $0.startOffset > offset } - 1
    return index >= 0 ? entries[index].epoch : nil
  }

  /// The answer to OffsetForLeaderEpoch: the largest epoch not above `epoch`, and where it ends. Nil when unknown.
  package func endOffset(for epoch: Int32, logEndOffset: Int64) -> (epoch: Int32, endOffset: Int64)? {
    guard epoch >= 0, let last = entries.last else { return nil }
    if last.epoch == epoch { return (epoch, logEndOffset) }
    let higher = entries.partitioningIndex { $0.epoch > epoch }
    guard higher < entries.count else { return nil }
    // Epochs below all that are known ended, as far as this log can tell, where the first known one begins.
    return (higher > 0 ? entries[higher - 1].epoch : epoch, entries[higher].startOffset)
  }

  // MARK: The file

  package var fileContent: [UInt8] {
    TextCheckpoint.content(lines: entries.map { "\($0.epoch) \($0.startOffset)" })
  }

  /// Nil for anything that `fileContent` does not write.
  package init?(fileContent: [UInt8]) {
    guard let lines = TextCheckpoint.lines(fileContent) else { return nil }
    for line in lines {
      let fields = line.split(separator: " ")
      guard fields.count == 2, let epoch = Int32(fields[0]), let offset = Int64(fields[1]), epoch >= 0, offset >= 0,
        entries.last.map({ $0.epoch < epoch && $0.startOffset < offset }) ?? true
      else { return nil }
      entries.append(Entry(epoch: epoch, startOffset: offset))
    }
  }
}
