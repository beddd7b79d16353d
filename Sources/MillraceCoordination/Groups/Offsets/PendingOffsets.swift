// Offsets that were committed inside of transactions whose outcome is not known yet, in the order of the journal. Until
// then nobody knows which offset is the last, so a reader that insists on a stable answer has to wait (KIP-447).
//
// The later commit wins, not the later outcome: an offset that a plain commit has overtaken, or that of another
// transaction which has been committed, is not brought back by the end of its own transaction.

struct PendingOffsets: Sendable, Equatable {
  struct Place: Hashable, Sendable, Comparable {
    var groupId: String
    var topic: String
    var partition: Int32

    static func < (a: Self, b: Self) -> Bool {
      (a.groupId, a.topic, a.partition) < (b.groupId, b.topic, b.partition)
    }
  }

  private struct Entry: Sendable, Equatable {
    var producerId: Int64
    /// Nil once a later commit counts.
    var offset: CommittedOffset?
  }

  /// In the order of the journal, at most one for each producer.
  private var entries: [Place: [Entry]] = [:]
  private var places: [Int64: Set<Place>] = [:]
  private var placesOfGroup: [String: Set<Place>] = [:]

  func contains(_ groupId: String, _ topic: String, _ partition: Int32) -> Bool {
    !entries.isEmpty && entries[Place(groupId: groupId, topic: topic, partition: partition)] != nil
  }

  func contains(groupId: String) -> Bool { placesOfGroup[groupId] != nil }

  func places(of groupId: String) -> [Place] { placesOfGroup[groupId]?.sorted() ?? [] }

  var groupIds: Dictionary<String, Set<Place>>.Keys { placesOfGroup.keys }

  mutating func put(_ offset: CommittedOffset, at place: Place, by producerId: Int64) {
    entries[place, default: []].removeAll { $0.producerId == producerId }
    entries[place]!.append(Entry(producerId: producerId, offset: offset))
    places[producerId, default: []].insert(place)
    placesOfGroup[place.groupId, default: []].insert(place)
  }

  /// A commit outside of any transaction.
  mutating func overtake(at place: Place) {
    guard !entries.isEmpty, let count = entries[place]?.count else { return }
    for index in 0..<count { entries[place]![index].offset = nil }
  }

  /// The partition's offset was deleted.
  mutating func remove(at place: Place) {
    guard !entries.isEmpty, let removed = entries.removeValue(forKey: place) else { return }
    for entry in removed {
      places[entry.producerId]?.remove(place)
      if places[entry.producerId]?.isEmpty == true { places[entry.producerId] = nil }
    }
    forget(place)
  }

  /// The producer's transaction has ended. Returns the offsets that count from now on.
  mutating func end(_ producerId: Int64, isCommit: Bool) -> [(place: Place, offset: CommittedOffset)] {
    var stable: [(place: Place, offset: CommittedOffset)] = []
    for place in (places.removeValue(forKey: producerId) ?? []).sorted() {
      guard let index = entries[place]?.firstIndex(where: { $0.producerId == producerId }) else { continue }
      let entry = entries[place]!.remove(at: index)
      if isCommit, let offset = entry.offset {
        stable.append((place, offset))
        for earlier in 0..<index { entries[place]![earlier].offset = nil }
      }
      if entries[place]?.isEmpty == true {
        entries[place] = nil
        forget(place)
      }
    }
    return stable
  }

  private mutating func forget(_ place: Place) {
    placesOfGroup[place.groupId]?.remove(place)
    if placesOfGroup[place.groupId]?.isEmpty == true { placesOfGroup[place.groupId] = nil }
  }
}
