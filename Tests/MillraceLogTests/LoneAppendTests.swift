import MillraceRecords
import Synchronization
import Testing

@testable import MillraceLog

#if canImport(Glibc)
  import Glibc
#endif

/// An event loop, as far as the log sees one: this thread, while it is in a turn.
private final class Turn: Sendable {
  private let state = Mutex<(isRunning: Bool, ends: [@Sendable () -> Void])>((false, []))

  var afterTurn: AfterTurn {
    { body in
      self.state.withLock { state in
        if state.isRunning { state.ends.append(body) }
        return state.isRunning
      }
    }
  }

  var hasWork: Bool { state.withLock { !$0.ends.isEmpty } }

  func begin() { state.withLock { $0.isRunning = true } }
  func pause() { state.withLock { $0.isRunning = false } }

  func end() {
    let ends = state.withLock { state in
      defer { state = (false, []) }
      return state.ends
    }
    for body in ends { body() }
  }
}

@Suite struct `A lone append in the turn of an event loop` {
  private let workspace = Workspace()
  private let faulty = FaultyFileSystem()
  private let turn = Turn()

  init() {
    workspace.fileSystem = faulty
    workspace.afterTurn = turn.afterTurn
    workspace.quickFlush = .seconds(3600)
  }

  /// Begins a turn with an append that found the thread of the commits idle.
  private func beginTurn(_ log: PartitionLog) throws {
    // The first commit of a log also makes its file, and shows how quick flushes are.
    try log.append(batch(["first"]))
    try log.settle()
    turn.begin()
    try log.append(batch(["a"]))
    while !turn.hasWork {
      try log.settle()
      usleep(1000)
      try log.append(batch(["a"]))
    }
  }

  private func isDurable(_ log: PartitionLog) -> Bool { log.offsets.highWatermark == log.offsets.logEndOffset }

  /// Where the end of the log was heard to be durable.
  private func listen(_ log: PartitionLog) -> HeardOn {
    let heard = HeardOn()
    log.whenDurable(through: log.offsets.logEndOffset) { _ in heard.put(pthread_self()) }
    return heard
  }

  @Test func `it is flushed where it was made, when the turn is over`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try beginTurn(log)
    let heard = listen(log)
    #expect(!isDurable(log))
    turn.end()
    #expect(isDurable(log))
    #expect(heard.value == pthread_self())
    store.close(nowMs: workspace.now)
  }

  @Test func `a little more for the same log is flushed with it`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try beginTurn(log)
    try log.append(batch(["b"]))
    let heard = listen(log)
    turn.end()
    #expect(isDurable(log))
    #expect(heard.value == pthread_self())
    store.close(nowMs: workspace.now)
  }

  @Test func `what comes with much for the same log is for the thread`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try beginTurn(log)
    try log.append(batch([String(repeating: "x", count: PartitionLog.littleBytes)]))
    let heard = listen(log)
    turn.end()
    #expect(heard.wait() != pthread_self())
    store.close(nowMs: workspace.now)
  }

  @Test func `what comes with something for another log is for the thread`() throws {
    let store = try workspace.open()
    let (log, other) = (try workspace.log(store), try workspace.log(store, topic: "other"))
    try beginTurn(log)
    try other.append(batch(["b"]))
    let heard = listen(log)
    turn.end()
    #expect(heard.wait() != pthread_self())
    try other.settle()
    store.close(nowMs: workspace.now)
  }

  @Test func `a large one is for the thread at once`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    turn.begin()
    try log.append(batch([String(repeating: "x", count: PartitionLog.littleBytes)]))
    #expect(!turn.hasWork)
    try log.settle()
    store.close(nowMs: workspace.now)
  }

  @Test func `where flushes are slow it is for the thread`() throws {
    workspace.quickFlush = .zero
    let store = try workspace.open()
    let log = try workspace.log(store)
    try beginTurn(log)
    let heard = listen(log)
    turn.end()
    #expect(heard.wait() != pthread_self())
    store.close(nowMs: workspace.now)
  }

  @Test func `who appends elsewhere does not wait for the turn`() throws {
    let store = try workspace.open()
    let (log, other) = (try workspace.log(store), try workspace.log(store, topic: "other"))
    try beginTurn(log)
    turn.pause()
    try other.append(batch(["b"]))
    try other.settle()
    try log.settle()
    turn.end()
    try beginTurn(log)
    turn.end()
    #expect(isDurable(log))
    store.close(nowMs: workspace.now)
  }

  @Test func `while another flush runs it is for the thread`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    let other = try workspace.log(store, LogConfig(durability: .buffered), topic: "other")
    try beginTurn(log)
    let heard = listen(log)
    faulty.holdFlushes()
    try other.append(batch(["b"]))
    BackgroundThread.start(name: "checkpoint") { other.home.commit.commit([other]) }
    faulty.waitForFlush()
    turn.end()
    #expect(!isDurable(log))
    faulty.releaseFlushes()
    #expect(heard.wait() != pthread_self())
    store.close(nowMs: workspace.now)
  }

  @Test func `its failed flush is told, and the last thing the log is written`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try beginTurn(log)
    let outcomes = Collected<Bool>()
    log.whenDurable(through: log.offsets.logEndOffset) { result in
      if case .failure = result { outcomes.add(true) }
    }
    faulty.fail(.synchronize, ".log", EIO)
    turn.end()
    #expect(outcomes.all == [true])
    #expect(throws: LogError.self) { try log.append(batch(["b"])) }
    store.close(nowMs: workspace.now)
  }

  @Test func `closing does not wait for the turn`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try beginTurn(log)
    store.close(nowMs: workspace.now)
    turn.end()
    let reopened = try workspace.open()
    #expect(try workspace.log(reopened).values().last?.value == "a")
    reopened.close(nowMs: workspace.now)
  }
}

/// The thread on which something was heard.
private final class HeardOn: Sendable {
  private let thread = Mutex<pthread_t?>(nil)

  var value: pthread_t? { thread.withLock { $0 } }
  func put(_ value: pthread_t) { thread.withLock { $0 = value } }

  func wait() -> pthread_t {
    while true {
      if let value { return value }
      usleep(200)
    }
  }
}
