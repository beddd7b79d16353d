// gzip through zlib. A section may be several gzip members one after the other, as Java's reader takes them; bytes that
// are not a member are refused.

import CMillraceCodecs

/// `MAX_WBITS` plus 16: a gzip wrapper around the largest window.
private let gzipWindowBits: Int32 = 15 + 16
private let defaultMemoryLevel: Int32 = 8

/// A zlib stream keeps its own address, so it lives in memory of its own.
private func makeStream() -> UnsafeMutablePointer<z_stream> {
  let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
  stream.initialize(to: z_stream())
  return stream
}

struct ZlibInflater: ~Copyable {
  private var stream: UnsafeMutablePointer<z_stream>?

  init() {}

  deinit {
    guard let stream else { return }
    inflateEnd(stream)
    stream.deallocate()
  }

  private mutating func ready() throws(CompressionError) -> UnsafeMutablePointer<z_stream> {
    if let stream {
      guard inflateReset(stream) == Z_OK else { throw .failed }
      return stream
    }
    let made = makeStream()
    guard inflateInit2_(made, gzipWindowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      made.deallocate()
      throw .failed
    }
    stream = made
    return made
  }

  mutating func decompress<Output: DecompressionOutput & ~Copyable>(
    _ input: UnsafeRawBufferPointer, to output: inout Output, limit: Int
  ) throws(CompressionError) {
    guard input.count <= Int(UInt32.max) else { throw .corrupt }
    let stream = try ready()
    stream.pointee.next_in = UnsafeMutablePointer(
      mutating: input.baseAddress?.assumingMemoryBound(to: Bytef.self))
    stream.pointee.avail_in = uInt(input.count)
    defer { stream.pointee.next_in = nil }
    while true {
      let room = output.room(expecting: Int(stream.pointee.avail_in) * 4, limit: limit)
      let offered = min(room.count, Int(uInt.max))
      stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: Bytef.self)
      stream.pointee.avail_out = uInt(offered)
      let result = inflate(stream, Z_NO_FLUSH)
      let written = offered - Int(stream.pointee.avail_out)
      try output.take(written: written, limit: limit)
      switch result {
      case Z_STREAM_END:
        if stream.pointee.avail_in == 0 { return }
        guard inflateReset(stream) == Z_OK else { throw .failed }
      case Z_OK:
        // With room left over, only the end of the input can have stopped it.
        if stream.pointee.avail_in == 0, stream.pointee.avail_out > 0 { throw .corrupt }
      case Z_BUF_ERROR where stream.pointee.avail_out == 0: continue
      case Z_MEM_ERROR: throw .failed
      default: throw .corrupt
      }
    }
  }
}

struct ZlibDeflater: ~Copyable {
  private var stream: UnsafeMutablePointer<z_stream>?
  private var level: Int32 = 0

  init() {}

  deinit {
    guard let stream else { return }
    deflateEnd(stream)
    stream.deallocate()
  }

  private mutating func ready(level: Int32) throws(CompressionError) -> UnsafeMutablePointer<z_stream> {
    if let stream, self.level == level {
      guard deflateReset(stream) == Z_OK else { throw .failed }
      return stream
    }
    if let stale = stream {
      deflateEnd(stale)
      stale.deallocate()
      stream = nil
    }
    let made = makeStream()
    guard
      deflateInit2_(
        made, level, Z_DEFLATED, gzipWindowBits, defaultMemoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else {
      made.deallocate()
      throw .failed
    }
    stream = made
    self.level = level
    return made
  }

  mutating func compress(
    _ input: UnsafeRawBufferPointer, level: Int32, into output: inout ByteScratch
  ) throws(CompressionError) {
    guard input.count <= Int(Int32.max) else { throw .failed }
    let stream = try ready(level: level)
    output.reserve(Int(deflateBound(stream, uLong(input.count))))
    let room = output.free
    stream.pointee.next_in = UnsafeMutablePointer(
      mutating: input.baseAddress?.assumingMemoryBound(to: Bytef.self))
    stream.pointee.avail_in = uInt(input.count)
    stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: Bytef.self)
    stream.pointee.avail_out = uInt(clamping: room.count)
    let offered = Int(stream.pointee.avail_out)
    guard deflate(stream, Z_FINISH) == Z_STREAM_END else { throw .failed }
    output.advance(offered - Int(stream.pointee.avail_out))
    stream.pointee.next_in = nil
  }
}
