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
