// Loads and stores of the big-endian integers that the format is made of. Offsets are the caller's own constants or
// were checked by it; a debug build checks them again.

extension UnsafeRawBufferPointer {
  @inlinable @inline(__always)
  func bigEndian<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type) -> T {
    T(bigEndian: loadUnaligned(fromByteOffset: offset, as: type))
  }
}

extension UnsafeMutableRawBufferPointer {
  @inlinable @inline(__always)
  func storeBigEndian<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
  }
}
