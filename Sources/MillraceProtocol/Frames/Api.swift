// What is known of an API before any of its messages is read: enough to read and write headers. `Api.all` is generated.

public struct Api: Sendable {
  public let key: ApiKey
  public let name: String
  public let validVersions: ClosedRange<Int16>
  /// Compact encodings from this version on, versions yet to come included.
  public let firstFlexibleVersion: Int16?
  public let latestVersionIsUnstable: Bool

  public static subscript(key: ApiKey) -> Api? {
    guard table.indices.contains(Int(key.rawValue)) else { return nil }
    return table[Int(key.rawValue)]
  }

  private static let table: [Api?] = {
    var table = [Api?](repeating: nil, count: 1 + Int(all.map(\.key.rawValue).max() ?? 0))
    for api in all { table[Int(api.key.rawValue)] = api }
    return table
  }()

  public func isFlexible(_ version: Int16) -> Bool {
    firstFlexibleVersion.map { version >= $0 } ?? false
  }

  public func requestHeaderVersion(_ version: Int16) -> Int16 { isFlexible(version) ? 2 : 1 }

  /// ApiVersions answers with the oldest header: the client does not know yet what the broker speaks (KIP-511).
  public func responseHeaderVersion(_ version: Int16) -> Int16 {
    isFlexible(version) && key != .apiVersions ? 1 : 0
  }
}
