// What the token provider of OAUTHBEARER hands out.

/// A token that says who the client is, from whoever issues them (OAuth 2.0, RFC 6750).
///
/// ```swift
/// configuration.sasl = .oauthBearer { OAuthBearerToken(try await issuer.currentToken()) }
/// ```
public struct OAuthBearerToken: Sendable {
  /// The token as it is sent, often a signed JWT: letters, digits and `-._~+/`, then any number of `=`.
  public var value: String
  /// What brokers are told beside the token (KIP-342). Names are letters, and not `auth`.
  public var extensions: [String: String]

  /// A token as it was issued.
  public init(_ value: String, extensions: [String: String] = [:]) {
    self.value = value
    self.extensions = extensions
  }
}

extension OAuthBearerToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "token of \(value.utf8.count) bytes, extensions \(extensions.keys.sorted())" }
  public var debugDescription: String { "OAuthBearerToken(\(description))" }
  public var customMirror: Mirror { Mirror(self, children: ["extensions": extensions.keys.sorted()]) }
}
