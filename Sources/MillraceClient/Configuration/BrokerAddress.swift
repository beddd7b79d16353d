// Where a broker listens, as it is written in `bootstrap.servers`.

/// The host and port of a broker.
public struct BrokerAddress: Hashable, Sendable {
  /// The port that brokers listen on unless configured otherwise.
  public static let defaultPort = 9092

  /// A host name or an IP address (IPv6 without brackets).
  public var host: String
  /// From 1 to 65535; 0 where a free one is wanted.
  public var port: Int

  /// The address of a host, with port 9092 if nothing is said.
  public init(host: String, port: Int = Self.defaultPort) {
    self.host = host
    self.port = port
  }

  /// Reads `host`, `host:port`, `[ipv6]`, `[ipv6]:port` or a bare IPv6 address.
  ///
  /// - Throws: `KafkaError` with code `.configuration`.
  public init(_ text: some StringProtocol) throws(KafkaError) {
    let text = String(text).trimmingSpaces()
    let host: Substring
    let port: Substring?
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { throw Self.invalid(text, "']' is missing") }
      host = text[text.index(after: text.startIndex)..<end]
      let rest = text[text.index(after: end)...]
      guard rest.isEmpty || rest.hasPrefix(":") else { throw Self.invalid(text, "':' and a port follow ']'") }
      port = rest.isEmpty ? nil : rest.dropFirst()
    } else {
      let colons = text.count { $0 == ":" }
      if colons == 1, let colon = text.firstIndex(of: ":") {
        host = text[..<colon]
        port = text[text.index(after: colon)...]
      } else {
        // No colon: a host. Several: an IPv6 address, where a port needs brackets.
        host = text[...]
        port = nil
      }
    }
    guard !host.isEmpty, !host.contains(where: { $0 == "/" || $0.isWhitespace }) else {
      throw Self.invalid(text, "a host name is expected")
    }
    if let port {
      guard let number = Int(port), (1...65535).contains(number) else {
        throw Self.invalid(text, "a port is a number from 1 to 65535")
      }
      self.init(host: String(host), port: number)
    } else {
      self.init(host: String(host))
    }
  }

  /// Reads addresses that are separated by commas.
  ///
  /// - Throws: `KafkaError` with code `.configuration`, also when there is none.
  public static func list(_ text: some StringProtocol) throws(KafkaError) -> [BrokerAddress] {
    var addresses: [BrokerAddress] = []
    for part in text.split(separator: ",") where !part.allSatisfy(\.isWhitespace) {
      addresses.append(try BrokerAddress(part))
    }
    guard !addresses.isEmpty else {
      throw KafkaError(.configuration, "no bootstrap server is given; expected host:port, as in localhost:9092")
    }
    return addresses
  }

  private static func invalid(_ text: String, _ why: String) -> KafkaError {
    KafkaError(.configuration, "'\(text)' is not the address of a broker: \(why); expected host:port")
  }
}

extension BrokerAddress: CustomStringConvertible {
  public var description: String {
    host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}

extension String {
  fileprivate func trimmingSpaces() -> String {
    String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }
}
