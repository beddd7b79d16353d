// A connection to a broker that is ready for use: the versions are negotiated (KIP-35, KIP-511), and then the client is
// authenticated, if it is to be. That is the order of Kafka's clients: how to authenticate depends on the versions.

import MillraceProtocol
import NIOCore

package final class Connection: Sendable {
  private let channel: RequestChannel
  let versions: ApiVersionRanges
  private let requestTimeout: Duration
  private let versionLimits: [ApiKey: Int16]

  private init(_ channel: RequestChannel, _ versions: ApiVersionRanges, _ configuration: ClientConfiguration) {
    self.channel = channel
    self.versions = versions
    requestTimeout = configuration.requestTimeout
    versionLimits = configuration.versionLimits
  }

  /// Connects, asks for the broker's versions and authenticates the client.
  static func open(
    to address: BrokerAddress, _ configuration: ClientConfiguration
  ) async throws(KafkaError) -> Connection {
    let channel = try await RequestChannel.open(to: address, configuration)
    do throws(KafkaError) {
      let versions = try await firstAnswer(channel, configuration)
      if let sasl = configuration.sasl, configuration.connector?.isInProcess != true {
        let authentication = try Authentication(
          sasl, on: channel, versions, timeout: configuration.requestTimeout)
        try await authentication.keep()
      }
      return Connection(channel, versions, configuration)
    } catch {
      channel.close()
      throw error
    }
  }

  var address: BrokerAddress { channel.address }
  var eventLoop: any EventLoop { channel.eventLoop }
  var isOpen: Bool { channel.isOpen }

  func close() { channel.close() }

  /// The highest version of a request that both sides speak, up to `limit`.
  func version<R: Request>(of request: R.Type, upTo limit: Int16 = .max) throws(KafkaError) -> Int16 {
    let limit = min(limit, versionLimits[R.apiKey] ?? .max)
    guard let version = versions.version(of: request, upTo: limit) else {
      let theirs = versions[R.apiKey].map { "versions \($0.lowerBound) to \($0.upperBound)" } ?? "no version"
      throw KafkaError(
        .unsupportedVersion,
        "\(address) speaks \(theirs) of \(R.self), this client \(R.validVersions.lowerBound) to "
          + "\(R.validVersions.upperBound); use a newer broker")
    }
    return version
  }

  /// Sends a request and waits for the answer. When the task is cancelled the answer goes nowhere.
  func send<R: Request>(_ request: R, version: Int16, timeout: Duration? = nil) async throws(KafkaError) -> R.Response {
    try await channel.answer(to: request, version: version, timeout: timeout ?? requestTimeout)
  }

  /// Sends a request without waiting; see `RequestChannel.send`.
  func send<R: Request>(
    _ request: R, version: Int16, timeout: Duration?, payloads: [ByteBuffer],
    _ completion: @escaping @Sendable (Result<R.Response?, KafkaError>) -> Void
  ) {
    channel.send(request, version: version, timeout: timeout, payloads: payloads, completion)
  }

  /// With TLS 1.3 a broker that misses a client's certificate says so only after the handshake, and not always in words.
  private static func firstAnswer(
    _ channel: RequestChannel, _ configuration: ClientConfiguration
  ) async throws(KafkaError) -> ApiVersionRanges {
    do throws(KafkaError) {
      return try await negotiate(channel, configuration)
    } catch {
      guard let tls = configuration.tls, tls.identity == nil, error.code == .connectionFailed else { throw error }
      throw error.adding("does the broker ask for a client certificate? (ssl.keystore.location)")
    }
  }

  private static func negotiate(
    _ channel: RequestChannel, _ configuration: ClientConfiguration
  ) async throws(KafkaError) -> ApiVersionRanges {
    let request = ApiVersionsRequest(clientSoftwareName: "millrace", clientSoftwareVersion: "1")
    let newest = ApiVersionsRequest.validVersions.upperBound
    var response = try await channel.answer(to: request, version: newest, timeout: configuration.requestTimeout)
    if response.errorCode == ErrorCode.unsupportedVersion.rawValue {
      // The answer says which versions of ApiVersions the broker knows; a very old one leaves that out.
      let known = ApiVersionRanges(response).version(of: ApiVersionsRequest.self) ?? 0
      response = try await channel.answer(
        to: known >= 3 ? request : ApiVersionsRequest(), version: known, timeout: configuration.requestTimeout)
    }
    if let error = KafkaError.broker(response.errorCode, about: "connecting to \(channel.address)") { throw error }
    return ApiVersionRanges(response)
  }
}

extension RequestChannel {
  func answer<R: Request>(
    to request: R, version: Int16, timeout: Duration, authenticates: Bool = false
  ) async throws(KafkaError) -> R.Response {
    let answer = Deferred<R.Response?>()
    send(request, version: version, timeout: timeout, authenticates: authenticates) { answer.fulfil($0) }
    guard let response = try await answer.value() else {
      throw KafkaError(.invalidResponse, "\(address) was not asked for an answer")
    }
    return response
  }
}
