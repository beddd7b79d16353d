// The client's side of a SASL mechanism as a state machine: bytes in, bytes out, no sockets. What carries them is
// `Authentication`.

protocol SASLExchange: Sendable {
  /// The first bytes that the client sends.
  mutating func start() throws(SASLFailure) -> [UInt8]
  /// What follows on the broker's answer to the bytes before.
  mutating func answered(_ answer: [UInt8]) throws(SASLFailure) -> SASLStep
}

enum SASLStep: Equatable {
  case send([UInt8])
  /// The broker has accepted the client, and the client the broker.
  case finished
}

/// Why an exchange cannot go on. Nothing in it is secret.
enum SASLFailure: Error, Equatable, CustomStringConvertible {
  /// The client's own configuration cannot be put into the mechanism's messages.
  case unusable(String)
  /// The broker's message does not follow the mechanism.
  case malformed(String)
  /// The broker said no within the mechanism.
  case refused(String)
  /// What the broker asks for is more, or less, than a client should do.
  case iterations(String, allowed: ClosedRange<Int>)
  /// The broker answered another client's message.
  case foreignNonce
  /// The broker does not know the password itself.
  case wrongServerSignature

  var description: String {
    switch self {
    case .unusable(let why): why
    case .malformed(let what): "the broker's message does not follow the mechanism: \(what)"
    case .refused(let reason): "the broker refused it: \(reason)"
    case .iterations(let asked, let allowed):
      "the broker asks for \(asked) iterations; \(allowed.lowerBound) to \(allowed.upperBound) are allowed"
    case .foreignNonce: "the broker's nonce does not begin with the client's"
    case .wrongServerSignature: "the broker could not prove that it knows the password"
    }
  }
}

/// The broker's words as part of a sentence: one short line.
func quoted(fromBroker text: some StringProtocol) -> String {
  let limit = 300
  let shown = text.unicodeScalars.lazy.filter { $0.value >= 0x20 && $0.value != 0x7F }.prefix(limit)
  return String(String.UnicodeScalarView(shown))
}
