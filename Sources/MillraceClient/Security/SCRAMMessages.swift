// What SCRAM's messages are made of and how they are read: nothing here needs the hash.

enum SCRAM {
  /// Kafka's brokers ask for 4096 to 16384; less is too weak, and much more is an attack on the client's processor.
  static let iterations = 4096...131_072
  /// The longest message of a broker that is read.
  static let messageBytesMax = 4096
  /// The header of a client that does not bind the exchange to its TLS channel.
  static let noBinding = "n,,"

  struct ServerFirst: Equatable {
    var nonce: String
    var salt: [UInt8]
    var iterations: Int

    init(_ text: String, clientNonce: String) throws(SASLFailure) {
      let parts = text.split(separator: ",", omittingEmptySubsequences: false)
      if let error = value("e", of: parts.first) { throw .refused(quoted(fromBroker: error)) }
      if value("m", of: parts.first) != nil { throw .malformed("it asks for an extension that is not known") }
      guard parts.count >= 3, let nonce = value("r", of: parts[0]), let salt = value("s", of: parts[1]),
        let iterations = value("i", of: parts[2])
      else { throw .malformed("r=…,s=…,i=… is expected") }
      guard nonce.hasPrefix(clientNonce), nonce.utf8.count > clientNonce.utf8.count else { throw .foreignNonce }
      guard let salt = Base64.decode(String(salt)), !salt.isEmpty else { throw .malformed("the salt is not Base64") }
      guard !iterations.isEmpty, iterations.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains) else {
        throw .malformed("the iteration count is not a number")
      }
      guard let count = Int(iterations), SCRAM.iterations.contains(count) else {
        throw .iterations(String(iterations.prefix(20)), allowed: SCRAM.iterations)
      }
      self.nonce = String(nonce)
      self.salt = salt
      self.iterations = count
    }
  }

  /// The signature in the broker's last message.
  static func serverSignature(in text: String) throws(SASLFailure) -> [UInt8] {
    let first = text.split(separator: ",", omittingEmptySubsequences: false).first
    if let error = value("e", of: first) { throw .refused(quoted(fromBroker: error)) }
    guard let signature = value("v", of: first).flatMap({ Base64.decode(String($0)) }) else {
      throw .malformed("v=… is expected")
    }
    return signature
  }

  static func text(_ bytes: [UInt8]) throws(SASLFailure) -> String {
    guard bytes.count <= messageBytesMax else { throw .malformed("it is longer than \(messageBytesMax) bytes") }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw .malformed("it is not UTF-8") }
    return text
  }

  /// A name or password as it is used. SASLprep (RFC 4013) leaves printable ASCII as it is and forbids control
  /// characters. What it would map of all other characters stays as it was written, as UTF-8: Kafka's brokers and
  /// clients do the same, and both sides have to agree.
  static func prepared(_ text: String, _ what: String) throws(SASLFailure) -> String {
    guard !text.isEmpty else { throw .unusable("the \(what) is empty") }
    guard text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
      throw .unusable("the \(what) has a control character in it")
    }
    return text
  }

  /// `saslname`: commas separate attributes, and an equals sign begins an escape.
  static func escaped(_ name: String) -> String {
    var escaped = ""
    for scalar in name.unicodeScalars {
      switch scalar {
      case ",": escaped += "=2C"
      case "=": escaped += "=3D"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  /// 32 random bytes as printable text without commas.
  static func nonce(using generator: inout some RandomNumberGenerator) -> String {
    Base64.encode((0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
  }

  /// What stands after `name=`.
  private static func value(_ name: String, of attribute: Substring?) -> Substring? {
    guard let attribute, attribute.hasPrefix("\(name)=") else { return nil }
    return attribute.dropFirst(name.count + 1)
  }
}
