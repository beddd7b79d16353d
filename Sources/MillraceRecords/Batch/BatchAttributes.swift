// The 16 attribute bits of a batch (the diagram is in BatchHeader.swift).

package struct BatchAttributes: OptionSet, Sendable, Hashable {
  package var rawValue: Int16

  package init(rawValue: Int16) {
    self.rawValue = rawValue
  }

  /// Timestamps are the broker's (LogAppendTime): every record has the batch's `maxTimestamp`.
  package static let logAppendTime = Self(rawValue: 1 << 3)
  package static let transactional = Self(rawValue: 1 << 4)
  package static let control = Self(rawValue: 1 << 5)
  package static let deleteHorizon = Self(rawValue: 1 << 6)

  static let compressionMask: Int16 = 0b111

  /// The codec, or nil for a number that is not assigned. Setting nil clears the bits.
  package var compression: CompressionType? {
    get { CompressionType(rawValue: compressionCode) }
    set { rawValue = (rawValue & ~Self.compressionMask) | Int16(newValue?.rawValue ?? 0) }
  }

  /// The number of the codec, assigned or not.
  package var compressionCode: UInt8 { UInt8(truncatingIfNeeded: rawValue & Self.compressionMask) }

  package var timestampType: TimestampType {
    get { contains(.logAppendTime) ? .logAppendTime : .createTime }
    set { if newValue == .logAppendTime { insert(.logAppendTime) } else { remove(.logAppendTime) } }
  }
}

/// Whose clock a batch's timestamps come from (`message.timestamp.type`).
package enum TimestampType: Int8, Sendable, Hashable, CaseIterable {
  case createTime = 0
  case logAppendTime = 1

  /// Kafka's name, as in the topic config.
  package var name: String { self == .createTime ? "CreateTime" : "LogAppendTime" }

  package init?(name: String) {
    guard let type = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = type
  }
}
