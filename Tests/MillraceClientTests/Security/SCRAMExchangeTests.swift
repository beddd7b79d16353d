// The exchange against a broker that does everything right but one thing. The hash is a toy: what is tested does not
// depend on which one it is, and the real ones are there only with the trait TLS.

import Testing

@testable import MillraceClient

private enum ToyDigest: SCRAMDigest {
  static func hash(_ bytes: [UInt8]) -> [UInt8] {
    let sum = bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return (0..<8).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) }
  }

  static func hmac(key: [UInt8]) -> (_ message: [UInt8]) -> [UInt8] {
    { hash(key + hash(key + $0)) }
  }
}

@Suite("SASL SCRAM")
struct SCRAMExchangeTests {
  private static let salt = Base64.encode([1, 2, 3, 4])

  /// An exchange that waits for the broker's first message.
  private func begun(_ username: String = "user", _ password: String = "pencil") throws -> SCRAMExchange<ToyDigest> {
    var exchange = SCRAMExchange<ToyDigest>(
      SASL.Credentials(username: username, password: password), nonce: "abc")
    _ = try exchange.start()
    return exchange
  }

  /// What a broker that knows the password sends last.
  private func signature(_ serverFirst: String, nonce: String, password: String = "pencil") -> String {
    let salted = SCRAMExchange<ToyDigest>.hi(Array(password.utf8), salt: [1, 2, 3, 4], iterations: 4096)
    let message = "n=user,r=abc,\(serverFirst),c=biws,r=\(nonce)"
    let key = ToyDigest.hmac(key: salted)(Array("Server Key".utf8))
    return "v=" + Base64.encode(ToyDigest.hmac(key: key)(Array(message.utf8)))
  }

  private func answer(_ text: String) throws -> SASLStep {
    var exchange = try begun()
    return try exchange.answered(Array(text.utf8))
  }

  @Test func `a broker that knows the password is believed`() throws {
    var exchange = try begun()
    let first = "r=abcdef,s=\(Self.salt),i=4096"
    guard case .send(let proof) = try exchange.answered(Array(first.utf8)) else {
      Issue.record("a proof was expected")
      return
    }
    #expect(String(decoding: proof, as: UTF8.self).hasPrefix("c=biws,r=abcdef,p="))
    #expect(try exchange.answered(Array(signature(first, nonce: "abcdef").utf8)) == .finished)
    #expect(throws: SASLFailure.self) { try exchange.answered([]) }
  }

  @Test func `a broker that does not know the password is not believed`() throws {
    let first = "r=abcdef,s=\(Self.salt),i=4096"
    let wrong = signature(first, nonce: "abcdef", password: "pencils")
    for last in [wrong, "v=", "v=AA=="] {
      var exchange = try begun()
      _ = try exchange.answered(Array(first.utf8))
      #expect(throws: SASLFailure.wrongServerSignature) { try exchange.answered(Array(last.utf8)) }
    }
    for last in ["", "x", "v", "v=!", "x=\(wrong)", "\u{0}"] {
      var exchange = try begun()
      _ = try exchange.answered(Array(first.utf8))
      let failure = #expect(throws: SASLFailure.self) { try exchange.answered(Array(last.utf8)) }
      #expect(failure != nil && failure != .wrongServerSignature)
    }
  }

  @Test func `the broker's own words are in the refusal`() throws {
    var exchange = try begun()
    _ = try exchange.answered(Array("r=abcdef,s=\(Self.salt),i=4096".utf8))
    #expect(throws: SASLFailure.refused("invalid-proof")) { try exchange.answered(Array("e=invalid-proof".utf8)) }
    #expect(throws: SASLFailure.refused("other-error")) { try answer("e=other-error") }
  }

  @Test(arguments: ["abd", "ab", "xabc", "abc", ""])
  func `a nonce that does not continue the client's is another client's`(_ nonce: String) {
    #expect(throws: SASLFailure.foreignNonce) { try answer("r=\(nonce),s=\(Self.salt),i=4096") }
  }

  @Test(arguments: ["0", "1", "4095", "131073", "2147483648", "99999999999999999999999999"])
  func `neither too few iterations are done nor as many as a hostile broker likes`(_ iterations: String) {
    #expect(throws: SASLFailure.iterations(String(iterations.prefix(20)), allowed: 4096...131_072)) {
      try answer("r=abcd,s=\(Self.salt),i=\(iterations)")
    }
  }

  @Test(arguments: [
    "r=abcd", "r=abcd,s=AQIDBA==", "s=AQIDBA==,r=abcd,i=4096", "r=abcd,s=,i=4096", "r=abcd,s=A,i=4096",
    "r=abcd,s=AQIDBA==,i=", "r=abcd,s=AQIDBA==,i=-4096", "r=abcd,s=AQIDBA==,i=+4096", "r=abcd,s=AQIDBA==,i=4096x",
    "m=extension,r=abcd,s=AQIDBA==,i=4096", ",,,", "",
  ])
  func `a message that does not follow the form is refused`(_ message: String) {
    let failure = #expect(throws: SASLFailure.self) { try answer(message) }
    guard case .malformed = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
  }

  @Test func `every message that breaks off is refused`() throws {
    let whole = Array("r=abcdef,s=\(Self.salt),i=4096".utf8)
    for length in 0..<whole.count {
      var exchange = try begun()
      #expect(throws: SASLFailure.self, "\(length)") { try exchange.answered(Array(whole.prefix(length))) }
    }
  }

  @Test func `bytes that are no text, and more of them than any broker sends, are refused`() throws {
    for bytes in [[0xFF, 0xFE], Array(repeating: UInt8(ascii: "a"), count: SCRAM.messageBytesMax + 1)] as [[UInt8]] {
      var exchange = try begun()
      #expect(throws: SASLFailure.self) { try exchange.answered(bytes) }
    }
  }

  @Test func `extensions after the iterations are passed over`() throws {
    guard case .send = try answer("r=abcd,s=\(Self.salt),i=4096,x=later") else {
      Issue.record("a proof was expected")
      return
    }
  }

  @Test(arguments: [("user", "user"), ("a,b=c", "a=2Cb=3Dc"), ("=2C", "=3D2C"), ("zoë", "zoë")])
  func `commas and equals signs in a name are escaped`(_ username: String, _ escaped: String) throws {
    var exchange = SCRAMExchange<ToyDigest>(SASL.Credentials(username: username, password: "p"), nonce: "abc")
    #expect(try exchange.start() == Array("n,,n=\(escaped),r=abc".utf8))
  }

  @Test(arguments: [("", "p"), ("u", ""), ("u\n", "p"), ("u", "\u{7F}"), ("u\u{85}", "p")])
  func `control characters and nothing at all are refused in a name and a password`(
    _ username: String, _ password: String
  ) {
    #expect(throws: SASLFailure.self) { try begun(username, password) }
  }

  @Test func `a nonce is long, printable and has no comma`() {
    var generator = SplitMix64(seed: 7)
    let nonce = SCRAM.nonce(using: &generator)
    #expect(nonce.utf8.count >= 32)
    #expect(nonce.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ",") })
    #expect(SCRAM.nonce(using: &generator) != nonce)
  }
}
