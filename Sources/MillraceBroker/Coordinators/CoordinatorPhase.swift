// What the shards of the group and the transaction coordinator have in common: whether they serve, and what they answer
// when they do not or when their journal fails.

import MillraceLog
import MillraceProtocol

enum CoordinatorPhase {
  case loading
  case serving
  /// The journal failed.
  case offline
  /// The broker stops, or the topic is gone.
  case stopped

  /// Whether reading the journal is what brings it on.
  var awaitsLoad: Bool { self == .loading || self == .offline }

  /// Whether clients may be sent here.
  var isReachable: Bool { self == .loading || self == .serving }

  /// What to answer instead of serving.
  var refusal: ErrorCode? {
    switch self {
    case .serving: nil
    case .loading: .coordinatorLoadInProgress
    case .offline, .stopped: .notCoordinator
    }
  }
}

extension ErrorCode {
  /// As Kafka's coordinators map what their log says.
  init(ofJournal error: any Error) {
    switch error {
    case LogError.recordTooLarge: self = .unknownServerError
    case is LogError: self = .notCoordinator
    default: self = .unknownServerError
    }
  }
}
