// Lets a thread that may block wait for what is answered by a callback.

import MillraceLog
import Synchronization

/// Calls `start` and blocks until it calls back, once, on any thread.
func waiting<Value: Sendable>(_ start: (@escaping @Sendable (Value) -> Void) -> Void) -> Value {
  let awaited = Awaited<Value>()
  start { awaited.put($0) }
  return awaited.take()
}

func waitUntilDone(_ start: (@escaping @Sendable () -> Void) -> Void) {
  let _: Bool = waiting { done in start { done(true) } }
}

/// Carries one value from whoever has it to the one thread that waits for it.
private final class Awaited<Value: Sendable>: Sendable {
  private let value = Mutex<Value?>(nil)
  private let wakeUp = WakeUp()

  func put(_ value: Value) {
    self.value.withLock { $0 = value }
    wakeUp.signal()
  }

  func take() -> Value {
    while true {
      if let value = value.withLock({ $0 }) { return value }
      wakeUp.wait()
    }
  }
}
