// Cuts a response with record batches in it into what is written in turn.
//
//      bytes    [ size | header | topic ... ]   [ ... next partition ... ]   [ ... end ]
//      splices                               ^ plan 0                     ^ plan 1
//      pieces   bytes, extents of plan 0, bytes, extents of plan 1, bytes
//
// Pieces are made one at a time, when the socket takes more, so a response to a slow reader holds no file content.

import MillraceBroker
import MillraceLog
import NIOCore

struct ResponsePieces {
  enum Piece {
    case bytes(ByteBuffer)
    /// A range of a file, to be sent as it is.
    case file(FileExtent)
  }

  /// Of an extent that is read, a piece holds no more than this.
  static let maxReadBytes = 256 << 10

  private var bytes: ByteBuffer
  private let splices: [OutgoingResponse.Splice]
  /// How much of `bytes` has been given out.
  private var taken = 0
  private var splice = 0
  private var extent = 0
  /// A range of a file that is given out as bytes.
  private var toRead: FileExtent?

  init(_ response: OutgoingResponse) {
    bytes = response.bytes
    splices = response.splices
  }

  /// The whole response as one piece.
  static func load(_ response: OutgoingResponse, byteCount: Int) throws(LogError) -> ByteBuffer {
    var whole = ByteBufferAllocator().buffer(capacity: byteCount)
    var bytes = response.bytes
    let start = bytes.readerIndex
    for splice in response.splices {
      if let before = bytes.readSlice(length: splice.offset - (bytes.readerIndex - start)) {
        whole.writeImmutableBuffer(before)
      }
      try read(splice.plan, into: &whole)
    }
    whole.writeImmutableBuffer(bytes)
    return whole
  }

  /// - Parameter minFileBytes: ranges of files of so many bytes are wanted as such; of smaller ones their bytes are.
  mutating func next(minFileBytes: Int) throws(LogError) -> Piece? {
    if let range = toRead { return try read(range) }
    while splice < splices.count {
      let (offset, extents) = (splices[splice].offset, splices[splice].plan.extents)
      if taken < offset {
        defer { taken = offset }
        return bytes.readSlice(length: offset - taken).map(Piece.bytes)
      }
      if extent < extents.count {
        defer { extent += 1 }
        switch extents[extent] {
        case .bytes(let array): return .bytes(ByteBuffer(bytes: array))
        case .file(let range): return range.byteCount >= minFileBytes ? .file(range) : try read(range)
        }
      }
      splice += 1
      extent = 0
    }
    guard bytes.readableBytes > 0 else { return nil }
    defer { bytes.clear() }
    return .bytes(bytes)
  }

  /// Gives a range of a file that could not be sent out again, as bytes.
  mutating func readInstead(_ range: FileExtent) { toRead = range }

  private mutating func read(_ range: FileExtent) throws(LogError) -> Piece {
    var part = range
    part.byteCount = min(range.byteCount, Self.maxReadBytes)
    toRead = nil
    if part.byteCount < range.byteCount {
      var rest = range
      rest.position += Int64(part.byteCount)
      rest.byteCount -= part.byteCount
      toRead = rest
    }
    var plan = splices[splice].plan
    plan.extents = [.file(part)]
    plan.byteCount = part.byteCount
    var buffer = ByteBufferAllocator().buffer(capacity: part.byteCount)
    try Self.read(plan, into: &buffer)
    return .bytes(buffer)
  }

  private static func read(_ plan: ReadPlan, into buffer: inout ByteBuffer) throws(LogError) {
    try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: plan.byteCount) { (target) throws(LogError) in
      try plan.load(into: target)
      return plan.byteCount
    }
  }
}
