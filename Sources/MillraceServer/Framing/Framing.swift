// Where one request ends and the next begins.
//
//      0        4                    4 + N
//      +--------+--------------------+--------+---
//      | N: i32 | request, N bytes   | N: i32 | ...
//      +--------+--------------------+--------+---
//
// A length that is negative or above `socket.request.max.bytes` leaves no way to find the next frame, so it ends the
// connection. A length is only a claim: nothing is allocated for it before the bytes arrive.

import NIOCore

struct Framing: Sendable, Equatable {
  static let prefixBytes = 4

  /// Larger requests than this can only be Produce. The others are read into small objects of many times their size.
  static let maxOtherBytes = 16 << 20
  private static let produceKey: Int16 = 0

  /// Kafka's `socket.request.max.bytes`.
  var maxFrameBytes: Int

  enum Head: Equatable {
    /// A whole frame of this many bytes follows its length prefix.
    case complete(byteCount: Int)
    /// The frame, prefix included, ends once `wantedBytes` are there (the prefix alone while its length is unknown).
    case partial(wantedBytes: Int)
    case invalid(FramingError)
  }

  /// Looks at the frame at the reader index, without moving it.
  func head(of input: ByteBuffer) -> Head {
    guard let length = input.getInteger(at: input.readerIndex, as: Int32.self) else {
      return .partial(wantedBytes: Self.prefixBytes)
    }
    guard length >= 0 else { return .invalid(.negativeLength(length)) }
    let byteCount = Int(length)
    guard byteCount <= maxFrameBytes else { return .invalid(.tooLarge(byteCount, limit: maxFrameBytes)) }
    if byteCount > Self.maxOtherBytes {
      let keyEnd = Self.prefixBytes + MemoryLayout<Int16>.size
      guard let key = input.getInteger(at: input.readerIndex + Self.prefixBytes, as: Int16.self) else {
        return .partial(wantedBytes: keyEnd)
      }
      guard key == Self.produceKey else { return .invalid(.tooLargeForItsKind(byteCount, apiKey: key)) }
    }
    let wanted = Self.prefixBytes + byteCount
    return input.readableBytes >= wanted ? .complete(byteCount: byteCount) : .partial(wantedBytes: wanted)
  }
}

enum FramingError: Error, Equatable, CustomStringConvertible {
  case negativeLength(Int32)
  case tooLarge(Int, limit: Int)
  case tooLargeForItsKind(Int, apiKey: Int16)

  var description: String {
    switch self {
    case .negativeLength(let length): "a request announced a negative length (\(length))"
    case .tooLargeForItsKind(let length, let apiKey):
      "a request of API \(apiKey) announced \(length) bytes; only Produce may have more than \(Framing.maxOtherBytes)"
    case .tooLarge(let length, let limit):
      "a request announced \(length) bytes, more than socket.request.max.bytes (\(limit))\(Self.guess(length))"
    }
  }

  /// What a length that is none may be the beginning of.
  private static func guess(_ length: Int) -> String {
    if length >> 16 == 0x1603 { return "; the client seems to use TLS on a PLAINTEXT listener" }
    let bytes = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
    guard bytes.allSatisfy({ (0x20...0x7e).contains($0) }) else { return "" }
    return "; it sent \"\(String(decoding: bytes, as: UTF8.self))\" and seems to be no Kafka client"
  }
}
