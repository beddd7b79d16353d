// JoinGroup, key 11.
//
// v1 rebalance time-out   v2 throttle time   v4 a new member has to come back with the id it was given (KIP-394)
// v5 group.instance.id (KIP-345)   v6 flexible   v7 protocol type; protocol name may be null (KIP-559)
// v8 reason (KIP-800)   v9 skipAssignment (KIP-814)
//
// Answered when the rebalance that it takes part in has all its members.

import MillraceCoordination
import MillraceProtocol

struct JoinGroupHandler: Handler {
  func handle(_ request: JoinGroupRequest, _ context: RequestContext, _ reply: Reply<JoinGroupResponse>) {
    let caller = JoinCaller(
      version: context.version, clientId: context.clientId ?? "", clientHost: context.connection.clientHost,
      idSuffix: Uuid.randomText())
    context.broker.groups.join(request, from: caller) { response in
      var response = response
      if context.version < 7 {
        response.protocolName = response.protocolName ?? ""
      } else if response.protocolName?.isEmpty == true {
        response.protocolName = nil
      }
      reply.send(response)
    }
  }
}

extension Uuid {
  /// A new random UUID as people write it, in five groups of hexadecimal digits.
  fileprivate static func randomText() -> String {
    let uuid = Uuid.random()
    let digits = hexadecimal(uuid.high) + hexadecimal(uuid.low)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index == 8 || index == 12 || index == 16 || index == 20 { text.append("-") }
      text.append(digit)
    }
    return text
  }

  private static func hexadecimal(_ bits: UInt64) -> String {
    let digits = String(bits, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
