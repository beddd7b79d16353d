// How TLS and SASL are asked for in a properties file, by Kafka's keys and by librdkafka's.

import MillraceClient
import Testing

@testable import MillraceCLI

@Suite("security.protocol, ssl and sasl")
struct ClientSecurityTests {
  private func client(_ settings: [String: String]) throws -> ClientConfiguration {
    var properties = ClientProperties(clientId: "test")
    for (name, value) in settings { properties.set(name, value, origin: "client.properties:1") }
    return try properties.client()
  }

  private func refusal(_ settings: [String: String]) -> String {
    let error = #expect(throws: (any Error).self) { try client(settings) }
    return error.map { "\($0)" } ?? ""
  }

  @Test func `without a protocol nothing is encrypted and nobody is asked`() throws {
    for settings in [[:], ["security.protocol": "PLAINTEXT", "ssl.truststore.type": "JKS"]] {
      let client = try client(settings)
      #expect(client.tls == nil && client.sasl == nil)
    }
  }

  @Test func `Kafka's keys`() throws {
    let tls = try #require(
      try client([
        "security.protocol": "SSL", "ssl.truststore.type": "PEM", "ssl.truststore.location": "ca.pem",
        "ssl.keystore.type": "PEM", "ssl.keystore.location": "orders.pem", "ssl.key.password": "pw",
      ]).tls)
    #expect(tls.trustRoots == [.file("ca.pem")])
    #expect(tls.identity?.certificates == .file("orders.pem"))
    #expect(tls.identity?.privateKey == .file("orders.pem"))
    #expect(tls.identity?.password == "pw")
    #expect(tls.verification == .full)
  }

  @Test func `librdkafka's keys`() throws {
    let tls = try #require(
      try client([
        "security.protocol": "ssl", "ssl.ca.location": "ca.pem", "ssl.certificate.location": "orders.pem",
        "ssl.key.location": "orders.key", "enable.ssl.certificate.verification": "false",
      ]).tls)
    #expect(tls.trustRoots == [.file("ca.pem")])
    #expect(tls.identity?.certificates == .file("orders.pem"))
    #expect(tls.identity?.privateKey == .file("orders.key"))
    #expect(tls.verification == .none)
  }

  @Test(arguments: ["", "none"])
  func `host names are compared unless that is switched off`(_ algorithm: String) throws {
    let tls = try client(["security.protocol": "SSL", "ssl.endpoint.identification.algorithm": algorithm]).tls
    #expect(tls?.verification == .chainOnly)
  }

  @Test(arguments: [
    ["ssl.truststore.type": "JKS"], ["ssl.truststore.location": "trust.jks"], ["ssl.keystore.type": "PKCS12"],
    ["ssl.keystore.location": "key.p12"],
  ])
  func `Java's stores are refused with what to do`(_ settings: [String: String]) {
    let message = refusal(settings.merging(["security.protocol": "SSL"]) { given, _ in given })
    #expect(message.contains("PEM"))
  }

  @Test func `half an identity is an error`() {
    #expect(refusal(["security.protocol": "SSL", "ssl.key.location": "k"]).contains("ssl.certificate.location"))
    #expect(refusal(["security.protocol": "SSL", "ssl.certificate.location": "c"]).contains("ssl.key.location"))
  }

  @Test func `PEM on one line gets its lines back`() {
    let body = String(repeating: "A", count: 100)
    #expect(
      PEMText.withLines("-----BEGIN CERTIFICATE----- \(body) -----END CERTIFICATE-----")
        == "-----BEGIN CERTIFICATE-----\n\(body.prefix(64))\n\(body.dropFirst(64))\n-----END CERTIFICATE-----\n")
    let old = """
      -----BEGIN EC PRIVATE KEY-----
      Proc-Type: 4,ENCRYPTED
      DEK-Info: AES-256-CBC,00

      AAAA
      -----END EC PRIVATE KEY-----

      """
    #expect(PEMText.withLines(old) == old)
  }

  // MARK: SASL

  @Test(arguments: ["sasl.mechanism", "sasl.mechanisms"], ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
  func `a user and a password`(_ key: String, _ mechanism: String) throws {
    let sasl = try client([
      "security.protocol": "SASL_PLAINTEXT", key: mechanism, "sasl.username": "alice", "sasl.password": "pw",
    ]).sasl
    #expect(sasl.map { "\($0)" } == "\(mechanism) as 'alice'")
  }

  @Test func `a login module`() throws {
    let client = try client([
      "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
      "sasl.jaas.config": """
      org.apache.kafka.common.security.scram.ScramLoginModule required
        username="alice" password="a \\"b\\" = c;";
      """,
    ])
    #expect(client.sasl.map { "\($0)" } == "SCRAM-SHA-512 as 'alice'")
    #expect(client.tls != nil)
  }

  @Test func `the options of a login module`() throws {
    let entry = try JAASEntry(#"a.b.PlainLoginModule  required username='x' password="p\\\"; =" user_x=y ;"#)
    #expect(entry.module == "a.b.PlainLoginModule")
    #expect(entry.options == ["username": "x", "password": #"p\"; ="#, "user_x": "y"])
  }

  @Test(arguments: [
    "", "PlainLoginModule", "PlainLoginModule needed username=x;", "PlainLoginModule required username=x",
    #"PlainLoginModule required username="x;"#, "PlainLoginModule required username;",
    "PlainLoginModule required =x;",
  ])
  func `a login module that cannot be read is refused`(_ text: String) {
    #expect(throws: JAASEntry.Failure.self) { try JAASEntry(text) }
  }

  @Test(arguments: [
    [:], ["sasl.mechanism": "GSSAPI"], ["sasl.mechanism": "OAUTHBEARER"],
    ["sasl.mechanism": "PLAIN"], ["sasl.mechanism": "PLAIN", "sasl.username": "x"],
    ["sasl.mechanism": "PLAIN", "sasl.jaas.config": #"ScramLoginModule required username="x" password="hush";"#],
    ["sasl.mechanism": "PLAIN", "sasl.jaas.config": #"PlainLoginModule required password="hush";"#],
  ])
  func `what is missing or does not fit is named, and no secret with it`(_ settings: [String: String]) {
    let message = refusal(settings.merging(["security.protocol": "SASL_PLAINTEXT"]) { given, _ in given })
    #expect(message.contains("sasl") || message.contains("SASL"))
    #expect(!message.contains("hush"))
  }
}
