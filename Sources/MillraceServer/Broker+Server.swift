// The broker as what a server serves.

import MillraceBroker

extension Broker: RequestHandling {
  /// Tells clients to come to the addresses that the server listens on, unless the configuration advertises others.
  package func advertise(_ bound: [BoundAddress]) {
    for listener in configuration.listeners {
      guard let address = bound.first(where: { $0.listener == listener.name }) else { continue }
      let port = listener.advertisedPort == 0 ? address.port : listener.advertisedPort
      advertised.set(
        AdvertisedListeners.Endpoint(host: listener.advertisedHost, port: Int32(port)), for: listener.name)
    }
  }
}
