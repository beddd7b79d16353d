// Telling batches from other bytes in a file, with memory that does not depend on what the bytes say.

import MillraceRecords

enum BatchCheck {
  private static let chunk = 256 << 10

  /// Whether the bytes at `position` have the checksum of `header`, which was read there.
  static func isWhole(_ file: SegmentFile, _ header: BatchHeader, at position: Int64) throws(LogError) -> Bool {
    var position = position + Int64(BatchHeader.checksummedFrom)
    var left = header.sizeInBytes - BatchHeader.checksummedFrom
    var checksum: UInt32 = 0
    let size = min(left, chunk)
    return try withUnsafeTemporaryAllocation(byteCount: size, alignment: 16) { (buffer) throws(LogError) in
      while left > 0 {
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(left, size)])
        do throws(LogError) {
          try file.fill(part, from: position)
        } catch {
          if case .corrupt = error { return false }
          throw error
        }
        checksum = CRC32C.update(checksum, UnsafeRawBufferPointer(part))
        position += Int64(part.count)
        left -= part.count
      }
      return checksum == header.crc
    }
  }

  /// The first place from `start` on whose bytes read as a header of a batch that ends before `limit`.
  static func candidate(
    in file: SegmentFile, from start: Int64, to limit: Int64
  ) throws(LogError) -> (position: Int64, header: BatchHeader)? {
    try withUnsafeTemporaryAllocation(byteCount: chunk, alignment: 16) { (buffer) throws(LogError) in
      var position = start
      while limit - position >= Int64(BatchHeader.byteCount) {
        let wanted = Int(min(Int64(buffer.count), limit - position))
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
        try file.fill(part, from: position)
        let bytes = UnsafeRawBufferPointer(part)
        for index in 0...(wanted - BatchHeader.byteCount) where bytes[index + 16] == 2 {
          let rest = UnsafeRawBufferPointer(rebasing: bytes[index...])
          guard let header = try? BatchHeader(parsing: rest), header.baseOffset >= 0, header.lastOffsetDelta >= 0,
            Int64(header.sizeInBytes) <= limit - position - Int64(index)
          else { continue }
          return (position + Int64(index), header)
        }
        position += Int64(wanted - BatchHeader.byteCount + 1)
      }
      return nil
    }
  }
}
