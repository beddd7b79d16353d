// Combining persisted batches: what was known and what is written now become one list in order, without overlaps.
//
// Where two speak of the same offset, the higher delivery count prevails, and with equal counts the later state
// (available, acknowledged, archiving, archived), as in Kafka 4.2. So writes can arrive twice or in another order, and
// a record that is finished never comes back. Of two that are alike in both, the newer one prevails.

extension [ShareStateBatch] {
  /// - Parameters:
  ///   - newer: in any order, and overlapping if the writer likes.
  ///   - startOffset: below it nothing is kept; -1 keeps all.
  func combined(with newer: [ShareStateBatch], startOffset: Int64) -> [ShareStateBatch] {
    var result = self
    result.combine(with: newer, startOffset: startOffset)
    return result
  }

  /// Looks only at the batches that the newer ones touch.
  mutating func combine(with newer: [ShareStateBatch], startOffset: Int64) {
    let newer = newer.isInOrder ? newer : newer.reduce(into: []) { $0.combine(with: [$1], startOffset: -1) }
    if let first = newer.first?.firstOffset, let last = newer.last?.lastOffset {
      // With the neighbours, which may become one with what is between them.
      let low = firstIndex(inOrder: { $0.lastOffset >= first - 1 })
      let high = firstIndex(inOrder: { $0.firstOffset > last + 1 })
      replaceSubrange(low..<high, with: Array(self[low..<high]).merged(with: newer))
    }
    removeOffsets(below: startOffset)
  }

  private var isInOrder: Bool {
    zip(self, dropFirst()).allSatisfy { $0.lastOffset < $1.firstOffset }
  }

  /// The first index for which the condition holds, which then holds for all after it.
  private func firstIndex(inOrder holds: (ShareStateBatch) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if holds(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  private mutating func removeOffsets(below startOffset: Int64) {
    let kept = firstIndex(inOrder: { $0.lastOffset >= startOffset })
    removeSubrange(..<kept)
    if !isEmpty { self[0].firstOffset = Swift.max(self[0].firstOffset, startOffset) }
  }

  /// Both lists are in order and without overlaps: one walk over the two.
  private func merged(with newer: [ShareStateBatch]) -> [ShareStateBatch] {
    var result: [ShareStateBatch] = []
    result.reserveCapacity(count + newer.count)
    var olds = self[...]
    var news = newer[...]
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
