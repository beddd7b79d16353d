// The states of a transactional id, with Kafka's numbers (in the journal) and names (in the answers).
//
//             InitProducerId        first partition           EndTxn, time-out or fencing
//   (none) ----------------> Empty -----------------> Ongoing ---------------------------> PrepareCommit, PrepareAbort
//                              ^                         ^                                            |
//                              | InitProducerId          | first partition                            | all markers
//                              +------ CompleteCommit, CompleteAbort <--------------------------------+ written
//
// Kafka's Dead and PrepareEpochFence never stand in a journal: here expiry and fencing are one step, and nobody meets
// them.

package enum TransactionState: Int8, Sendable, CaseIterable {
  case empty = 0
  case ongoing = 1
  case prepareCommit = 2
  case prepareAbort = 3
  case completeCommit = 4
  case completeAbort = 5

  package var name: String {
    switch self {
    case .empty: "Empty"
    case .ongoing: "Ongoing"
    case .prepareCommit: "PrepareCommit"
    case .prepareAbort: "PrepareAbort"
    case .completeCommit: "CompleteCommit"
    case .completeAbort: "CompleteAbort"
    }
  }

  /// Kafka's states that a filter may name and that nothing is ever in.
  static let transientNames: Set<String> = ["Dead", "PrepareEpochFence"]

  /// The outcome is decided and not yet written everywhere.
  var isEnding: Bool { self == .prepareCommit || self == .prepareAbort }
}
