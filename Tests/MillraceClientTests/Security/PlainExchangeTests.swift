import Testing

@testable import MillraceClient

@Suite("SASL PLAIN")
struct PlainExchangeTests {
  private func start(_ username: String, _ password: String) throws -> [UInt8] {
    var exchange = PlainExchange(SASL.Credentials(username: username, password: password))
    return try exchange.start()
  }

  @Test func `the example of RFC 4616`() throws {
    #expect(try start("tim", "tanstaaftanstaaf") == Array("\0tim\0tanstaaftanstaaf".utf8))
  }

  @Test func `names and passwords are UTF-8`() throws {
    #expect(try start("zoë", "pä,=ss") == Array("\0zoë\0pä,=ss".utf8))
  }

  @Test func `whatever the broker answers without an error is the end`() throws {
    var exchange = PlainExchange(SASL.Credentials(username: "a", password: "b"))
    _ = try exchange.start()
    #expect(exchange.answered([]) == .finished)
  }

  @Test(arguments: [("", "p"), ("u", ""), ("u\0v", "p"), ("u", "p\0")])
  func `what cannot be told apart in the message is refused`(_ username: String, _ password: String) {
    #expect(throws: SASLFailure.self) { try start(username, password) }
  }
}
