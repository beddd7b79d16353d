// Loads and stores of the big-endian integers that Kafka's files are made of. Positions are the caller's own constants
// or were checked by it.

extension UnsafeRawBufferPointer {
  @inline(__always)
  func bigEndian<T: FixedWidthInteger & BitwiseCopyable>(at position: Int, as type: T.Type = T.self) -> T {
    T(bigEndian: loadUnaligned(fromByteOffset: position, as: type))
  }
}

extension UnsafeMutableRawBufferPointer {
  @inline(__always)
  func storeBigEndian<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at position: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: position, as: T.self)
  }
}

extension Array where Element == UInt8 {
  mutating func appendBigEndian<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
  }
}

// `withUnsafeBytes` rethrows any error; these keep the type of what the body throws.
extension Array where Element == UInt8 {
  func withBytes<Result, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> Result) throws(E) -> Result {
    let result = withUnsafeBytes { bytes in Swift.Result { () throws(E) in try body(bytes) } }
    return try result.get()
  }

  mutating func withMutableBytes<Result, E: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Result
  ) throws(E) -> Result {
    let result = withUnsafeMutableBytes { bytes in Swift.Result { () throws(E) in try body(bytes) } }
    return try result.get()
  }
}
