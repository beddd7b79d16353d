import MillraceRecords

/// How batches of records are compressed (`compression.type`).
public enum Compression: String, Sendable, Hashable, CaseIterable {
  /// As the records are.
  case none
  /// gzip (RFC 1952).
  case gzip
  /// Snappy, in the framing of the Java client.
  case snappy
  /// LZ4, in its frame format.
  case lz4
  /// Zstandard; brokers from Kafka 2.1 on have it.
  case zstd

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
