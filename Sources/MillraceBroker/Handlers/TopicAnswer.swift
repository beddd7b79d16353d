// The entry of a topic in answers about committed offsets. Some partitions are answered for by the handler and the others
// by the group, and there is one entry a topic, as clients expect who make a map of it.
//
// How many topics there are is the client's say, so joining the two takes time in proportion to them.

import MillraceProtocol

protocol TopicAnswer {
  associatedtype PartitionAnswer
  var partitions: [PartitionAnswer] { get set }
}

extension Array where Element: TopicAnswer {
  /// These entries, with the partitions of `others` in those of the same `key`, or behind them.
  func merging(_ others: [Element], by key: (Element) -> some Hashable) -> [Element] {
    guard !others.isEmpty else { return self }
    var merged = self
    var places = Dictionary(indices.map { (key(self[$0]), $0) }) { first, _ in first }
    for other in others {
      let key = key(other)
      if let place = places[key] {
        merged[place].partitions += other.partitions
      } else {
        places[key] = merged.count
        merged.append(other)
      }
    }
    return merged
  }
}

extension OffsetCommitResponse.OffsetCommitResponseTopic: TopicAnswer {}
extension TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic: TopicAnswer {}
extension OffsetDeleteResponse.OffsetDeleteResponseTopic: TopicAnswer {}
