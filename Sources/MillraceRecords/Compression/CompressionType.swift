// The codecs a batch may be compressed with. The raw value is what bits 0…2 of the batch attributes hold; 5, 6 and 7
// are not assigned.

package enum CompressionType: UInt8, Sendable, Equatable, Hashable, CaseIterable {
  case none = 0
  case gzip = 1
  case snappy = 2
  case lz4 = 3
  case zstd = 4

  /// Kafka's name, as in the configs `compression.type`.
  package var name: String {
    switch self {
    case .none: "none"
    case .gzip: "gzip"
    case .snappy: "snappy"
    case .lz4: "lz4"
    case .zstd: "zstd"
    }
  }

  /// The codec that Kafka calls `name`; nil for any other word. (`uncompressed` and `producer` are words of the topic
  /// config, not codecs.)
  package init?(name: String) {
    guard let type = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = type
  }
}
