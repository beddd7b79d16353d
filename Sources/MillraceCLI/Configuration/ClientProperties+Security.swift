// How a client reaches its brokers safely, from Kafka's keys (`security.protocol`, `ssl.*`, `sasl.*`) and librdkafka's
// names for the same (`ssl.ca.location`, `ssl.certificate.location`, `ssl.key.location`, `sasl.mechanisms`,
// `sasl.username`, `sasl.password`). Stores are PEM (KIP-651): Java's own formats are not read.
import MillraceClient

extension ClientProperties {
  /// Their values are shown nowhere.
  static let secrets: Set<String> = [
    "sasl.password", "sasl.jaas.config", "ssl.key.password", "ssl.key.pem", "ssl.keystore.key", "ssl.keystore.password",
    "ssl.truststore.password",
  ]

  func secure(_ client: inout ClientConfiguration) throws {
    var isEncrypted = false
    var authenticates = false
    try choice(
      "security.protocol",
      [
        "plaintext": (false, false), "ssl": (true, false), "sasl_plaintext": (false, true), "sasl_ssl": (true, true),
      ]
    ) { (isEncrypted, authenticates) = $0 }
    if isEncrypted { client.tls = try tls() }
    if authenticates { client.sasl = try sasl() }
  }

  /// The first of several names for one thing that is set.
  private func first(_ names: String...) -> (name: String, setting: Setting)? {
    for name in names {
      if let setting = settings[name] { return (name, setting) }
    }
    return nil
  }

  // MARK: TLS

  private func tls() throws -> TLSSettings {
    var tls = TLSSettings()
    try refuseJavaStore("ssl.truststore")
    try refuseJavaStore("ssl.keystore")
    if let roots = pem(
      file: "ssl.truststore.location", "ssl.ca.location", text: "ssl.truststore.certificates", "ssl.ca.pem")
    {
      tls.trustRoots = [roots]
    }
    tls.identity = try identity()
    try choice(
      "ssl.endpoint.identification.algorithm",
      ["https": TLSSettings.Verification.full, "": .chainOnly, "none": .chainOnly]
    ) { tls.verification = $0 }
    try boolean("enable.ssl.certificate.verification") { if !$0 { tls.verification = .none } }
    return tls
  }

  /// Kafka's key store has the certificates and the key in one file; librdkafka has a file for each.
  private func identity() throws -> TLSSettings.Identity? {
    let certificates = pem(
      file: "ssl.keystore.location", "ssl.certificate.location", text: "ssl.keystore.certificate.chain",
      "ssl.certificate.pem")
    let key = pem(file: "ssl.key.location", "ssl.keystore.location", text: "ssl.keystore.key", "ssl.key.pem")
    switch (certificates, key) {
    case (nil, nil): return nil
    case (let certificates?, let key?):
      return TLSSettings.Identity(certificates: certificates, privateKey: key, password: self["ssl.key.password"])
    case (nil, _): throw Failure(description: "there is a client key, but no certificate (ssl.certificate.location)")
    case (_, nil): throw Failure(description: "there is a client certificate, but no key for it (ssl.key.location)")
    }
  }

  private func pem(file: String..., text: String...) -> TLSSettings.PEM? {
    for name in file {
      if let path = self[name] { return .file(path) }
    }
    for name in text {
      if let value = self[name] { return .text(PEMText.withLines(value)) }
    }
    return nil
  }

  private func refuseJavaStore(_ store: String) throws {
    let advice = "only PEM stores are read: convert it (keytool, openssl pkcs12) and set \(store).type=PEM"
    if let type = settings["\(store).type"], type.value.uppercased() != "PEM" {
      throw failure("\(store).type", type, advice)
    }
    if let location = settings["\(store).location"],
      ["jks", "p12", "pfx", "pkcs12"].contains(where: { location.value.lowercased().hasSuffix(".\($0)") })
    {
      throw failure("\(store).location", location, advice)
    }
  }

  // MARK: SASL

  private func sasl() throws -> SASL {
    guard let (name, mechanism) = first("sasl.mechanism", "sasl.mechanisms") else {
      throw Failure(description: "security.protocol asks for SASL, but sasl.mechanism is not set")
    }
    let make: (String, String) -> SASL
    let module: String
    switch mechanism.value.uppercased() {
    case "PLAIN": (make, module) = (SASL.plain, "PlainLoginModule")
    case "SCRAM-SHA-256": (make, module) = (SASL.scramSHA256, "ScramLoginModule")
    case "SCRAM-SHA-512": (make, module) = (SASL.scramSHA512, "ScramLoginModule")
    case "OAUTHBEARER":
      throw failure(name, mechanism, "tokens come from a program of your own, through the library MillraceClient")
    default: throw failure(name, mechanism, "expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512")
    }
    if let username = self["sasl.username"], let password = self["sasl.password"] { return make(username, password) }
    guard let setting = settings["sasl.jaas.config"] else {
      throw Failure(description: "SASL needs sasl.username and sasl.password, or sasl.jaas.config")
    }
    do throws(JAASEntry.Failure) {
      let entry = try JAASEntry(setting.value)
      guard entry.module.split(separator: ".").last.map(String.init) == module else {
        throw JAASEntry.Failure(description: "\(mechanism.value) goes with \(module), not with \(entry.module)")
      }
      guard let username = entry.options["username"], let password = entry.options["password"] else {
        throw JAASEntry.Failure(description: "username and password are missing in it")
      }
      return make(username, password)
    } catch {
      throw failure("sasl.jaas.config", setting, error.description)
    }
  }
}
