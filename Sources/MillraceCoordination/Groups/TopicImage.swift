// The topics as a group coordinator has to know them: names, ids and partition counts.
//
// A value that is handed to each event and not kept. What a group does keep is the version that it has last looked at,
// so that a heartbeat finds out for the price of a comparison that nothing has changed.

import MillraceProtocol

package struct TopicFacts: Sendable, Equatable {
  package var name: String
  package var id: Uuid
  package var partitionCount: Int32

  package init(name: String, id: Uuid, partitionCount: Int32) {
    self.name = name
    self.id = id
    self.partitionCount = partitionCount
  }
}

package struct TopicImage: Sendable {
  /// Grows with every change.
  package private(set) var version: UInt64 = 0
  private var byName: [String: TopicFacts] = [:]
  private var byId: [Uuid: TopicFacts] = [:]

  package init() {}

  package subscript(name: String) -> TopicFacts? { byName[name] }
  package subscript(id: Uuid) -> TopicFacts? { byId[id] }
  package var names: Dictionary<String, TopicFacts>.Keys { byName.keys }

  package mutating func put(_ topic: TopicFacts) {
    let old = byName.updateValue(topic, forKey: topic.name)
    if old == topic { return }
    if let old { byId[old.id] = nil }
    byId[topic.id] = topic
    version += 1
  }

  package mutating func remove(id: Uuid) {
    guard let topic = byId.removeValue(forKey: id) else { return }
    if byName[topic.name]?.id == id { byName[topic.name] = nil }
    version += 1
  }
}

extension TopicImage {
  /// Stands for ids and partition counts of the topics that are there. (Kafka hashes otherwise; a group that comes from
  /// there is looked at once more.)
  func hash(of names: some Sequence<String>) -> Int64 {
    var hash = StableHash()
    for name in names.sorted() {
      guard let topic = self[name] else { continue }
      hash.add(topic.id.high)
      hash.add(topic.id.low)
      hash.add(UInt64(truncatingIfNeeded: topic.partitionCount))
    }
    return hash.value
  }
}

/// FNV-1a over 64-bit words: the same in every process, which Swift's own hashing is not.
private struct StableHash {
  private(set) var state: UInt64 = 0xCBF2_9CE4_8422_2325

  mutating func add(_ word: UInt64) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      state = (state ^ (word >> shift & 0xFF)) &* 0x0000_0100_0000_01B3
    }
  }

  var value: Int64 { Int64(bitPattern: state) }
}
