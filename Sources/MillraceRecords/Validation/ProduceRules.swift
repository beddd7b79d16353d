// What a topic and a request ask of a batch: the configs and facts that validation depends on, read once by the caller.

package struct ProduceRules: Sendable {
  /// How closely a batch is looked at.
  package enum Depth: Sendable {
    /// The header: size, format, checksum, whether the counts and flags make sense. No record is read. What a batch
    /// claims about its records is believed as far as its size allows it.
    case header
    /// Every record as well, decompressed if need be, as Kafka does.
    case records
  }

  /// Who made the batch.
  package enum Origin: Sendable {
    case client
    /// A coordinator of this broker, which may write control batches.
    case coordinator
  }

  package var depth: Depth
  package var origin: Origin
  /// Version of the Produce request: zstd came with version 7 (KIP-110).
  package var produceVersion: Int16
  /// `max.message.bytes`
  package var maxMessageBytes: Int
  /// `message.timestamp.type`
  package var timestampType: TimestampType
  /// `message.timestamp.before.max.ms`
  package var timestampBeforeMaxMs: Int64
  /// `message.timestamp.after.max.ms`
  package var timestampAfterMaxMs: Int64
  /// Whether `cleanup.policy` has `compact`: every record needs a key.
  package var isCompacted: Bool
  /// `compression.type`
  package var compression: TopicCompression
  /// What the records may decompress to.
  package var decompressedLimit: Int

  package init(
    depth: Depth = .records, origin: Origin = .client, produceVersion: Int16 = .max, maxMessageBytes: Int = 1_048_588,
    timestampType: TimestampType = .createTime, timestampBeforeMaxMs: Int64 = .max,
    timestampAfterMaxMs: Int64 = 3_600_000, isCompacted: Bool = false, compression: TopicCompression = .producer,
    decompressedLimit: Int = Compression.defaultLimit
  ) {
    self.depth = depth
    self.origin = origin
    self.produceVersion = produceVersion
    self.maxMessageBytes = maxMessageBytes
    self.timestampType = timestampType
    self.timestampBeforeMaxMs = timestampBeforeMaxMs
    self.timestampAfterMaxMs = timestampAfterMaxMs
    self.isCompacted = isCompacted
    self.compression = compression
    self.decompressedLimit = decompressedLimit
  }
}

extension ProduceRules {
  /// The create times that a record may have at `nowMs`. Differences that no timestamp can have mean no limit.
  func timestamps(at nowMs: Int64) -> ClosedRange<Int64> {
    let (earliest, noEarliest) = nowMs.subtractingReportingOverflow(timestampBeforeMaxMs)
    let (latest, noLatest) = nowMs.addingReportingOverflow(timestampAfterMaxMs)
    let lower = noEarliest ? .min : earliest
    return lower...max(lower, noLatest ? .max : latest)
  }
}

/// A topic's `compression.type`.
package enum TopicCompression: Sendable, Hashable {
  /// Batches stay as their producer made them.
  case producer
  /// Batches are stored with this codec, at Kafka's level for it; nil is the default.
  case codec(CompressionType, level: Int32?)

  /// The codec that a batch compressed with `source` is stored with.
  package func target(for source: CompressionType) -> CompressionType {
    switch self {
    case .producer: source
    case .codec(let type, _): type
    }
  }

  package var level: Int32? {
    switch self {
    case .producer: nil
    case .codec(_, let level): level
    }
  }
}
