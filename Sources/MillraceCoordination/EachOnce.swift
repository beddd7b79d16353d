// What a request names again is answered once: a name is short, and what is told of it may be long.

extension Sequence {
  /// Of elements with the same name the first.
  package func eachOnce<Name: Hashable>(by name: (Element) -> Name) -> [Element] {
    var seen: Set<Name> = []
    return filter { seen.insert(name($0)).inserted }
  }
}

extension Sequence where Element: Hashable {
  package func eachOnce() -> [Element] { eachOnce { $0 } }
}

/// Partitions that were named before, in whichever entry about their topic.
package struct NamedPartitions {
  private var seen: [String: Set<Int32>] = [:]

  package init() {}

  /// Those of the topic that are named for the first time.
  package mutating func new(_ partitions: [Int32], of topic: String) -> [Int32] {
    partitions.filter { seen[topic, default: []].insert($0).inserted }
  }
}
