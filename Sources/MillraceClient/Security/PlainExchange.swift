// PLAIN (RFC 4616):   [authzid] NUL authcid NUL passwd   and an empty answer.

struct PlainExchange: SASLExchange {
  private let credentials: SASL.Credentials

  init(_ credentials: SASL.Credentials) {
    self.credentials = credentials
  }

  mutating func start() throws(SASLFailure) -> [UInt8] {
    for (what, text) in [("user name", credentials.username), ("password", credentials.password)] {
      guard !text.isEmpty else { throw .unusable("the \(what) is empty") }
      guard !text.utf8.contains(0) else { throw .unusable("the \(what) has a NUL character in it") }
    }
    return [0] + credentials.username.utf8 + [0] + credentials.password.utf8
  }

  /// What brokers say in their answer has no meaning in PLAIN; an error comes in Kafka's own field.
  mutating func answered(_ answer: [UInt8]) -> SASLStep { .finished }
}
