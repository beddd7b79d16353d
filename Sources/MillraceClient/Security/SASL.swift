// How a client proves who it is: the mechanism and what it needs. Secrets are in here, so nothing of them is shown by
// describing, reflecting or dumping a configuration.

/// How a client authenticates itself to brokers (`sasl.mechanism` with `sasl.jaas.config`).
///
/// ```swift
/// var configuration = try ClientConfiguration(bootstrapServers: "broker.example:9093")
/// configuration.tls = TLSSettings()
/// configuration.sasl = .scramSHA512(username: "orders", password: password)
/// ```
///
/// Every connection authenticates itself once when it is made. A broker may limit how long that holds
/// (`connections.max.reauth.ms`): the connection then authenticates itself anew between two requests, after 85 to 95 %
/// of that time, and stays open (KIP-368).
///
/// A refusal is a ``KafkaError`` with the code `.authenticationFailed`, which is not retriable. Without
/// ``ClientConfiguration/tls`` whoever listens on the way can read a password of `.plain` and a token of `.oauthBearer`.
public struct SASL: Sendable {
  struct Credentials: Sendable {
    var username: String
    var password: String
  }

  enum Method: Sendable {
    case plain(Credentials)
    case scramSHA256(Credentials)
    case scramSHA512(Credentials)
    case oauthBearer(@Sendable () async throws -> OAuthBearerToken)
  }

  let method: Method

  /// PLAIN (RFC 4616): the broker is told the password itself.
  public static func plain(username: String, password: String) -> SASL {
    SASL(method: .plain(Credentials(username: username, password: password)))
  }

  /// SCRAM-SHA-256 (RFC 5802, RFC 7677): both sides prove that they know the password without telling it.
  ///
  /// Needs the package trait `TLS`.
  public static func scramSHA256(username: String, password: String) -> SASL {
    SASL(method: .scramSHA256(Credentials(username: username, password: password)))
  }

  /// SCRAM-SHA-512: as ``scramSHA256(username:password:)`` with a larger hash.
  ///
  /// Needs the package trait `TLS`.
  public static func scramSHA512(username: String, password: String) -> SASL {
    SASL(method: .scramSHA512(Credentials(username: username, password: password)))
  }

  /// OAUTHBEARER (RFC 7628, KIP-255): the broker is shown a token that somebody it trusts has issued.
  ///
  /// - Parameter token: provides the token. It is called for every connection, each time that it authenticates itself,
  ///   and several connections may call it at the same time: keep the token as long as it is valid. It must answer
  ///   within ``ClientConfiguration/requestTimeout``. What it throws is shown in the error, so it should hold no secret;
  ///   the client tries again after it.
  public static func oauthBearer(_ token: @escaping @Sendable () async throws -> OAuthBearerToken) -> SASL {
    SASL(method: .oauthBearer(token))
  }

  /// The mechanism's name, as in `SCRAM-SHA-256`.
  public var mechanism: String {
    switch method {
    case .plain: "PLAIN"
    case .scramSHA256: "SCRAM-SHA-256"
    case .scramSHA512: "SCRAM-SHA-512"
    case .oauthBearer: "OAUTHBEARER"
    }
  }

  /// Who it says to be, where the configuration says that.
  var username: String? {
    switch method {
    case .plain(let credentials), .scramSHA256(let credentials), .scramSHA512(let credentials): credentials.username
    case .oauthBearer: nil
    }
  }
}

extension SASL: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { username.map { "\(mechanism) as '\($0)'" } ?? mechanism }
  public var debugDescription: String { "SASL(\(description))" }
  public var customMirror: Mirror { Mirror(self, children: ["mechanism": mechanism]) }
}
