// Bytes as text and back, for golden values.

import NIOCore

func hex(_ buffer: ByteBuffer) -> String {
  let digits = Array("0123456789abcdef")
  return buffer.readableBytesView.reduce(into: "") { $0 += "\(digits[Int($1 >> 4)])\(digits[Int($1 & 15)])" }
}

/// Whatever is not a hexadecimal digit is taken as a separator.
func bytes(_ hex: String) -> ByteBuffer {
  let digits = hex.compactMap { $0.hexDigitValue.map(UInt8.init) }
  precondition(digits.count.isMultiple(of: 2))
  return ByteBuffer(bytes: stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
}

extension ByteBuffer {
  func dropping(_ count: Int) -> ByteBuffer {
    var copy = self
    copy.moveReaderIndex(forwardBy: count)
    return copy
  }

  func dropping(last count: Int) -> ByteBuffer {
    getSlice(at: readerIndex, length: readableBytes - count) ?? self
  }
}
