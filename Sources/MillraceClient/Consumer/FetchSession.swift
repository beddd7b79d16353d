// The incremental fetch session with one broker (KIP-227): the broker remembers which partitions we fetch, so that a
// request names only those that changed. A broker may decline; then every request is a full one.
//
//    session id   epoch
//    0            0        a full fetch that asks for a session; also what follows an error that lost it
//    n            0        a full fetch that replaces session n
//    n            1, 2, …  what changed since the fetch before

import MillraceProtocol

struct FetchSession {
  /// What is asked of a partition.
  struct Entry: Equatable {
    var topicId: Uuid
    var offset: Int64
    var leaderEpoch: Int32
    var maxBytes: Int32
  }

  struct Request {
    var sessionId: Int32
    var epoch: Int32
    /// In the order in which the broker should fill its answer.
    var partitions: [TopicPartition]
    /// With the topic id that each went by.
    var forgotten: [(partition: TopicPartition, topicId: Uuid)]
  }

  private var sessionId: Int32 = 0
  private var epoch: Int32 = 0
  /// What the broker knows.
  private var known: [TopicPartition: Entry] = [:]

  /// The next request, so that the broker ends up with `wanted`.
  mutating func request(_ wanted: [(partition: TopicPartition, entry: Entry)]) -> Request {
    // A topic that was made again under its name is another topic, which a session cannot hold beside the old one.
    if wanted.contains(where: { known[$0.partition].map(\.topicId) ?? $0.entry.topicId != $0.entry.topicId }) {
      epoch = 0
    }
    let isFull = epoch == 0
    if isFull { known = [:] }
    let changed = wanted.filter { known[$0.partition] != $0.entry }.map(\.partition)
    let names = Set(wanted.map(\.partition))
    let forgotten = known.filter { !names.contains($0.key) }
      .map { (partition: $0.key, topicId: $0.value.topicId) }
      .sorted { $0.partition < $1.partition }
    known = Dictionary(wanted.map { ($0.partition, $0.entry) }, uniquingKeysWith: { first, _ in first })
    return Request(sessionId: sessionId, epoch: epoch, partitions: changed, forgotten: forgotten)
  }

  /// The broker answered in a session, or with 0 in none.
  mutating func answered(sessionId answered: Int32) {
    if answered == 0 {
      sessionId = 0
      epoch = 0
    } else {
      sessionId = answered
      epoch = epoch == .max ? 1 : epoch + 1
    }
  }

  /// The request did not get through, or the broker refused it: the next one is full.
  mutating func failed(sessionIsGone: Bool) {
    if sessionIsGone { sessionId = 0 }
    epoch = 0
  }
}
