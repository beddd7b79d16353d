// From listeners to listening sockets.

import NIOCore
import NIOPosix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Binds the listeners of a configuration, all or none.
struct Binding {
  /// Attempts to find one free port on several addresses, where the operating system chooses it.
  private static let maxPortAttempts = 16

  let bootstrap: (Listener) -> ServerBootstrap

  struct Bound {
    var channel: any Channel
    var address: BoundAddress
  }

  func bind(_ listeners: [Listener]) async throws(ServerError) -> [Bound] {
    var all: [Bound] = []
    do {
      for listener in listeners { all += try await bind(listener) }
      return all
    } catch {
      await Self.close(all)
      throw error
    }
  }

  static func close(_ bound: [Bound]) async {
    for one in bound { try? await one.channel.close().get() }
  }

  /// One listener may be several addresses; they share a port.
  private func bind(_ listener: Listener) async throws(ServerError) -> [Bound] {
    switch listener.host {
    case "": return [try await bindAll(listener)]
    case "localhost": return try await bindLoopback(listener)
    default: return [try await bind(listener, to: try Self.resolve(listener.host, listener.port))]
    }
  }

  /// The IPv6 wildcard takes IPv4 too; a machine without IPv6 has only the other.
  private func bindAll(_ listener: Listener) async throws(ServerError) -> Bound {
    do {
      return try await bind(listener, to: try Self.resolve("::", listener.port))
    } catch {
      guard error.saysThereIsNoSuchAddress else { throw error }
      return try await bind(listener, to: try Self.resolve("0.0.0.0", listener.port))
    }
  }

  private func bindLoopback(_ listener: Listener) async throws(ServerError) -> [Bound] {
    var attempt = 1
    while true {
      let first = try await bind(listener, to: try Self.resolve("127.0.0.1", listener.port))
      do {
        return [first, try await bind(listener, to: try Self.resolve("::1", first.address.port))]
      } catch {
        if error.saysThereIsNoSuchAddress { return [first] }
        await Self.close([first])
        guard listener.port == 0, attempt < Self.maxPortAttempts, case .addressInUse = error else { throw error }
        attempt += 1
      }
    }
  }

  private func bind(_ listener: Listener, to address: SocketAddress) async throws(ServerError) -> Bound {
    let literal = address.ipAddress ?? listener.host
    do {
      let channel = try await bootstrap(listener).bind(to: address).get()
      let port = UInt16(clamping: channel.localAddress?.port ?? Int(listener.port))
      return Bound(channel: channel, address: BoundAddress(listener: listener.name, host: literal, port: port))
    } catch {
      throw ServerError(error, "\(Listener.bracketed(literal)):\(listener.port)")
    }
  }

  private static func resolve(_ host: String, _ port: UInt16) throws(ServerError) -> SocketAddress {
    do {
      if let literal = try? SocketAddress(ipAddress: host, port: Int(port)) { return literal }
      return try SocketAddress.makeAddressResolvingHost(host, port: Int(port))
    } catch {
      throw .unknownHost(host)
    }
  }
}

extension ServerError {
  fileprivate init(_ error: any Error, _ address: String) {
    switch (error as? IOError)?.errnoCode {
    case EADDRINUSE: self = .addressInUse(address)
    case EADDRNOTAVAIL, EAFNOSUPPORT: self = .addressNotAvailable(address)
    case EACCES, EPERM: self = .permissionDenied(address)
    default: self = .cannotListen(address, reason: "\(error)")
    }
  }

  fileprivate var saysThereIsNoSuchAddress: Bool {
    if case .addressNotAvailable = self { true } else { false }
  }
}
