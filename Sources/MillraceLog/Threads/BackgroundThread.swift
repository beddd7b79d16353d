// Plain threads for work that blocks: commits, timers, recovery. Event loops and the cooperative pool never wait.

import CMillraceSystem

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package enum BackgroundThread {
  private final class Body {
    let name: String
    let run: @Sendable () -> Void

    init(name: String, _ run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }

    func start() {
      millrace_name_thread(String(name.prefix(15)))
      run()
    }
  }

  /// Starts a detached thread that runs `body` once.
  ///
  /// - Parameter name: as the system shows the thread; ASCII, of which 15 characters are shown.
  package static func start(name: String, _ body: @escaping @Sendable () -> Void) {
    let argument = Unmanaged.passRetained(Body(name: name, body)).toOpaque()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    #if canImport(Glibc)
      var thread = pthread_t()
      let status = pthread_create(
        &thread, &attributes,
        { argument in
          Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().start()
          return nil
        }, argument)
    #else
      var thread: pthread_t?
      let status = pthread_create(
        &thread, &attributes,
        { argument in
          Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().start()
          return nil
        }, argument)
    #endif
    pthread_attr_destroy(&attributes)
    precondition(status == 0, "the system refuses to start a thread (\(status)): \(name)")
  }
}

/// A thread's alarm clock: `signal` from anywhere ends the current or the next `wait`. Signals do not add up.
package final class WakeUp: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var isSignalled = false

  package init() {
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    condition.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    #if canImport(Glibc)
      var attributes = pthread_condattr_t()
      pthread_condattr_init(&attributes)
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
      pthread_cond_init(condition, &attributes)
      pthread_condattr_destroy(&attributes)
    #else
      pthread_cond_init(condition, nil)
    #endif
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  package func signal() {
    withExtendedLifetime(self) {
      pthread_mutex_lock(mutex)
      isSignalled = true
      pthread_mutex_unlock(mutex)
      // With the mutex free, or whoever wakes would find it taken and sleep again.
      pthread_cond_signal(condition)
    }
  }

  /// Waits for a signal, or until `deadline` if there is one.
  package func wait(until deadline: ContinuousClock.Instant? = nil) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !isSignalled {
      guard let deadline else {
        pthread_cond_wait(condition, mutex)
        continue
      }
      let left = ContinuousClock.now.duration(to: deadline)
      guard left > .zero else { return }
      waitAtMost(left)
    }
    isSignalled = false
  }

  private func waitAtMost(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    var until = timespec()
    #if canImport(Glibc)
      clock_gettime(CLOCK_MONOTONIC, &until)
    #else
      clock_gettime(CLOCK_REALTIME, &until)
    #endif
    // A day is long enough for one wait: the caller's loop waits again, and nothing overflows.
    let nanoseconds = Int64(until.tv_nsec) + attoseconds / 1_000_000_000
    until.tv_sec += Int(min(seconds, 86_400) + nanoseconds / 1_000_000_000)
    until.tv_nsec = Int(nanoseconds % 1_000_000_000)
    pthread_cond_timedwait(condition, mutex, &until)
  }
}
