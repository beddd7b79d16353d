// Bytes from outside against everything that decodes them: frame lengths, request headers, messages in every version,
// record batches in every codec. Any input has to be refused or understood; a trap ends the run and keeps the input.
//
//     tools/fuzz              coverage-guided, until stopped (libFuzzer; options are passed on)
//     tools/fuzz -runs=10000000
//
// Built without libFuzzer it throws random bytes for a moment, so that the target cannot rot.

import MillraceProtocol
import MillraceRecords
import NIOCore

enum Fuzz {
  /// The first byte picks the decoder.
  static func tryInput(_ bytes: UnsafeRawBufferPointer) {
    guard let choice = bytes.first else { return }
    let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
    switch choice % 4 {
    case 0: fuzzRecords(rest)
    case 1: tryFrame(rest)
    default: precondition(decodeAnything(rest) != .unstable, "a message does not survive being written and read")
    }
  }

  private static func tryFrame(_ bytes: UnsafeRawBufferPointer) {
    var buffer = ByteBuffer(bytes: bytes)
    guard let length = buffer.readInteger(as: Int32.self) else { return }
    _ = try? FrameLength.check(length, maximum: 100 << 20)
    var reader = MessageReader(buffer)
    guard let header = try? RequestHeader.read(from: &reader) else { return }
    precondition(Api[header.apiKey] != nil, "a header was read of an API that is not known")
  }
}

#if FUZZING
  /// What libFuzzer's own `main`, linked by `--sanitize fuzzer`, calls with each input.
  @_cdecl("LLVMFuzzerTestOneInput")
  public func tryInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    Fuzz.tryInput(UnsafeRawBufferPointer(start: bytes, count: count))
    return 0
  }
#else
  @main
  extension Fuzz {
    static func main() {
      let seed = UInt64.random(in: 0 ... .max)
      print("seed \(seed); build it with tools/fuzz to be guided by coverage")
      var random = XorShift(state: seed | 1)
      for _ in 0..<100_000 {
        let input = (0..<Int.random(in: 0..<300, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        input.withUnsafeBytes { tryInput($0) }
      }
    }
  }

  private struct XorShift: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }
#endif
