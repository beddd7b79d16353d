// Under which host and port clients are told to reach this broker: a client that came in on one listener is sent back
// to the same one. The server fills it in once its sockets are bound, since port 0 is only known then.

import Synchronization

package final class AdvertisedListeners: Sendable {
  package struct Endpoint: Sendable, Equatable {
    package var host: String
    package var port: Int32
    package init(host: String, port: Int32) {
      self.host = host
      self.port = port
    }
  }

  private struct State {
    var endpoints: [String: Endpoint] = [:]
    var first: Endpoint?
  }

  private let state = Mutex(State())

  package init() {}

  package func set(_ endpoint: Endpoint, for listener: String) {
    state.withLock {
      $0.endpoints[listener] = endpoint
      if $0.first == nil { $0.first = endpoint }
    }
  }

  /// The listener's endpoint, or the first one for a connection without a listener (inside the process).
  package func endpoint(for listener: String) -> Endpoint {
    state.withLock { $0.endpoints[listener] ?? $0.first } ?? Endpoint(host: "localhost", port: 9092)
  }
}
