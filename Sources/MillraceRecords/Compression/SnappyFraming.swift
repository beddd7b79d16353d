// snappy in the two shapes that Kafka clients send: one bare snappy block (librdkafka), and the framing of the Java
// library "xerial" (Java, kafka-python), which is also what is written here:
//
//    ┌──────────────────────────────────────┬────────────┬───────────────┐  ┌──────────┬──────────────┐
//    │ 82 'S' 'N' 'A' 'P' 'P' 'Y' 00        │ version 4  │ compatible  4 │  │ length 4 │ snappy block │ …
//    └──────────────────────────────────────┴────────────┴───────────────┘  └──────────┴──────────────┘
//
// The header may come again where a block could begin: streams can be put one after the other.

import CMillraceCodecs

enum SnappyFraming {
  static let magic: [UInt8] = [0x82, 0x53, 0x4E, 0x41, 0x50, 0x50, 0x59, 0x00]
  static let headerByteCount = 16
  static let version: UInt32 = 1
  /// What the Java library compresses at a time.
  static let blockByteCount = 32 << 10
  /// No snappy block becomes larger than this many times itself: a copy of 64 bytes takes three.
  static let largestRatio = 22

  static func beginsHeader(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count >= headerByteCount && bytes[..<magic.count].elementsEqual(magic)
  }

  static func decompress<Output: DecompressionOutput & ~Copyable>(
    _ input: UnsafeRawBufferPointer, to output: inout Output, limit: Int
  ) throws(CompressionError) {
    guard beginsHeader(input) else { return try decompressBlock(input, to: &output, limit: limit) }
    var rest = UnsafeRawBufferPointer(rebasing: input[headerByteCount...])
    while rest.count > 0 {
      if beginsHeader(rest) {
        rest = UnsafeRawBufferPointer(rebasing: rest[headerByteCount...])
        continue
      }
      guard rest.count >= 4 else { throw .corrupt }
      let length = Int(rest.bigEndian(at: 0, as: UInt32.self))
      guard length <= rest.count - 4 else { throw .corrupt }
      try decompressBlock(UnsafeRawBufferPointer(rebasing: rest[4..<4 + length]), to: &output, limit: limit)
      rest = UnsafeRawBufferPointer(rebasing: rest[(4 + length)...])
    }
  }

  private static func decompressBlock<Output: DecompressionOutput & ~Copyable>(
    _ block: UnsafeRawBufferPointer, to output: inout Output, limit: Int
  ) throws(CompressionError) {
    let source = block.baseAddress?.assumingMemoryBound(to: CChar.self)
    var length = 0
    guard block.count > 0, snappy_uncompressed_length(source, block.count, &length) == SNAPPY_OK else {
      throw .corrupt
    }
    // A length that the block cannot possibly fill is refused before memory is taken for it.
    guard length >= 0, length / largestRatio <= block.count else { throw .corrupt }
    guard length <= limit - output.total else { throw .limitExceeded(limit) }
    let room = output.block(of: length)
    var written = room.count
    guard
      snappy_uncompress(source, block.count, room.baseAddress?.assumingMemoryBound(to: CChar.self), &written)
        == SNAPPY_OK, written == length
    else { throw .corrupt }
    try output.take(written: written)
  }

  static func compress(
    _ input: UnsafeRawBufferPointer, into output: inout ByteScratch
  ) throws(CompressionError) {
    output.reserve(headerByteCount)
    let header = output.free
    header.copyBytes(from: magic)
    header.storeBigEndian(version, at: 8)
    header.storeBigEndian(version, at: 12)
    output.advance(headerByteCount)
    var position = 0
    while position < input.count {
      let end = min(position + blockByteCount, input.count)
      let block = UnsafeRawBufferPointer(rebasing: input[position..<end])
      output.reserve(4 + snappy_max_compressed_length(block.count))
      let room = output.free
      var written = room.count - 4
      guard
        snappy_compress(
          block.baseAddress?.assumingMemoryBound(to: CChar.self), block.count,
          (room.baseAddress! + 4).assumingMemoryBound(to: CChar.self), &written) == SNAPPY_OK
      else { throw .failed }
      room.storeBigEndian(UInt32(truncatingIfNeeded: written), at: 0)
      output.advance(4 + written)
      position = end
    }
  }
}
