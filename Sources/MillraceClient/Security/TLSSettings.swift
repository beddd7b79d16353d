// What a client needs for TLS, without a type of the library that does it: the settings are there with every trait.

/// How connections to brokers are encrypted (`security.protocol` SSL and SASL_SSL).
///
/// Without any setting the broker's certificate must come from an authority that the system trusts, for the host name
/// that the client connects to. TLS 1.2 and 1.3 are spoken.
///
/// ```swift
/// configuration.tls = TLSSettings(
///   trustRoots: [.file("ca.pem")],
///   identity: .init(certificates: .file("orders.pem"), privateKey: .file("orders.key")))
/// ```
///
/// Needs the package trait `TLS`; without it a client with these settings is not made, with a ``KafkaError`` that says
/// so. Files are read when a client is made. All are PEM; Java's key stores (JKS, PKCS#12) can be converted with
/// `keytool` and `openssl pkcs12`. A certificate that is not accepted, by either side, is a ``KafkaError`` with the code
/// `.authenticationFailed`, which is not retriable.
public struct TLSSettings: Sendable {
  /// Certificates or a key in PEM.
  public enum PEM: Sendable, Equatable {
    /// The path of a file.
    case file(String)
    /// The text itself.
    case text(String)
  }

  /// What is asked of the broker's certificate.
  public enum Verification: Sendable {
    /// A chain to a trusted authority, and the host's name (`ssl.endpoint.identification.algorithm=https`).
    case full
    /// A chain to a trusted authority, for whatever host (`ssl.endpoint.identification.algorithm=`).
    case chainOnly
    /// Nothing: whoever is on the way can read and change everything. For tests.
    case none
  }

  /// Who the client is, for brokers that ask for a certificate (`ssl.client.auth`).
  public struct Identity: Sendable {
    /// The client's certificate, then those between it and the authority (`ssl.keystore.certificate.chain`).
    public var certificates: PEM
    /// The key of the first certificate (`ssl.keystore.key`).
    public var privateKey: PEM
    /// What the key is encrypted with (`ssl.key.password`).
    public var password: String?

    /// A certificate and its key; `password` if the key is encrypted.
    public init(certificates: PEM, privateKey: PEM, password: String? = nil) {
      self.certificates = certificates
      self.privateKey = privateKey
      self.password = password
    }
  }

  /// The authorities to trust; none stands for those that the system trusts (`ssl.truststore.location`).
  public var trustRoots: [PEM]
  /// The client's own certificate; nil when brokers ask for none.
  public var identity: Identity?
  /// What is asked of the broker's certificate.
  public var verification: Verification
  /// The name that is asked for (SNI) and looked for in the certificate of every broker, instead of its host.
  public var serverName: String?

  /// Settings; by default the system's authorities, and no certificate of the client's own.
  public init(
    trustRoots: [PEM] = [], identity: Identity? = nil, verification: Verification = .full, serverName: String? = nil
  ) {
    self.trustRoots = trustRoots
    self.identity = identity
    self.verification = verification
    self.serverName = serverName
  }
}

extension TLSSettings.PEM: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String {
    switch self {
    case .file(let path): path
    case .text(let text): "PEM text of \(text.utf8.count) bytes"
    }
  }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: []) }
}

extension TLSSettings.Identity: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "certificates \(certificates), key \(privateKey)" }
  public var debugDescription: String { "Identity(\(description))" }
  public var customMirror: Mirror { Mirror(self, children: ["certificates": certificates, "privateKey": privateKey]) }
}
