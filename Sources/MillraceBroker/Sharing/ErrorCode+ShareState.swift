// From what the share coordinator says to what a member is told: the one place.

import MillraceProtocol

extension ErrorCode {
  /// The coordinator may answer soon.
  var isCoordinatorAbsent: Bool {
    switch self {
    case .notCoordinator, .coordinatorNotAvailable, .coordinatorLoadInProgress: true
    default: false
    }
  }

  /// What a member is told when the coordinator said this, as in Kafka.
  init(ofShareState code: ErrorCode) {
    switch code {
    case .none, .groupIdNotFound, .unknownTopicOrPartition: self = code
    case .fencedLeaderEpoch, .fencedStateEpoch: self = .notLeaderOrFollower
    case _ where code.isCoordinatorAbsent: self = .coordinatorNotAvailable
    default: self = .unknownServerError
    }
  }
}
