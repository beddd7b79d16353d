// A request's place in its connection's queue of responses, as the broker sees it.

import MillraceBroker
import NIOCore

struct Slot: ResponseSlot {
  let connection: Connection
  let number: RequestNumber

  func fulfil(_ outcome: ResponseOutcome) {
    if connection.thread.eventLoop.inEventLoop {
      connection.fulfil(number, with: outcome)
    } else {
      connection.thread.post(.answer(connection, number, outcome))
    }
  }
}
