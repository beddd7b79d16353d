import Synchronization
import Testing

@testable import MillraceLog

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct BackgroundThreadTests {
  private final class Seen: Sendable {
    let name = Mutex("")
    let isThere = WakeUp()
  }

  #if os(Linux)
    @Test(arguments: [("log-commit", "log-commit\n"), ("a name of many characters", "a name of many \n")])
    func `a thread bears its name, of which 15 characters are shown`(_ name: String, _ shown: String) {
      let seen = Seen()
      BackgroundThread.start(name: name) {
        let file = open("/proc/thread-self/comm", O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(file, &bytes, bytes.count)
        close(file)
        seen.name.withLock { $0 = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self) }
        seen.isThere.signal()
      }
      seen.isThere.wait()
      #expect(seen.name.withLock { $0 } == shown)
    }
  #endif
}
