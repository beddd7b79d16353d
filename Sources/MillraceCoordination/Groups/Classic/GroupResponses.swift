// Answers that say no, in the shape that Kafka gives them.

import MillraceProtocol

extension JoinGroupResponse {
  package init(refusing error: ErrorCode, memberId: String = "") {
    self.init(errorCode: error.rawValue, memberId: memberId)
  }
}

extension SyncGroupResponse {
  package init(refusing error: ErrorCode) {
    self.init(errorCode: error.rawValue)
  }
}

extension HeartbeatResponse {
  package init(refusing error: ErrorCode) {
    self.init(errorCode: error.rawValue)
  }
}

extension LeaveGroupResponse {
  package init(refusing error: ErrorCode) {
    self.init(errorCode: error.rawValue)
  }
}
