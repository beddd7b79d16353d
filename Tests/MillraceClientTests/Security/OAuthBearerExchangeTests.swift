import Testing

@testable import MillraceClient

@Suite("SASL OAUTHBEARER")
struct OAuthBearerExchangeTests {
  /// Of RFC 7628, section 4.
  private static let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="

  private func start(_ token: String, _ extensions: [String: String] = [:]) throws -> String {
    var exchange = OAuthBearerExchange(OAuthBearerToken(token, extensions: extensions))
    return String(decoding: try exchange.start(), as: UTF8.self)
  }

  @Test func `the token goes in the form of RFC 7628`() throws {
    #expect(try start(Self.token) == "n,,\u{1}auth=Bearer \(Self.token)\u{1}\u{1}")
  }

  @Test func `extensions follow the token`() throws {
    #expect(
      try start("t", ["traceId": "1 2", "logicalCluster": "lkc-1"])
        == "n,,\u{1}auth=Bearer t\u{1}logicalCluster=lkc-1\u{1}traceId=1 2\u{1}\u{1}")
  }

  @Test func `an empty answer accepts it`() throws {
    var exchange = OAuthBearerExchange(OAuthBearerToken(Self.token))
    _ = try exchange.start()
    #expect(try exchange.answered([]) == .finished)
  }

  @Test func `a refusal is confirmed with one byte, and stays a refusal whatever follows`() throws {
    var exchange = OAuthBearerExchange(OAuthBearerToken(Self.token))
    _ = try exchange.start()
    let error = #"{"status":"invalid_token","scope":"example_scope"}"#
    #expect(try exchange.answered(Array(error.utf8)) == .send([1]))
    #expect(throws: SASLFailure.refused(error)) { try exchange.answered([]) }
  }

  @Test(arguments: ["", "=", "a b", "a\u{1}b", "a,b", "tökén", "a=b"])
  func `a token that is none is not sent`(_ token: String) {
    #expect(throws: SASLFailure.self) { try start(token) }
  }

  @Test(arguments: [("auth", "x"), ("", "x"), ("a b", "x"), ("a1", "x"), ("a", "x\u{1}y"), ("a", "ä")])
  func `an extension that would be read as something else is not sent`(_ name: String, _ value: String) {
    #expect(throws: SASLFailure.self) { try start("t", [name: value]) }
  }
}
