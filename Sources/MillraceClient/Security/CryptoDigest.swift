// The hashes of SCRAM by Swift Crypto; without the trait TLS there are none.

#if TLS
  import Crypto

  enum CryptoDigest<Hash: HashFunction>: SCRAMDigest {
    static func hash(_ bytes: [UInt8]) -> [UInt8] {
      Array(Hash.hash(data: bytes))
    }

    static func hmac(key: [UInt8]) -> (_ message: [UInt8]) -> [UInt8] {
      // The key is worked in once; each message goes on from a copy of that.
      let keyed = HMAC<Hash>(key: SymmetricKey(data: key))
      return { message in
        var hmac = keyed
        hmac.update(data: message)
        return Array(hmac.finalize())
      }
    }
  }
#endif
