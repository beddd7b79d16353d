// A client's end of a connection. Its calls wait without holding a thread, and give up after a while, so that a test
// fails instead of hanging.

import Glibc
import MillraceServer

final class TestSocket {
  enum Failure: Error, Equatable {
    case cannotConnect(CInt)
    case closed, timedOut, reset
  }

  private static let patience: Duration = .seconds(120)

  private let descriptor: CInt

  init(port: UInt16, receiveBufferBytes: Int? = nil) throws {
    descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    if var bytes = receiveBufferBytes.map(CInt.init) {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<CInt>.size))
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else {
      let problem = errno
      close(descriptor)
      throw Failure.cannotConnect(problem)
    }
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) async throws {
    var sent = 0
    while sent < bytes.count { sent += try await attempt { self.sendWithoutWaiting(bytes[sent...]) } }
  }

  /// Sends what the connection takes now. Returns how much that was, or -1.
  func sendWithoutWaiting(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.withUnsafeBytes {
      Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
    }
  }

  func sendFrame(_ bytes: [UInt8]) async throws { try await send(Self.frame(bytes)) }

  static func frame(_ bytes: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
  }

  func receive(_ count: Int) async throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var received = 0
    while received < count {
      let got = try await attempt {
        bytes.withUnsafeMutableBytes {
          recv(descriptor, $0.baseAddress! + received, count - received, CInt(MSG_DONTWAIT))
        }
      }
      guard got > 0 else { throw Failure.closed }
      received += got
    }
    return bytes
  }

  func receiveFrame() async throws -> [UInt8] {
    let length = try await receive(4).reduce(0) { $0 << 8 | Int($1) }
    return try await receive(length)
  }

  /// Whether the server closes the connection, discarding what it still sends.
  func isClosedByServer() async -> Bool {
    do {
      while true { _ = try await receive(1) }
    } catch {
      return error as? Failure == .closed || error as? Failure == .reset
    }
  }

  /// Repeats a call that does not wait until it does something.
  private func attempt(_ call: () -> Int) async throws -> Int {
    let end = ContinuousClock.now + Self.patience
    while true {
      let count = call()
      if count >= 0 { return count }
      switch errno {
      case EAGAIN, EINTR: break
      case ECONNRESET, EPIPE: throw Failure.reset
      default: throw Failure.closed
      }
      guard ContinuousClock.now < end else { throw Failure.timedOut }
      try await Task.sleep(for: .microseconds(500))
    }
  }

  func closeOutput() { shutdown(descriptor, CInt(SHUT_WR)) }

  /// Closes with a reset.
  func abort() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    shutdown(descriptor, CInt(SHUT_RDWR))
  }
}
