// One entry of `listeners`: a name, a host and a port.
//
//      PLAINTEXT://127.0.0.1:9092      one address
//      PLAINTEXT://[::1]:9092          one IPv6 address
//      PLAINTEXT://localhost:9092      127.0.0.1 and ::1
//      PLAINTEXT://:9092               all addresses of the machine

package struct Listener: Sendable, Hashable, CustomStringConvertible {
  package var name: String
  /// A literal address (without brackets), a host name, or empty for all addresses.
  package var host: String
  /// 0 lets the operating system choose.
  package var port: UInt16

  package init(name: String = "PLAINTEXT", host: String, port: UInt16) {
    self.name = name
    self.host = host
    self.port = port
  }

  package var description: String { "\(name)://\(Self.bracketed(host)):\(port)" }

  /// What clients of the same process come by (`SocketPair`). It has no address.
  package static let inProcess = Listener(name: "IN-PROCESS", host: "in-process", port: 0)

  static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}

/// An address that a server listens on.
package struct BoundAddress: Sendable, Hashable, CustomStringConvertible {
  /// The listener's name.
  package var listener: String
  /// A literal address, without brackets.
  package var host: String
  package var port: UInt16

  package var description: String { "\(Listener.bracketed(host)):\(port)" }
}
