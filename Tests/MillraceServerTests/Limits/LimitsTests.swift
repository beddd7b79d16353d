import Logging
import NIOCore
import Synchronization
import Testing

@testable import MillraceServer

@Suite struct RequestMemoryTests {
  @Test func `a reservation succeeds while any memory is left`() {
    let memory = RequestMemory(limitBytes: 100)
    #expect(memory.reserve(99))
    #expect(memory.reserve(1000))
    #expect(!memory.reserve(1))
    memory.release(1000)
    #expect(memory.reserve(1))
    #expect(memory.usedBytes == 100)
  }

  @Test func `who waits is woken once, when memory is free`() {
    let memory = RequestMemory(limitBytes: 100)
    #expect(memory.reserve(200))
    let woken = Mutex(0)
    memory.whenAvailable { woken.withLock { $0 += 1 } }
    memory.release(50)
    #expect(woken.withLock { $0 } == 0)
    memory.release(100)
    #expect(woken.withLock { $0 } == 1)
    memory.release(50)
    #expect(woken.withLock { $0 } == 1)
  }

  @Test func `who comes when memory is free does not wait`() {
    let memory = RequestMemory(limitBytes: 100)
    let woken = Mutex(false)
    memory.whenAvailable { woken.withLock { $0 = true } }
    #expect(woken.withLock { $0 })
  }

  @Test func `no wake-up is lost between threads`() async {
    let memory = RequestMemory(limitBytes: 1)
    let rounds = 2000
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<rounds {
            while !memory.reserve(1) {
              await withCheckedContinuation { continuation in memory.whenAvailable { continuation.resume() } }
            }
            memory.release(1)
          }
        }
      }
    }
    #expect(memory.usedBytes == 0)
  }
}

@Suite struct ConnectionQuotaTests {
  @Test func `connections are limited in all and by address`() throws {
    let quota = ConnectionQuota(
      limits: ConnectionQuota.Limits(total: 4, perAddress: 2, overrides: ["10.0.0.9": 1, "10.0.0.8": 3]))
    try quota.admit("10.0.0.1")
    try quota.admit("10.0.0.1")
    #expect(throws: ConnectionQuota.Refusal.address(limit: 2)) { try quota.admit("10.0.0.1") }
    try quota.admit("10.0.0.9")
    #expect(throws: ConnectionQuota.Refusal.address(limit: 1)) { try quota.admit("10.0.0.9") }
    try quota.admit("10.0.0.8")
    #expect(throws: ConnectionQuota.Refusal.total(limit: 4)) { try quota.admit("10.0.0.8") }
    #expect(quota.count == 4)
    quota.release("10.0.0.1")
    try quota.admit("10.0.0.1")
  }

  @Test func `a refused connection is not counted`() {
    let quota = ConnectionQuota(limits: ConnectionQuota.Limits(total: 0))
    #expect(throws: ConnectionQuota.Refusal.total(limit: 0)) { try quota.admit("10.0.0.1") }
    quota.release("10.0.0.1")
    #expect(quota.count == 0)
  }
}

@Suite struct ConnectionRateTests {
  @Test func `so many connections a second are taken, the next one waits for the next second`() {
    let start = NIODeadline.now()
    let rate = ConnectionRate(limit: 2, now: start)
    rate.take()
    #expect(rate.wait(start) == nil)
    rate.take()
    #expect(rate.wait(start + .milliseconds(300)) == .milliseconds(700))
    #expect(rate.wait(start + .seconds(1)) == nil)
    rate.take()
    rate.take()
    #expect(rate.wait(start + .milliseconds(1500)) == .milliseconds(500))
  }
}

@Suite struct ConnectionLogTests {
  @Test func `lines are limited, and those left out are counted`() {
    let lines = LogCapture()
    let start = ContinuousClock.now
    let log = ConnectionLog(logger: lines.logger, now: start)
    for index in 0..<100 { log.warn("line \(index)", now: start) }
    #expect(lines.all.count == ConnectionLog.linesPerWindow)
    log.warn("later", now: start + ConnectionLog.window)
    #expect(lines.all.suffix(2) == ["80 similar lines about connections were left out", "later"])
  }
}

/// Collects log lines.
final class LogCapture: Sendable {
  private let lines = Mutex<[String]>([])

  var all: [String] { lines.withLock { $0 } }

  var logger: Logger { Logger(label: "test") { _ in Handler(capture: self) } }

  private struct Handler: LogHandler {
    let capture: LogCapture
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { capture.lines.withLock { $0.append("\(event.message)") } }
  }
}
