import MillraceRecords

/// How batches of records are compressed (`compression.type`).
public enum Compression: String, Sendable, Hashable, CaseIterable {
  case none, gzip, snappy, lz4, zstd

  var codec: CompressionType {
    switch self {
    case .none: .none
    case .gzip: .gzip
    case .snappy: .snappy
    case .lz4: .lz4
    case .zstd: .zstd
    }
  }
}
