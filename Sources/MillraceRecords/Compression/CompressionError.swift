// Why a record section could not be compressed or decompressed.

package enum CompressionError: Error, Sendable, Equatable {
  /// The bytes are not what the codec writes, end early, or have something behind their end.
  case corrupt
  /// The output would be larger than the limit that the caller set.
  case limitExceeded(Int)
  /// The codec's library failed for a reason of its own, such as memory.
  case failed
}
