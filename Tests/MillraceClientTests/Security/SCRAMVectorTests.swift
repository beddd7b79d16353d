// The examples of the RFCs, word for word; and one for SHA-512, which has none in an RFC, computed with Python's hashlib.

#if TLS
  import Crypto
  import Testing

  @testable import MillraceClient

  @Suite("SASL SCRAM by its RFCs")
  struct SCRAMVectorTests {
    private func play<Digest: SCRAMDigest>(
      _ digest: Digest.Type, nonce: String, _ serverFirst: String, _ clientFinal: String, _ serverFinal: String
    ) throws {
      var exchange = SCRAMExchange<Digest>(SASL.Credentials(username: "user", password: "pencil"), nonce: nonce)
      #expect(try exchange.start() == Array("n,,n=user,r=\(nonce)".utf8))
      #expect(try exchange.answered(Array(serverFirst.utf8)) == .send(Array(clientFinal.utf8)))
      #expect(try exchange.answered(Array(serverFinal.utf8)) == .finished)
    }

    @Test func `RFC 5802, section 5`() throws {
      try play(
        CryptoDigest<Insecure.SHA1>.self, nonce: "fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
    }

    @Test func `RFC 7677, section 3`() throws {
      try play(
        CryptoDigest<SHA256>.self, nonce: "rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
          + "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    }

    @Test func `the same with SHA-512`() throws {
      try play(
        CryptoDigest<SHA512>.self, nonce: "rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
          + "p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
        "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==")
    }
  }
#endif
