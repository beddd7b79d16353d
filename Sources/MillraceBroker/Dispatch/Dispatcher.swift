// From a frame to its handler: reads the request header, finds the route, decodes and runs it.
//
// What cannot be understood closes the connection, as in Kafka: an unknown API key, a version outside the served
// range, a body that does not decode. The exception is ApiVersions (KIP-511): a client that is newer than this broker
// asks in a version that is unknown here, and is answered in version 0 so that it can ask again.

import MillraceProtocol
import NIOCore

package struct Dispatcher: Sendable {
  /// Indexed by API key.
  private let routes: [Route?]
  package let announced: [ApiVersionsResponse.ApiVersion]

  package init(routes list: [Route]) {
    var routes = [Route?](repeating: nil, count: 128)
    for route in list { routes[Int(route.apiKey.rawValue)] = route }
    self.routes = routes
    announced = list.sorted { $0.apiKey.rawValue < $1.apiKey.rawValue }.map { route in
      // Older librdkafka releases derive what a broker can do from a Produce range that begins at 0.
      let low = route.apiKey == .produce ? 0 : route.versions.lowerBound
      return ApiVersionsResponse.ApiVersion(
        apiKey: route.apiKey.rawValue, minVersion: low, maxVersion: route.versions.upperBound)
    }
  }

  func dispatch(_ frame: ByteBuffer, from connection: ConnectionInfo, to broker: Broker, _ slot: any ResponseSlot) {
    var reader = MessageReader(frame)
    do {
      let header = try RequestHeader.read(from: &reader)
      let context = RequestContext(
        broker: broker, connection: connection, apiKey: header.apiKey, version: header.apiVersion,
        correlationId: header.correlationId, clientId: header.clientId, receivedMs: broker.clock.nowMs())
      guard let route = route(for: header.apiKey) else {
        return slot.fulfil(.close(reason: "unknown API key \(header.apiKey.rawValue)"))
      }
      guard route.versions.contains(header.apiVersion) else {
        if header.apiKey == .apiVersions { return answerInVersionZero(context, route, slot) }
        let served = "\(route.versions.lowerBound) to \(route.versions.upperBound)"
        return slot.fulfil(
          .close(reason: "\(header.apiKey) version \(header.apiVersion) is not served (versions \(served) are)"))
      }
      try route.run(&reader, context, slot)
    } catch {
      slot.fulfil(.close(reason: "malformed request: \(error)"))
    }
  }

  private func route(for key: ApiKey) -> Route? {
    let index = Int(key.rawValue)
    return routes.indices.contains(index) ? routes[index] : nil
  }

  private func answerInVersionZero(_ context: RequestContext, _ route: Route, _ slot: any ResponseSlot) {
    let context = RequestContext(
      broker: context.broker, connection: context.connection, apiKey: .apiVersions, version: 0,
      correlationId: context.correlationId, clientId: nil, receivedMs: context.receivedMs)
    let own = ApiVersionsResponse.ApiVersion(
      apiKey: route.apiKey.rawValue, minVersion: route.versions.lowerBound, maxVersion: route.versions.upperBound)
    Reply<ApiVersionsResponse>(slot: slot, context: context).send(
      ApiVersionsResponse(errorCode: ErrorCode.unsupportedVersion.rawValue, apiKeys: [own]))
  }
}
