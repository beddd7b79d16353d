// The topics by name and by id: what the hot path looks up. The catalog's runtime is the only one that changes it.

import MillraceCoordination
import MillraceProtocol
import Synchronization

package final class TopicTable: Sendable {
  private struct Snapshot {
    var byName: [String: Topic] = [:]
    var byId: [Uuid: Topic] = [:]
    var image = TopicImage()
  }

  private let snapshot = Mutex(Snapshot())

  package init() {}

  package func topic(named name: String) -> Topic? { snapshot.withLock { $0.byName[name] } }
  package func topic(id: Uuid) -> Topic? { snapshot.withLock { $0.byId[id] } }
  /// What group coordinators have to know of all topics, as of now.
  package var image: TopicImage { snapshot.withLock { $0.image } }
  package var all: [Topic] { snapshot.withLock { Array($0.byName.values) } }

  /// Adds the topic, or puts it in the place of the one with its name.
  package func put(_ topic: Topic) {
    snapshot.withLock {
      if let old = $0.byName.updateValue(topic, forKey: topic.name) { $0.byId[old.id] = nil }
      $0.byId[topic.id] = topic
      $0.image.put(
        TopicFacts(name: topic.name, id: topic.id, partitionCount: Int32(clamping: topic.partitions.count)))
    }
  }

  /// Removes the topic with this id, and not another one that has its name by now.
  package func remove(id: Uuid) {
    snapshot.withLock { snapshot in
      guard let topic = snapshot.byId.removeValue(forKey: id) else { return }
      snapshot.image.remove(id: id)
      if snapshot.byName[topic.name]?.id == id { snapshot.byName[topic.name] = nil }
    }
  }
}
