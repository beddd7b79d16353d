// Where a codec puts what it decompresses: into one growing buffer, or piece by piece before the eyes of somebody who
// needs no more than a look at each (which takes a few KiB however much comes out).

protocol DecompressionOutput: ~Copyable {
  /// Bytes put so far.
  var total: Int { get }

  /// Memory for about `expected` bytes, at least one and at most `allowed`.
  mutating func room(expecting expected: Int, allowed: Int) -> UnsafeMutableRawBufferPointer

  /// Memory for exactly `count` bytes, at least one; nil where they should rather come in pieces.
  mutating func room(exactly count: Int) -> UnsafeMutableRawBufferPointer?

  /// Memory for exactly `count` bytes that can only come at once.
  mutating func block(of count: Int) -> UnsafeMutableRawBufferPointer

  /// Takes the first `written` bytes of the memory given last.
  mutating func take(written: Int) throws(CompressionError)

  /// Takes bytes that need no decompression.
  mutating func take(_ bytes: UnsafeRawBufferPointer) throws(CompressionError)
}

extension DecompressionOutput where Self: ~Copyable {
  /// Memory for more output within `limit`: at least one byte, even where nothing more is allowed, so that a codec can
  /// tell whether anything more would come. `take(written:limit:)` then refuses it.
  mutating func room(expecting expected: Int, limit: Int) -> UnsafeMutableRawBufferPointer {
    room(expecting: max(1, expected), allowed: limit - total + 1)
  }

  mutating func take(written: Int, limit: Int) throws(CompressionError) {
    guard total + written <= limit else { throw .limitExceeded(limit) }
    try take(written: written)
  }
}

extension ByteScratch: DecompressionOutput {
  var total: Int { count }

  mutating func room(expecting expected: Int, allowed: Int) -> UnsafeMutableRawBufferPointer {
    reserve(min(allowed, expected))
    return UnsafeMutableRawBufferPointer(rebasing: free[..<min(allowed, free.count)])
  }

  mutating func room(exactly count: Int) -> UnsafeMutableRawBufferPointer? {
    block(of: count)
  }

  mutating func block(of count: Int) -> UnsafeMutableRawBufferPointer {
    reserve(max(1, count))
    return free
  }

  mutating func take(written: Int) {
    advance(written)
  }

  mutating func take(_ bytes: UnsafeRawBufferPointer) {
    append(bytes)
  }
}
