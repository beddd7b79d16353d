// One request's circumstances: which version of which API, from whom, to which broker.

import MillraceProtocol

package struct RequestContext: Sendable {
  package let broker: Broker
  package let connection: ConnectionInfo
  package let apiKey: ApiKey
  package let version: Int16
  package let correlationId: Int32
  package let clientId: String?
  /// Wall time at which the request was taken up, milliseconds since the epoch.
  package let receivedMs: Int64
}
