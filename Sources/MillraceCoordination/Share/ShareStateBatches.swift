// Combining persisted batches: what was known and what is written now become one list in order, without overlaps.
//
// Where two speak of the same offset, the higher delivery count prevails, and with equal counts the later state
// (available, acknowledged, archiving, archived), as in Kafka 4.2. So writes can arrive twice or in another order, and
// a record that is finished never comes back. Of two that are alike in both, the newer one prevails.

extension [ShareStateBatch] {
  /// - Parameters:
  ///   - startOffset: below it nothing is kept.
  ///   - newer: in any order, and overlapping if the writer likes.
  func combined(with newer: [ShareStateBatch], startOffset: Int64) -> [ShareStateBatch] {
    if newer.isEmpty { return prefixDropped(below: startOffset) }
    if newer.count == 1 || newer.isInOrder { return merged(with: newer, startOffset) }
    return newer.reduce(self) { $0.merged(with: [$1], startOffset) }
  }

  private var isInOrder: Bool {
    zip(self, dropFirst()).allSatisfy { $0.lastOffset < $1.firstOffset }
  }

  private func prefixDropped(below startOffset: Int64) -> [ShareStateBatch] {
    var result: [ShareStateBatch] = []
    result.reserveCapacity(count)
    for batch in self where batch.lastOffset >= startOffset {
      var batch = batch
      batch.firstOffset = Swift.max(batch.firstOffset, startOffset)
      result.append(batch)
    }
    return result
  }

  /// Both lists are in order and without overlaps: one walk over the two.
  private func merged(with newer: [ShareStateBatch], _ startOffset: Int64) -> [ShareStateBatch] {
    var result: [ShareStateBatch] = []
    result.reserveCapacity(count + newer.count)
    var olds = prefixDropped(below: startOffset)[...]
    var news = newer.prefixDropped(below: startOffset)[...]
    while let old = olds.first, let new = news.first {
      if old.lastOffset < new.firstOffset {
        result.join(olds.removeFirst())
      } else if new.lastOffset < old.firstOffset {
        result.join(news.removeFirst())
      } else if old.firstOffset < new.firstOffset {
        result.join(old.cut(to: old.firstOffset...(new.firstOffset - 1)))
        olds[olds.startIndex].firstOffset = new.firstOffset
      } else if new.firstOffset < old.firstOffset {
        result.join(new.cut(to: new.firstOffset...(old.firstOffset - 1)))
        news[news.startIndex].firstOffset = old.firstOffset
      } else {
        let last = Swift.min(old.lastOffset, new.lastOffset)
        result.join((old.prevails(over: new) ? old : new).cut(to: old.firstOffset...last))
        olds.dropOffsets(through: last)
        news.dropOffsets(through: last)
      }
    }
    for batch in olds { result.join(batch) }
    for batch in news { result.join(batch) }
    return result
  }

  private mutating func join(_ batch: ShareStateBatch) {
    if let last, last.lastOffset + 1 == batch.firstOffset, last.cut(to: batch.firstOffset...batch.lastOffset) == batch {
      self[count - 1].lastOffset = batch.lastOffset
    } else {
      append(batch)
    }
  }
}

extension ArraySlice<ShareStateBatch> {
  fileprivate mutating func dropOffsets(through last: Int64) {
    guard let batch = first else { return }
    if batch.lastOffset <= last { removeFirst() } else { self[startIndex].firstOffset = last + 1 }
  }
}

extension ShareStateBatch {
  fileprivate func cut(to offsets: ClosedRange<Int64>) -> ShareStateBatch {
    var part = self
    part.firstOffset = offsets.lowerBound
    part.lastOffset = offsets.upperBound
    return part
  }

  fileprivate func prevails(over other: ShareStateBatch) -> Bool {
    (deliveryCount, state.rawValue) > (other.deliveryCount, other.state.rawValue)
  }
}
