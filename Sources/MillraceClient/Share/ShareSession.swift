// The share session with one broker (KIP-932): the broker remembers which partitions we fetch, so that a request names
// only those that come and go. Requests of a session are counted, and go one after the other.
//
//    epoch
//    0         opens a session, in place of one of before; carries no acknowledgements
//    1, 2, …   goes on with it
//    -1        closes it, which releases what is acquired

import MillraceProtocol

struct ShareSession: Sendable, Equatable {
  struct Partition: Hashable, Sendable {
    var topicId: Uuid
    var index: Int32
  }

  struct Change: Equatable, Sendable {
    var epoch: Int32
    var added: Set<Partition> = []
    var forgotten: Set<Partition> = []
  }

  static let finalEpoch: Int32 = -1

  private(set) var epoch: Int32 = 0
  private var known: Set<Partition> = []

  /// Whether it was opened, so that acknowledgements can be sent.
  var isOpen: Bool { epoch > 0 }

  /// What the next fetch says, so that the broker ends up with `wanted`.
  mutating func change(to wanted: Set<Partition>) -> Change {
    let before = isOpen ? known : []
    known = wanted
    return Change(epoch: epoch, added: wanted.subtracting(before), forgotten: before.subtracting(wanted))
  }

  mutating func answered() { epoch = epoch == .max ? 1 : epoch + 1 }

  /// The broker does not know the session, or it is not known what it knows: the next fetch opens another.
  mutating func reset() {
    epoch = 0
    known = []
  }
}
