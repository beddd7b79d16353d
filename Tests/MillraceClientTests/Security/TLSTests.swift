// Connections over TLS to a scripted broker, whose end of TLS is NIOSSL's as well.

#if TLS
  import MillraceProtocol
  import NIOCore
  import NIOSSL
  import Testing

  @testable import MillraceClient

  @Suite("TLS on a connection")
  struct TLSTests {
    private static let authority = TLSSettings.PEM.text(TestCertificates.authority)
    /// Connections go to 127.0.0.1, which the certificate does not know.
    private static let trusting = TLSSettings(trustRoots: [authority], serverName: "localhost")
    private static let identity = TLSSettings.Identity(
      certificates: .text(TestCertificates.client), privateKey: .text(TestCertificates.clientKey))

    private func broker(
      _ certificate: String = TestCertificates.localhost, asksForCertificates: Bool = false
    ) async throws -> ScriptedBroker {
      var configuration = TLSConfiguration.makeServerConfiguration(
        certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8))
          .map { .certificate($0) },
        privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(TestCertificates.brokerKey.utf8), format: .pem)))
      if asksForCertificates {
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates(
          try NIOSSLCertificate.fromPEMBytes(Array(TestCertificates.authority.utf8)))
      }
      let context = try NIOSSLContext(configuration: configuration)
      return try await ScriptedBroker(
        makingScripts: {
          { _, key, version, id in
            key == .apiVersions
              ? ScriptedBroker.encode(ScriptedBroker.versions, version, id)
              : ScriptedBroker.encode(MetadataResponse(controllerId: 7), version, id)
          }
        },
        secure: { try $0.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context)) })
    }

    private func ask(_ broker: ScriptedBroker, _ tls: TLSSettings?) async throws(KafkaError) -> Int32 {
      var configuration = broker.configuration
      configuration.requestTimeout = .seconds(60)
      configuration.connectTimeout = .seconds(60)
      configuration.tls = tls
      let connection = try await Connection.open(to: configuration.bootstrapServers[0], configuration)
      defer { connection.close() }
      return try await connection.send(MetadataRequest(), version: 12).controllerId
    }

    private func refusal(_ broker: ScriptedBroker, _ tls: TLSSettings?) async -> KafkaError? {
      await #expect(throws: KafkaError.self) { try await ask(broker, tls) }
    }

    @Test func `a broker whose authority is trusted is asked`() async throws {
      let broker = try await broker()
      #expect(try await ask(broker, Self.trusting) == 7)
      await broker.stop()
      let byAddress = try await self.broker(TestCertificates.loopbackAddress)
      #expect(try await ask(byAddress, TLSSettings(trustRoots: [Self.authority])) == 7)
      await byAddress.stop()
    }

    @Test func `a broker whose authority is not trusted is not, and that is final`() async throws {
      let broker = try await broker()
      for roots in [[.text(TestCertificates.otherAuthority)], []] as [[TLSSettings.PEM]] {
        for verification in [TLSSettings.Verification.full, .chainOnly] {
          let error = await refusal(
            broker, TLSSettings(trustRoots: roots, verification: verification, serverName: "localhost"))
          #expect(error?.code == .authenticationFailed)
          #expect(error?.isRetriable == false)
          #expect(error?.message.contains("certificate is not trusted") == true)
        }
      }
      #expect(try await ask(broker, TLSSettings(verification: .none)) == 7)
      await broker.stop()
    }

    @Test func `a certificate for another host is not accepted, unless hosts are not to be compared`() async throws {
      let broker = try await broker()
      for name in [nil, "other.example"] {
        let error = await refusal(broker, TLSSettings(trustRoots: [Self.authority], serverName: name))
        #expect(error?.code == .authenticationFailed)
        #expect(error?.message.contains("another host name") == true)
      }
      let lax = TLSSettings(trustRoots: [Self.authority], verification: .chainOnly, serverName: "other.example")
      #expect(try await ask(broker, lax) == 7)
      await broker.stop()
    }

    @Test func `a broker that asks for a certificate gets the client's`() async throws {
      let broker = try await broker(asksForCertificates: true)
      var settings = Self.trusting
      settings.identity = Self.identity
      #expect(try await ask(broker, settings) == 7)
      settings.identity = TLSSettings.Identity(
        certificates: .text(TestCertificates.client), privateKey: .text(TestCertificates.encryptedClientKey),
        password: TestCertificates.clientKeyPassword)
      #expect(try await ask(broker, settings) == 7)
      await broker.stop()
    }

    @Test func `a broker that asks for a certificate and gets none is an error that says which setting`() async throws {
      let broker = try await broker(asksForCertificates: true)
      let error = await refusal(broker, Self.trusting)
      #expect(error?.message.contains("ssl.keystore.location") == true)
      await broker.stop()
    }

    @Test func `a client without TLS at a port for TLS does not wait for an answer`() async throws {
      let broker = try await broker()
      #expect(await refusal(broker, nil) != nil)
      await broker.stop()
    }

    @Test func `a port without TLS is an error that says so`() async throws {
      let broker = try await ScriptedBroker { _, _, _, _ in nil }
      let error = await refusal(broker, Self.trusting)
      #expect(error?.message.contains("TLS with") == true)
      await broker.stop()
    }

    @Test func `files that cannot be used are named when the client is made`() async throws {
      let key = TLSSettings.PEM.text(TestCertificates.encryptedClientKey)
      let certificate = TLSSettings.PEM.text(TestCertificates.client)
      let settings: [(TLSSettings, String)] = [
        (TLSSettings(trustRoots: [.file("/nowhere/ca.pem")]), "/nowhere/ca.pem"),
        (TLSSettings(trustRoots: [.text("no PEM")]), "trusted certificates"),
        (TLSSettings(identity: .init(certificates: certificate, privateKey: .file("/nowhere/key"))), "/nowhere/key"),
        (TLSSettings(identity: .init(certificates: certificate, privateKey: key, password: "wrong")), "password"),
        (TLSSettings(identity: .init(certificates: certificate, privateKey: key)), "password"),
        (
          TLSSettings(
            identity: .init(certificates: certificate, privateKey: .text(TestCertificates.brokerKey))),
          "does the key belong to the certificate"
        ),
      ]
      for (tls, part) in settings {
        var configuration = try ClientConfiguration(bootstrapServers: "localhost:1")
        configuration.tls = tls
        let error = await #expect(throws: KafkaError.self) { try await Cluster.connect(configuration) }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("BEGIN") == false)
      }
    }
  }
#endif
