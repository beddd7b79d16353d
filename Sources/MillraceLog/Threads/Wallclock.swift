// The time of day, for what happens without a request that brought it.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

enum Wallclock {
  static var nowMs: Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
  }
}
