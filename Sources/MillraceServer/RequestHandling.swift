// What the server needs of a broker: something that takes request frames.

import MillraceBroker
import NIOCore

package protocol RequestHandling: Sendable {
  /// Takes up one request, on the event loop of its connection, in the order of the connection's requests. Must not
  /// block, and fulfils `slot` exactly once, now or later, on any thread.
  ///
  /// `frame` is the request without its length prefix. A large one shares the connection's receive buffer: what
  /// outlives the answer has to be copied out of it.
  func handle(_ frame: ByteBuffer, from connection: ConnectionInfo, _ slot: any ResponseSlot)
}
