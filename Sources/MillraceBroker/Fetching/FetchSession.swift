// An incremental fetch session (KIP-227): the partitions a consumer is interested in, remembered between its requests,
// so that a request names only what changed and a response carries only what is new. A plain value.
//
// Partitions that delivered records go to the end of the line, so that none starves when a response is full.

import Collections
import MillraceProtocol

package struct FetchSession: Sendable {
  package let id: Int32
  package let usesTopicIds: Bool
  /// The epoch that the next request has to carry.
  package private(set) var nextEpoch: Int32 = 1
  private var entries: OrderedDictionary<FetchKey, Entry> = [:]

  private struct Entry: Sendable {
    var partition: FetchedPartition
    /// What the client was last told, -1 when it has to be told again.
    var highWatermark: Int64 = -1
    var logStartOffset: Int64 = -1
  }

  init(id: Int32, usesTopicIds: Bool, partitions: [FetchedPartition]) {
    self.id = id
    self.usesTopicIds = usesTopicIds
    for partition in partitions { entries[partition.key] = Entry(partition: partition) }
  }

  package var count: Int { entries.count }
  package var partitions: [FetchedPartition] { entries.values.map(\.partition) }

  /// Merges what an incremental request says, and moves on to the next epoch.
  mutating func merge(changed: [FetchedPartition], forgotten: [FetchKey]) {
    for partition in changed {
      if entries[partition.key] != nil {
        entries[partition.key]!.partition = partition
      } else {
        entries[partition.key] = Entry(partition: partition)
      }
    }
    if !forgotten.isEmpty {
      let gone = Set(forgotten)
      entries.removeAll { gone.contains($0.key) }
    }
    nextEpoch = nextEpoch == Int32.max ? 1 : nextEpoch + 1
  }

  /// Keeps of `results` what the client does not know yet, and remembers that it will know it.
  mutating func select(_ results: [FetchResult]) -> [FetchResult] {
    var delivered: [FetchKey] = []
    let news = results.filter { result in
      guard let index = entries.index(forKey: result.key) else { return false }
      let old = entries.values[index]
      let hasRecords = result.byteCount > 0
      let hasError = result.data.errorCode != ErrorCode.none.rawValue
      entries.values[index].highWatermark = hasError ? -1 : result.data.highWatermark
      entries.values[index].logStartOffset = result.data.logStartOffset
      if hasRecords { delivered.append(result.key) }
      return hasRecords || hasError || result.isDiverging || old.highWatermark != result.data.highWatermark
        || old.logStartOffset != result.data.logStartOffset
    }
    // Nobody stands behind the last one: moving it would only cost.
    if !delivered.isEmpty, delivered.count < entries.count {
      var moved: OrderedDictionary<FetchKey, Entry> = [:]
      for key in delivered { moved[key] = entries[key] }
      entries.removeAll { moved[$0.key] != nil }
      entries.merge(moved) { _, last in last }
    }
    return news
  }
}
