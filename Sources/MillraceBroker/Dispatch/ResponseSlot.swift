// What a request becomes. The transport gives every request a slot; the broker fills it exactly once, on any thread,
// now or later; the transport keeps the order of the connection's requests.

import MillraceLog
import NIOCore

package protocol ResponseSlot: Sendable {
  func fulfil(_ outcome: ResponseOutcome)
}

package enum ResponseOutcome: Sendable {
  case respond(OutgoingResponse)
  /// Nothing is sent (a produce with acks=0).
  case nothing
  /// The connection cannot go on; `reason` is for the log.
  case close(reason: String)
}

/// An encoded response frame, with the places where record batches from the log go in between.
package struct OutgoingResponse: Sendable {
  /// Size prefix, header and body. The size counts the spliced bytes too.
  package var bytes: ByteBuffer
  package var splices: [Splice]

  package struct Splice: Sendable {
    /// Where in `bytes` (counted from its reader index) the batches go.
    package var offset: Int
    package var plan: ReadPlan

    package init(offset: Int, plan: ReadPlan) {
      self.offset = offset
      self.plan = plan
    }
  }

  package init(bytes: ByteBuffer, splices: [Splice] = []) {
    self.bytes = bytes
    self.splices = splices
  }

  /// All bytes that go to the socket.
  package var byteCount: Int { splices.reduce(bytes.readableBytes) { $0 + $1.plan.byteCount } }
}
