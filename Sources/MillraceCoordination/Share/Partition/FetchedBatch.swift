// What a share-partition has to know of the record batches that were read from the log for it.

package struct FetchedBatch: Sendable, Equatable {
  package enum Content: Sendable, Equatable {
    case records
    /// A marker at the end of a transaction, or another control batch: nothing to deliver.
    case control(isAbort: Bool)
  }

  package var baseOffset: Int64
  package var lastOffset: Int64
  package var producerId: Int64
  package var isTransactional: Bool
  package var content: Content

  package init(
    baseOffset: Int64, lastOffset: Int64, producerId: Int64 = -1, isTransactional: Bool = false,
    content: Content = .records
  ) {
    self.baseOffset = baseOffset
    self.lastOffset = lastOffset
    self.producerId = producerId
    self.isTransactional = isTransactional
    self.content = content
  }
}

/// An entry of the log's index of aborted transactions, as a read_committed fetch gets them.
package struct AbortedProducer: Sendable, Equatable {
  package var producerId: Int64
  package var firstOffset: Int64

  package init(producerId: Int64, firstOffset: Int64) {
    self.producerId = producerId
    self.firstOffset = firstOffset
  }
}

/// A stretch of fetched offsets, and whether records are to be delivered from it.
struct FetchedStretch: Equatable {
  var offsets: ClosedRange<Int64>
  var isDeliverable: Bool

  /// The fetched offsets in order and without a gap, from the first that was asked for or is there: batches, and the
  /// offsets between them, which compaction or retention has emptied. Batches that are none, or out of order, are
  /// passed over.
  static func stretches(
    of batches: [FetchedBatch], from fetchOffset: Int64, aborted: [AbortedProducer]
  ) -> [FetchedStretch] {
    var stretches: [FetchedStretch] = []
    stretches.reserveCapacity(batches.count)
    var aborted = aborted.sorted { $0.firstOffset > $1.firstOffset }
    var abortedProducers: Set<Int64> = []
    var next: Int64?
    for batch in batches {
      guard batch.baseOffset >= next ?? 0, batch.baseOffset <= batch.lastOffset, batch.lastOffset < .max else {
        continue
      }
      let expected = next ?? min(max(fetchOffset, 0), batch.baseOffset)
      if expected < batch.baseOffset {
        stretches.append(FetchedStretch(offsets: expected...(batch.baseOffset - 1), isDeliverable: false))
      }
      var isDeliverable = batch.content == .records
      if batch.producerId >= 0 {
        while let begun = aborted.last, begun.firstOffset <= batch.lastOffset {
          abortedProducers.insert(begun.producerId)
          aborted.removeLast()
        }
        if batch.content == .control(isAbort: true) {
          abortedProducers.remove(batch.producerId)
        } else if batch.isTransactional, abortedProducers.contains(batch.producerId) {
          isDeliverable = false
        }
      }
      stretches.append(FetchedStretch(offsets: batch.baseOffset...batch.lastOffset, isDeliverable: isDeliverable))
      next = batch.lastOffset + 1
    }
    return stretches
  }
}
