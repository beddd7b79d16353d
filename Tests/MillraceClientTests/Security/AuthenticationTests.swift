// Connections to a broker that asks for SASL, and keeps a transcript of what it is sent.

import MillraceProtocol
import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

#if TLS
  import Crypto
#endif

/// A broker that answers nothing but ApiVersions before a connection has authenticated itself.
private final class SASLBroker: Sendable {
  /// Answers the bytes of a mechanism; the round counts from 0 in each authentication.
  typealias Mechanism = @Sendable (_ bytes: [UInt8], _ round: Int) -> SaslAuthenticateResponse

  let transcript = Mutex<[String]>([])
  private let broker = Mutex<ScriptedBroker?>(nil)

  init(
    offers mechanisms: [String], handshakeError: ErrorCode = .none, versions: [ApiKey: Int16] = [:],
    _ mechanism: @escaping Mechanism
  ) async throws {
    let scripted = try await ScriptedBroker(makingScripts: { [self] in
      let connection = Mutex((isAuthenticated: false, round: 0))
      return { frame, key, version, id in
        self.transcript.withLock { $0.append("\(key)") }
        return connection.withLock { connection in
          switch key {
          case .apiVersions:
            return ScriptedBroker.encode(Self.versions(versions), version, id)
          case .saslHandshake:
            connection = (false, 0)
            let asked = Self.decode(SaslHandshakeRequest.self, frame, version)?.mechanism ?? ""
            let error = mechanisms.contains(asked) ? handshakeError : .unsupportedSaslMechanism
            return ScriptedBroker.encode(
              SaslHandshakeResponse(errorCode: error.rawValue, mechanisms: mechanisms), version, id)
          case .saslAuthenticate:
            let bytes = Self.decode(SaslAuthenticateRequest.self, frame, version)?.authBytes ?? ByteBuffer()
            let answer = mechanism(Array(bytes.readableBytesView), connection.round)
            connection = (answer.errorCode == 0, connection.round + 1)
            return ScriptedBroker.encode(answer, version, id)
          case .metadata where connection.isAuthenticated:
            return ScriptedBroker.encode(MetadataResponse(controllerId: 7), version, id)
          default:
            return nil
          }
        }
      }
    })
    broker.withLock { $0 = scripted }
  }

  private static func versions(_ given: [ApiKey: Int16]) -> ApiVersionsResponse {
    var all = ScriptedBroker.versions
    for (key, newest) in [ApiKey.saslHandshake: 1, .saslAuthenticate: 2].merging(given, uniquingKeysWith: { $1 })
    where newest >= 0 {
      all.apiKeys.append(.init(apiKey: key.rawValue, minVersion: 0, maxVersion: newest))
    }
    return all
  }

  private static func decode<R: Request>(_ request: R.Type, _ frame: ByteBuffer, _ version: Int16) -> R? {
    var reader = MessageReader(frame)
    guard (try? RequestHeader(from: &reader, version: R.isFlexible(version) ? 2 : 1)) != nil else { return nil }
    return try? R(from: &reader, version: version)
  }

  func connect(_ sasl: SASL?) async throws -> Connection {
    var configuration = try #require(broker.withLock { $0 }).configuration
    configuration.requestTimeout = .seconds(60)
    configuration.sasl = sasl
    return try await Connection.open(to: configuration.bootstrapServers[0], configuration)
  }

  func stop() async { await broker.withLock { $0 }?.stop() }

  static func refusal(_ message: String?) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse(errorCode: ErrorCode.saslAuthenticationFailed.rawValue, errorMessage: message)
  }

  static func accepted(for milliseconds: Int64 = 0) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse(sessionLifetimeMs: milliseconds)
  }

  /// Accepts one user.
  static func plain(lifetime: Int64 = 0) -> Mechanism {
    { bytes, _ in
      bytes == Array("\0alice\0wonder".utf8) ? accepted(for: lifetime) : refusal("Authentication failed")
    }
  }
}

@Suite("SASL on a connection")
struct AuthenticationTests {
  private let alice = SASL.plain(username: "alice", password: "wonder")

  private func refusal(_ broker: SASLBroker, _ sasl: SASL?) async -> KafkaError? {
    await #expect(throws: KafkaError.self) { try await broker.connect(sasl).close() }
  }

  @Test(arguments: [0, 1, 2] as [Int16])
  func `versions come first, then the mechanism, then its messages`(_ version: Int16) async throws {
    let broker = try await SASLBroker(
      offers: ["PLAIN"], versions: [.saslAuthenticate: version], SASLBroker.plain())
    let connection = try await broker.connect(alice)
    #expect(try await connection.send(MetadataRequest(), version: 12).controllerId == 7)
    connection.close()
    let transcript = broker.transcript.withLock { $0 }
    let expected: [ApiKey] = [.apiVersions, .saslHandshake, .saslAuthenticate, .metadata]
    #expect(transcript == expected.map { "\($0)" })
    await broker.stop()
  }

  @Test func `a refusal is final, and says who, how, and what the broker said, but not the password`() async throws {
    let broker = try await SASLBroker(offers: ["PLAIN"], SASLBroker.plain())
    let error = await refusal(broker, .plain(username: "alice", password: "wrong-pw"))
    #expect(error?.code == .authenticationFailed)
    #expect(error?.brokerCode == .saslAuthenticationFailed)
    #expect(error?.isRetriable == false)
    for part in ["PLAIN", "'alice'", "Authentication failed", "SASL_AUTHENTICATION_FAILED"] {
      #expect(error?.message.contains(part) == true, "\(part)")
    }
    #expect(error?.message.contains("wrong-pw") == false)
    await broker.stop()
  }

  @Test func `a mechanism that the broker does not offer is answered with those that it does`() async throws {
    let broker = try await SASLBroker(offers: ["SCRAM-SHA-512", "GSSAPI"], SASLBroker.plain())
    let error = await refusal(broker, alice)
    #expect(error?.code == .authenticationFailed)
    #expect(error?.brokerCode == .unsupportedSaslMechanism)
    #expect(error?.message.contains("SCRAM-SHA-512, GSSAPI") == true)
    await broker.stop()
  }

  @Test func `a broker without SASL is an error that says so`() async throws {
    let without = try await SASLBroker(
      offers: [], versions: [.saslHandshake: -1, .saslAuthenticate: -1], SASLBroker.plain())
    #expect(await refusal(without, alice)?.code == .unsupportedVersion)
    await without.stop()
    let elsewhere = try await SASLBroker(offers: ["PLAIN"], handshakeError: .illegalSaslState, SASLBroker.plain())
    #expect(await refusal(elsewhere, alice)?.message.contains("no SASL on this port") == true)
    await elsewhere.stop()
  }

  @Test func `a mechanism that never ends is ended`() async throws {
    let broker = try await SASLBroker(offers: ["OAUTHBEARER"]) { _, round in
      SaslAuthenticateResponse(authBytes: ByteBuffer(string: "more"))
    }
    let error = await refusal(broker, .oauthBearer { OAuthBearerToken("t") })
    #expect(error?.code == .authenticationFailed)
    await broker.stop()
  }

  @Test func `without SASL a broker that asks for it hangs up`() async throws {
    let broker = try await SASLBroker(offers: ["PLAIN"], SASLBroker.plain())
    let connection = try await broker.connect(nil)
    let error = await #expect(throws: KafkaError.self) { try await connection.send(MetadataRequest(), version: 12) }
    #expect(error?.code == .connectionFailed)
    await broker.stop()
  }

  // MARK: OAUTHBEARER

  @Test func `a token that is refused says why`() async throws {
    let broker = try await SASLBroker(offers: ["OAUTHBEARER"]) { bytes, round in
      round == 0
        ? SaslAuthenticateResponse(authBytes: ByteBuffer(string: #"{"status":"invalid_token"}"#))
        : SASLBroker.refusal(bytes == [1] ? #"{"status":"invalid_token"}"# : "not confirmed")
    }
    let error = await refusal(broker, .oauthBearer { OAuthBearerToken("se.cr.et") })
    #expect(error?.code == .authenticationFailed)
    #expect(error?.message.contains("invalid_token") == true)
    #expect(error?.message.contains("se.cr.et") == false)
    await broker.stop()
  }

  @Test func `a provider that fails may be asked again`() async throws {
    struct Outage: Error {}
    let broker = try await SASLBroker(offers: ["OAUTHBEARER"]) { _, _ in SASLBroker.accepted() }
    let error = await refusal(broker, .oauthBearer { throw Outage() })
    #expect(error?.code == .authenticationFailed)
    #expect(error?.isRetriable == true)
    #expect(error?.message.contains("Outage") == true)
    await broker.stop()
  }

  // MARK: The session's life (KIP-368)

  @Test func `a session that is about to end is renewed between requests, each time with a new token`() async throws {
    let tokens = Atomic(0)
    let seen = Mutex<[String]>([])
    let broker = try await SASLBroker(offers: ["OAUTHBEARER"]) { bytes, _ in
      seen.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) }
      return SASLBroker.accepted(for: 1)
    }
    let connection = try await broker.connect(
      .oauthBearer { OAuthBearerToken("t\(tokens.add(1, ordering: .relaxed).oldValue)") })
    for _ in 0..<3 {
      // Longer than the session lives.
      try await Task.sleep(for: .milliseconds(5))
      #expect(try await connection.send(MetadataRequest(), version: 12).controllerId == 7)
    }
    connection.close()
    #expect(seen.withLock { $0 } == (0...3).map { "n,,\u{1}auth=Bearer t\($0)\u{1}\u{1}" })
    let renewed: [ApiKey] = [.saslHandshake, .saslAuthenticate, .metadata]
    let expected: [ApiKey] = [.apiVersions, .saslHandshake, .saslAuthenticate] + renewed + renewed + renewed
    #expect(broker.transcript.withLock { $0 } == expected.map { "\($0)" })
    await broker.stop()
  }

  @Test func `no request comes in between`() async throws {
    // The broker hangs up when one does.
    let broker = try await SASLBroker(offers: ["PLAIN"], SASLBroker.plain(lifetime: 1))
    let connection = try await broker.connect(alice)
    try await withThrowingTaskGroup(of: Int32.self) { group in
      for _ in 0..<200 {
        group.addTask { try await connection.send(MetadataRequest(), version: 12).controllerId }
      }
      for try await controller in group { #expect(controller == 7) }
    }
    connection.close()
    await broker.stop()
  }

  @Test func `a renewal that is refused closes the connection and tells those who wait why`() async throws {
    let round = Atomic(0)
    let broker = try await SASLBroker(offers: ["PLAIN"]) { _, _ in
      round.add(1, ordering: .relaxed).oldValue == 0 ? SASLBroker.accepted(for: 1) : SASLBroker.refusal("user is gone")
    }
    let connection = try await broker.connect(alice)
    try await Task.sleep(for: .milliseconds(5))
    let error = await #expect(throws: KafkaError.self) { try await connection.send(MetadataRequest(), version: 12) }
    #expect(error?.code == .authenticationFailed)
    #expect(error?.message.contains("user is gone") == true)
    await broker.stop()
  }

  // MARK: Configuration

  @Test func `secrets are in no description`() throws {
    var configuration = try ClientConfiguration(bootstrapServers: "localhost")
    configuration.tls = TLSSettings(
      identity: .init(certificates: .file("a.pem"), privateKey: .text("hush-key"), password: "hush-password"))
    let methods: [SASL] = [
      .plain(username: "u", password: "hush-plain"), .scramSHA256(username: "u", password: "hush-scram"),
      .scramSHA512(username: "u", password: "hush-scram"), .oauthBearer { OAuthBearerToken("hush-token") },
    ]
    for sasl in methods {
      configuration.sasl = sasl
      var dumped = ""
      dump(configuration, to: &dumped)
      for text in ["\(configuration)", String(reflecting: configuration), dumped, "\(sasl)"] {
        #expect(!text.contains("hush"))
      }
    }
    var dumped = ""
    dump(OAuthBearerToken("hush", extensions: ["a": "hush"]), to: &dumped)
    #expect(!dumped.contains("hush"))
  }

  #if !TLS
    @Test func `without the trait TLS what needs it says so`() async throws {
      var configuration = try ClientConfiguration(bootstrapServers: "localhost:1")
      configuration.tls = TLSSettings()
      let error = await #expect(throws: KafkaError.self) { try await Cluster.connect(configuration) }
      #expect(error?.code == .configuration)
      #expect(error?.message.contains("trait TLS") == true)

      let broker = try await SASLBroker(offers: ["SCRAM-SHA-256"]) { _, _ in SASLBroker.accepted() }
      let refused = await refusal(broker, .scramSHA256(username: "u", password: "p"))
      #expect(refused?.code == .configuration)
      #expect(refused?.message.contains("trait TLS") == true)
      await broker.stop()
    }
  #else
    @Test func `SCRAM ends when both sides have proved that they know the password`() async throws {
      let first = Mutex("")
      let broker = try await SASLBroker(offers: ["SCRAM-SHA-512"]) { bytes, round in
        let text = String(decoding: bytes, as: UTF8.self)
        return first.withLock { first in
          if round == 0 {
            first = "\(text.dropFirst(3)),r=\(text.split(separator: ",r=")[1])server,s=AQIDBA==,i=4096"
            return SaslAuthenticateResponse(
              authBytes: ByteBuffer(string: first.split(separator: ",").dropFirst(2).joined(separator: ",")))
          }
          let parts = text.split(separator: ",p=").map(String.init)
          let digest = CryptoDigest<SHA512>.self
          let message = Array("\(first),\(parts[0])".utf8)
          let salted = SCRAMExchange<CryptoDigest<SHA512>>.hi(
            Array("pencil".utf8), salt: [1, 2, 3, 4], iterations: 4096)
          let clientKey = digest.hmac(key: salted)(Array("Client Key".utf8))
          let signature = digest.hmac(key: digest.hash(clientKey))(message)
          guard Base64.decode(parts[1]) == zip(clientKey, signature).map({ $0 ^ $1 }) else {
            return SASLBroker.refusal("the proof is wrong")
          }
          let serverKey = digest.hmac(key: salted)(Array("Server Key".utf8))
          return SaslAuthenticateResponse(
            authBytes: ByteBuffer(string: "v=\(Base64.encode(digest.hmac(key: serverKey)(message)))"))
        }
      }
      let connection = try await broker.connect(.scramSHA512(username: "user", password: "pencil"))
      #expect(try await connection.send(MetadataRequest(), version: 12).controllerId == 7)
      connection.close()
      let error = await refusal(broker, .scramSHA512(username: "user", password: "pen"))
      #expect(error?.message.contains("the proof is wrong") == true)
      await broker.stop()
    }

    @Test func `SCRAM is not finished before the broker has proved itself`() async throws {
      let broker = try await SASLBroker(offers: ["SCRAM-SHA-256"]) { bytes, round in
        let nonce = String(decoding: bytes, as: UTF8.self).split(separator: ",r=").last ?? ""
        return SaslAuthenticateResponse(
          authBytes: ByteBuffer(string: round == 0 ? "r=\(nonce)x,s=AQIDBA==,i=4096" : "v=AQIDBA=="))
      }
      let error = await refusal(broker, .scramSHA256(username: "u", password: "p"))
      #expect(error?.code == .authenticationFailed)
      #expect(error?.message.contains("could not prove") == true)
      await broker.stop()
    }
  #endif
}
