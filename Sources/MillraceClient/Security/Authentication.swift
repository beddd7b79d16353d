// Carries the messages of a SASL mechanism over a connection, each in a request of Kafka's (KIP-43, KIP-152):
//
//    SaslHandshake (mechanism)   →  the mechanisms that the broker offers
//    SaslAuthenticate (bytes)    →  bytes, and with the last ones how long the session may live (KIP-368)
//
// The versions are known by then; ApiVersions is the one request that comes before. No other request may come in
// between, which is what `RequestChannel` holds back while a live connection authenticates itself anew.

import MillraceProtocol
import NIOCore

#if TLS
  import Crypto
#endif

struct Authentication: Sendable {
  /// More messages than any mechanism has.
  private static let roundsMax = 8
  /// The first version after which messages are not sent bare.
  private static let firstWithRequests: Int16 = 1

  private let sasl: SASL
  private let channel: RequestChannel
  private let handshakeVersion: Int16
  private let version: Int16
  private let timeout: Duration

  init(
    _ sasl: SASL, on channel: RequestChannel, _ versions: ApiVersionRanges, timeout: Duration
  ) throws(KafkaError) {
    guard let handshake = versions.version(of: SaslHandshakeRequest.self), handshake >= Self.firstWithRequests,
      let version = versions.version(of: SaslAuthenticateRequest.self)
    else {
      throw KafkaError(
        .unsupportedVersion,
        "\(channel.address) does not speak SASL in a version that this client does; "
          + "connect without it, or to a broker of Kafka 1.0 or newer")
    }
    self.sasl = sasl
    self.channel = channel
    self.version = version
    self.timeout = timeout
    handshakeVersion = handshake
  }

  /// Authenticates the connection, now and again before its session ends. When that fails later, the connection is
  /// closed, and what waits on it is told why.
  func keep() async throws(KafkaError) {
    let lifetime = try await run()
    channel.authenticated(for: lifetime) {
      Task {
        do throws(KafkaError) {
          try await keep()
        } catch {
          channel.close(error)
        }
      }
    }
  }

  /// Authenticates the connection and says for how long; nil when the broker sets no limit.
  private func run() async throws(KafkaError) -> Duration? {
    var exchange = try await makeExchange()
    try await handshake()
    var bytes: [UInt8]
    do throws(SASLFailure) { bytes = try exchange.start() } catch { throw failed(error) }
    for _ in 0..<Self.roundsMax {
      let answer = try await authenticate(bytes)
      let step: SASLStep
      do throws(SASLFailure) {
        // With an error there are no bytes, but the mechanism may know why: OAUTHBEARER was told in the round before.
        let refusal = ErrorCode(rawValue: answer.errorCode)
        if refusal != .none { throw .refused(Self.reason(refusal, answer.errorMessage)) }
        step = try exchange.answered(Array(answer.authBytes.readableBytesView))
      } catch {
        throw failed(error, code: answer.errorCode)
      }
      switch step {
      case .send(let next): bytes = next
      case .finished: return answer.sessionLifetimeMs > 0 ? .milliseconds(answer.sessionLifetimeMs) : nil
      }
    }
    throw failed(.malformed("there is no end to it"))
  }

  private func handshake() async throws(KafkaError) {
    let answer = try await channel.answer(
      to: SaslHandshakeRequest(mechanism: sasl.mechanism), version: handshakeVersion, timeout: timeout,
      authenticates: true)
    switch ErrorCode(rawValue: answer.errorCode) {
    case .none: return
    case .unsupportedSaslMechanism:
      let offered = answer.mechanisms.prefix(20).map { quoted(fromBroker: $0) }.joined(separator: ", ")
      throw failed(
        .refused("it does not offer this mechanism, but \(offered.isEmpty ? "none" : offered)"), code: answer.errorCode)
    case .illegalSaslState:
      throw failed(.refused("it expects no SASL on this port"), code: answer.errorCode)
    case let code:
      throw failed(.refused(code.name), code: answer.errorCode)
    }
  }

  private func authenticate(_ bytes: [UInt8]) async throws(KafkaError) -> SaslAuthenticateResponse {
    try await channel.answer(
      to: SaslAuthenticateRequest(authBytes: ByteBuffer(bytes: bytes)), version: version, timeout: timeout,
      authenticates: true)
  }

  private static func reason(_ code: ErrorCode, _ message: String?) -> String {
    let words = quoted(fromBroker: message ?? "")
    return words.isEmpty ? code.name : "\(words) (\(code.name))"
  }

  private func failed(_ failure: SASLFailure, code: Int16 = 0) -> KafkaError {
    KafkaError(
      .authenticationFailed, "SASL \(sasl) at \(channel.address): \(failure)",
      brokerCode: code == 0 ? nil : ErrorCode(rawValue: code))
  }

  // MARK: Mechanisms

  private func makeExchange() async throws(KafkaError) -> any SASLExchange {
    switch sasl.method {
    case .plain(let credentials): return PlainExchange(credentials)
    case .oauthBearer(let token): return OAuthBearerExchange(try await self.token(from: token))
    #if TLS
      case .scramSHA256(let credentials): return Self.scram(CryptoDigest<SHA256>.self, credentials)
      case .scramSHA512(let credentials): return Self.scram(CryptoDigest<SHA512>.self, credentials)
    #else
      case .scramSHA256, .scramSHA512: throw .needsTrait("SASL \(sasl.mechanism)")
    #endif
    }
  }

  #if TLS
    private static func scram<Digest: SCRAMDigest>(
      _ digest: Digest.Type, _ credentials: SASL.Credentials
    ) -> any SASLExchange {
      var generator = SystemRandomNumberGenerator()
      return SCRAMExchange<Digest>(credentials, nonce: SCRAM.nonce(using: &generator))
    }
  #endif

  /// Asks the provider, for no longer than an answer of a broker may take.
  private func token(
    from provider: @escaping @Sendable () async throws -> OAuthBearerToken
  ) async throws(KafkaError) -> OAuthBearerToken {
    let answer = Deferred<OAuthBearerToken>()
    let address = channel.address
    let work = Task {
      do {
        answer.fulfil(.success(try await provider()))
      } catch {
        answer.fulfil(.failure(Self.noToken("\(error)", for: address)))
      }
    }
    let timer = channel.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
      answer.fulfil(.failure(Self.noToken("no answer in time", for: address)))
    }
    defer {
      timer.cancel()
      work.cancel()
    }
    return try await answer.value()
  }

  private static func noToken(_ why: String, for address: BrokerAddress) -> KafkaError {
    KafkaError(
      .authenticationFailed, "SASL OAUTHBEARER at \(address): the token provider failed: \(why)", isRetriable: true)
  }
}

extension KafkaError {
  /// What `feature` says when it is not compiled in.
  static func needsTrait(_ feature: String) -> KafkaError {
    KafkaError(.configuration, "\(feature) is not in this build; build with the package trait TLS (--traits TLS)")
  }
}
