import MillraceBroker
import MillraceLog
import NIOCore
import Testing

@testable import MillraceServer

@Suite struct ResponsePiecesTests {
  private let file: TestLog

  init() throws { file = try TestLog(batches: 40, recordBytes: 20_000) }

  /// A response with batches in two places, and bytes in front, between and behind.
  private func response() throws -> (OutgoingResponse, expected: [UInt8]) {
    let (first, second) = (try file.plan(maxBytes: 100_000), try file.plan(from: 10))
    #expect(second.byteCount > 2 * ResponsePieces.maxReadBytes)
    let expected = try Array("head".utf8) + first.load() + Array("middle".utf8) + second.load() + Array("end".utf8)
    // The reader index is not at the beginning of the storage.
    var bytes = ByteBuffer(string: "xxheadmiddleend")
    bytes.moveReaderIndex(forwardBy: 2)
    let splices = [
      OutgoingResponse.Splice(offset: 4, plan: first), OutgoingResponse.Splice(offset: 10, plan: second),
    ]
    return (OutgoingResponse(bytes: bytes, splices: splices), expected)
  }

  @Test func `a response is bytes and ranges of files, in order`() throws {
    var pieces = ResponsePieces(try response().0)
    var kinds: [String] = []
    while let piece = try pieces.next(minFileBytes: 0) {
      switch piece {
      case .bytes(let bytes): kinds.append(String(buffer: bytes))
      case .file(let range): kinds.append("file \(range.byteCount > 0)")
      }
    }
    #expect(kinds == ["head", "file true", "middle", "file true", "end"])
  }

  @Test func `where files cannot be sent their bytes are, a bounded piece at a time`() throws {
    let (response, expected) = try response()
    var pieces = ResponsePieces(response)
    var all: [UInt8] = []
    while let piece = try pieces.next(minFileBytes: .max) {
      guard case .bytes(let bytes) = piece else {
        Issue.record("a range of a file")
        continue
      }
      #expect(bytes.readableBytes <= ResponsePieces.maxReadBytes)
      all += Array(buffer: bytes)
    }
    #expect(all == expected)
  }

  @Test func `a range that could not be sent is read instead`() throws {
    let (response, expected) = try response()
    var pieces = ResponsePieces(response)
    var all: [UInt8] = []
    while let piece = try pieces.next(minFileBytes: 0) {
      switch piece {
      case .bytes(let bytes): all += Array(buffer: bytes)
      case .file(let range): pieces.readInstead(range)
      }
    }
    #expect(all == expected)
  }

  @Test func `a small response is read as one piece`() throws {
    let (response, expected) = try response()
    let whole = try ResponsePieces.load(response, byteCount: response.byteCount)
    #expect(Array(buffer: whole) == expected)
  }
}
