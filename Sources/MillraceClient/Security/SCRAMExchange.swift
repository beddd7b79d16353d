// SCRAM (RFC 5802, RFC 7677) without channel binding. The hash is a type of its own, so that all but the hash is there
// with every trait.
//
//    client  n,,n=USER,r=NONCE
//    broker  r=NONCE+ITS-OWN,s=SALT,i=ITERATIONS
//    client  c=biws,r=NONCE+ITS-OWN,p=PROOF
//    broker  v=SIGNATURE                          or  e=ERROR
//
// The broker is a stranger until its signature is verified: what it asks for is bounded.

/// The hash of a SCRAM mechanism.
protocol SCRAMDigest {
  static func hash(_ bytes: [UInt8]) -> [UInt8]
  /// HMAC with a key, to be called with any number of messages.
  static func hmac(key: [UInt8]) -> (_ message: [UInt8]) -> [UInt8]
}

struct SCRAMExchange<Digest: SCRAMDigest>: SASLExchange {
  private enum State {
    case first(bare: String)
    case final(serverSignature: [UInt8])
    case over
  }

  private let credentials: SASL.Credentials
  private let nonce: String
  private var state = State.over

  /// - Parameter nonce: printable ASCII without commas that nobody can foretell.
  init(_ credentials: SASL.Credentials, nonce: String) {
    self.credentials = credentials
    self.nonce = nonce
  }

  mutating func start() throws(SASLFailure) -> [UInt8] {
    let user = try SCRAM.prepared(credentials.username, "user name")
    _ = try SCRAM.prepared(credentials.password, "password")
    let bare = "n=\(SCRAM.escaped(user)),r=\(nonce)"
    state = .first(bare: bare)
    return Array("\(SCRAM.noBinding)\(bare)".utf8)
  }

  mutating func answered(_ answer: [UInt8]) throws(SASLFailure) -> SASLStep {
    let state = state
    self.state = .over
    let text = try SCRAM.text(answer)
    switch state {
    case .first(let bare): return .send(try proof(for: SCRAM.ServerFirst(text, clientNonce: nonce), text, after: bare))
    case .final(let serverSignature):
      guard Self.isEqual(try SCRAM.serverSignature(in: text), serverSignature) else { throw .wrongServerSignature }
      return .finished
    case .over: throw .malformed("it goes on after the end")
    }
  }

  private mutating func proof(
    for message: SCRAM.ServerFirst, _ text: String, after bare: String
  ) throws(SASLFailure) -> [UInt8] {
    let salted = Self.hi(Array(credentials.password.utf8), salt: message.salt, iterations: message.iterations)
    let withoutProof = "c=\(Base64.encode(SCRAM.noBinding.utf8)),r=\(message.nonce)"
    let authMessage = Array("\(bare),\(text),\(withoutProof)".utf8)
    let key = Digest.hmac(key: salted)
    let clientKey = key(Array("Client Key".utf8))
    let clientSignature = Digest.hmac(key: Digest.hash(clientKey))(authMessage)
    state = .final(serverSignature: Digest.hmac(key: key(Array("Server Key".utf8)))(authMessage))
    let proof = zip(clientKey, clientSignature).map { $0 ^ $1 }
    return Array("\(withoutProof),p=\(Base64.encode(proof))".utf8)
  }

  /// `Hi()` of RFC 5802: PBKDF2 with a single block.
  static func hi(_ password: [UInt8], salt: [UInt8], iterations: Int) -> [UInt8] {
    let hmac = Digest.hmac(key: password)
    var block = hmac(salt + [0, 0, 0, 1])
    var result = block
    for _ in 1..<max(1, iterations) {
      block = hmac(block)
      for index in result.indices { result[index] ^= block[index] }
    }
    return result
  }

  /// In a time that does not tell how much of it is equal.
  private static func isEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
    one.count == other.count && zip(one, other).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
