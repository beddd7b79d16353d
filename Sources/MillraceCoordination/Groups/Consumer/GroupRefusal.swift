// Why a request about a group is turned away, with the words that newer APIs pass on to the client.

import MillraceProtocol

package struct GroupRefusal: Error, Equatable {
  package let code: ErrorCode
  package let message: String

  init(_ code: ErrorCode, _ message: String) {
    self.code = code
    self.message = message
  }
}

extension ConsumerGroupHeartbeatResponse {
  package init(refusing code: ErrorCode, _ message: String? = nil) {
    self.init(errorCode: code.rawValue, errorMessage: message)
  }

  init(_ refusal: GroupRefusal) {
    self.init(refusing: refusal.code, refusal.message)
  }
}
