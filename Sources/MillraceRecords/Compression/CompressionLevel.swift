// The levels that Kafka's configs `compression.gzip.level`, `compression.lz4.level` and `compression.zstd.level` take
// (KIP-390).

import CMillraceCodecs

package enum CompressionLevel {
  /// The levels that the config accepts; nil for a codec without levels. For gzip, -1 is valid too: the default.
  package static func range(for type: CompressionType) -> ClosedRange<Int32>? {
    switch type {
    case .none, .snappy: nil
    case .gzip: 1...9
    case .lz4: 1...17
    case .zstd: ZSTD_minCLevel()...ZSTD_maxCLevel()
    }
  }

  package static func defaultLevel(for type: CompressionType) -> Int32 {
    switch type {
    case .none, .snappy: 0
    case .gzip: -1
    case .lz4: 9
    case .zstd: 3
    }
  }

  static func clamped(_ level: Int32?, for type: CompressionType) -> Int32 {
    let fallback = defaultLevel(for: type)
    guard let level, level != fallback, let range = range(for: type) else { return fallback }
    return min(max(level, range.lowerBound), range.upperBound)
  }
}
