// Reading standard input and files, in pieces, without blocking the tasks of the program.
import NIOPosix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

struct FileFailure: Error, CustomStringConvertible {
  let path: String
  let code: Int32
  var description: String { "cannot read \(path): \(String(cString: strerror(code)))" }
}

/// A source of bytes: standard input, or a file that is closed with this object.
final class Input: Sendable {
  static let chunkBytes = 64 * 1024

  let name: String
  private let descriptor: Int32
  private let closes: Bool

  static let standard = Input(name: "standard input", descriptor: 0, closes: false)

  private init(name: String, descriptor: Int32, closes: Bool) {
    (self.name, self.descriptor, self.closes) = (name, descriptor, closes)
  }

  convenience init(path: String) throws(FileFailure) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileFailure(path: path, code: errno) }
    self.init(name: path, descriptor: descriptor, closes: true)
  }

  deinit { if closes { close(descriptor) } }

  var isTerminal: Bool { isatty(descriptor) == 1 }

  /// How long a read waits before it looks whether its task was cancelled.
  private static let waitMs: Int32 = 200

  /// The next bytes; none at the end.
  func chunk() async throws -> [UInt8] {
    while true {
      try Task.checkCancellation()
      let bytes = try await NIOThreadPool.singleton.runIfActive {
        try self.isReadable(withinMs: Self.waitMs) ? self.readChunk() : nil
      }
      if let bytes { return bytes }
    }
  }

  /// All bytes until the end, at most `limit`.
  func all(limit: Int = 1 << 30) throws(FileFailure) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let chunk = try readChunk()
      if chunk.isEmpty { return bytes }
      bytes += chunk
      guard bytes.count <= limit else { throw FileFailure(path: name, code: EFBIG) }
    }
  }

  private func isReadable(withinMs: Int32) -> Bool {
    var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&wait, 1, withinMs) != 0
  }

  private func readChunk() throws(FileFailure) -> [UInt8] {
    while true {
      var code: Int32 = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { buffer, count in
        let taken = read(descriptor, buffer.baseAddress, buffer.count)
        count = max(0, taken)
        code = taken < 0 ? errno : 0
      }
      switch code {
      case 0: return bytes
      case EINTR: continue
      case EAGAIN:
        _ = isReadable(withinMs: -1)
      default: throw FileFailure(path: name, code: code)
      }
    }
  }

  static func text(path: String) throws(FileFailure) -> String {
    String(decoding: try Input(path: path).all(), as: UTF8.self)
  }
}
