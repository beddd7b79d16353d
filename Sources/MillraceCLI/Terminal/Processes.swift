// Other processes of this machine, as Linux tells of them in /proc.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

enum Processes {
  /// Sends SIGTERM to the processes whose words on the command line fit, and that this user may signal.
  /// Returns how many there were.
  static func terminate(where fits: ([String]) -> Bool) -> Int {
    guard let directory = opendir("/proc") else { return 0 }
    defer { closedir(directory) }
    var count = 0
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard let id = pid_t(name), id != getpid(), let bytes = try? Input(path: "/proc/\(id)/cmdline").all() else {
        continue
      }
      let words = bytes.split(separator: 0, omittingEmptySubsequences: false).map {
        String(decoding: $0, as: UTF8.self)
      }
      if fits(words), kill(id, SIGTERM) == 0 { count += 1 }
    }
    return count
  }
}
