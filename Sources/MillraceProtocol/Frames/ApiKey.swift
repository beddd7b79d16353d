// The number of an API. The constants are generated.

public struct ApiKey: RawRepresentable, Hashable, Sendable {
  public let rawValue: Int16

  public init(rawValue: Int16) {
    self.rawValue = rawValue
  }

  /// As in the protocol's documentation: `ListOffsets`; the number for a key that is not known.
  public var name: String { Api[self]?.name ?? String(rawValue) }
}

extension ApiKey: CustomStringConvertible {
  public var description: String { name }
}
