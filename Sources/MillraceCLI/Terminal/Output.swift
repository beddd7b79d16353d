// Standard output, buffered, and standard error. A reader that goes away (`| head`) is no failure of the program: the
// write throws `OutputClosed`, and the program ends quietly.
import NIOPosix
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Nobody reads the output any more.
struct OutputClosed: Error {}

/// The system's, out of reach of the methods of the same name.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}

final class Output: Sendable {
  static let standard = Output(descriptor: 1)
  static let error = Output(descriptor: 2)

  /// What is held back before it is written.
  static let bufferBytes = 64 * 1024

  private let descriptor: Int32
  private let buffer = Mutex<[UInt8]>([])

  init(descriptor: Int32) { self.descriptor = descriptor }

  /// A person watches.
  var isTerminal: Bool { isatty(descriptor) == 1 }

  func line(_ text: String = "") throws(OutputClosed) { try write(text + "\n") }

  func write(_ text: String) throws(OutputClosed) { try write(bytes: text.utf8) }

  func write(bytes: some Sequence<UInt8>) throws(OutputClosed) {
    let full = buffer.withLock { buffer in
      buffer.append(contentsOf: bytes)
      return buffer.count >= Self.bufferBytes
    }
    if full { try flush() }
  }

  /// Appends to the buffer in place, for the path that writes a line a record.
  func append(_ body: (inout [UInt8]) -> Void) { buffer.withLock { body(&$0) } }

  func flush() throws(OutputClosed) {
    // The lock is held while writing: what two tasks write stays in order.
    let closed = buffer.withLock { buffer in
      let written = buffer.withUnsafeBytes { writeAll($0) }
      buffer.removeAll(keepingCapacity: true)
      return !written
    }
    if closed { throw OutputClosed() }
  }

  /// Flushes on a thread that may block, so that a slow reader does not hold up what else the program does.
  func flushAside() async throws {
    guard buffer.withLock({ !$0.isEmpty }) else { return }
    try await NIOThreadPool.singleton.runIfActive { try self.flush() }
  }

  private func writeAll(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        // The descriptor is shared with a program that made it non-blocking.
        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&wait, 1, -1)
      } else if errno != EINTR {
        return false
      }
    }
    return true
  }

  /// A closed pipe is an error of `write`, not the end of the process.
  static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}

/// A line for the person at the terminal, beside the output.
func note(_ text: String) {
  try? Output.error.line(text)
  try? Output.error.flush()
}
