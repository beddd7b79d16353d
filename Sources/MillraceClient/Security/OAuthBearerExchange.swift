// OAUTHBEARER (RFC 7628, section 3), with Kafka's extensions (KIP-342). ^A is the byte 0x01.
//
//    client  n,,^Aauth=Bearer TOKEN^Aname=value^A…^A^A
//    broker  (empty)                       accepted
//            {"status":"invalid_token"…}   refused, on which the client sends ^A and the broker ends it with an error

struct OAuthBearerExchange: SASLExchange {
  private static let separator: UInt8 = 0x01

  private let token: OAuthBearerToken
  /// What the broker said when it refused the token.
  private var refusal: String?

  init(_ token: OAuthBearerToken) {
    self.token = token
  }

  mutating func start() throws(SASLFailure) -> [UInt8] {
    guard Self.isToken(token.value) else {
      throw .unusable("the token is not one: letters, digits and -._~+/ are expected, then any number of =")
    }
    var message = Array("n,,".utf8)
    func append(_ name: String, _ value: String) {
      message.append(Self.separator)
      message += "\(name)=\(value)".utf8
    }
    append("auth", "Bearer \(token.value)")
    for (name, value) in token.extensions.sorted(by: { $0.key < $1.key }) {
      guard !name.isEmpty, name != "auth", name.utf8.allSatisfy(Self.isLetter) else {
        throw .unusable("'\(name)' is no name for an extension: letters are expected, and not 'auth'")
      }
      guard value.utf8.allSatisfy(Self.isExtensionByte) else {
        throw .unusable("the value of extension '\(name)' has a character that is not printable ASCII")
      }
      append(name, value)
    }
    return message + [Self.separator, Self.separator]
  }

  mutating func answered(_ answer: [UInt8]) throws(SASLFailure) -> SASLStep {
    if let refusal { throw .refused(refusal) }
    guard !answer.isEmpty else { return .finished }
    refusal = quoted(fromBroker: String(decoding: answer, as: UTF8.self))
    return .send([Self.separator])
  }

  /// `b64token` of RFC 6750.
  private static func isToken(_ text: String) -> Bool {
    let body = text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }
    return !body.isEmpty && body.allSatisfy { isLetter($0) || "0123456789-._~+/".utf8.contains($0) }
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }

  private static func isExtensionByte(_ byte: UInt8) -> Bool {
    (0x20...0x7E).contains(byte) || byte == 0x09 || byte == 0x0A || byte == 0x0D
  }
}
