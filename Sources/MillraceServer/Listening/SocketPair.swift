// Two sockets of this process that are connected to each other: a connection without a network, a port or a listener,
// with the kernel's back-pressure and the same bytes on it as on any other.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

package struct SocketPair: Sendable {
  package let client: CInt
  package let server: CInt

  /// Whoever gets an end closes it. Throws when the process has no descriptors left.
  package init() throws(ServerError) {
    var ends: (CInt, CInt) = (-1, -1)
    #if canImport(Glibc)
      let kind = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
    #else
      let kind = SOCK_STREAM
    #endif
    let status = withUnsafeMutablePointer(to: &ends) { pointer in
      pointer.withMemoryRebound(to: CInt.self, capacity: 2) { socketpair(AF_UNIX, kind, 0, $0) }
    }
    guard status == 0 else { throw .cannotConnectInProcess(reason: String(cString: strerror(errno))) }
    (client, server) = ends
  }
}
