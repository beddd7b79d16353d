// The other end of a connection.

import NIOCore

struct Peer: Sendable, Hashable, CustomStringConvertible {
  /// Without port. An IPv4 client of an IPv6 socket is still an IPv4 client: "::ffff:10.0.0.7" is "10.0.0.7".
  let address: String
  let port: Int

  init(_ remote: SocketAddress?) {
    let literal = remote?.ipAddress ?? "unknown"
    let mapped = "::ffff:"
    address = literal.hasPrefix(mapped) && literal.contains(".") ? String(literal.dropFirst(mapped.count)) : literal
    port = remote?.port ?? 0
  }

  private init(address: String) {
    self.address = address
    port = 0
  }

  /// A client in the broker's own process.
  static let sameProcess = Peer(address: "in-process")

  /// As Kafka prints a client's host.
  var clientHost: String { "/\(address)" }

  var description: String { "\(Listener.bracketed(address)):\(port)" }
}
