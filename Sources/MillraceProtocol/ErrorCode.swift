// The error codes of the protocol. The constants and tables are generated; messages carry the bare number.

public struct ErrorCode: RawRepresentable, Hashable, Sendable, Error {
  public let rawValue: Int16

  public init(rawValue: Int16) {
    self.rawValue = rawValue
  }

  /// Kafka's name: `OFFSET_OUT_OF_RANGE`; for a code this release does not know, `UNKNOWN(n)`.
  public var name: String {
    let index = Int(rawValue) + 1
    return Self.names.indices.contains(index) ? "\(Self.names[index])" : "UNKNOWN(\(rawValue))"
  }

  /// Whether a client may send the same request again.
  public var isRetriable: Bool { Self.retriable.contains(self) }
}

extension ErrorCode: CustomStringConvertible {
  public var description: String { name }
}
