// One event loop's share of the server: its connections, its receive buffers, and the mailbox through which other
// threads reach it.
//
// Answers that become ready at once (a commit covers many produces) cost one wake-up of the loop and one flush for
// each connection: they are collected in the mailbox, filled in together, and only then is each connection driven.
//
// `@unchecked Sendable`: everything but the mailbox belongs to the event loop.

import MillraceBroker
import NIOCore
import Synchronization

final class NetworkThread: @unchecked Sendable {
  enum Message: Sendable {
    case answer(Connection, RequestNumber, ResponseOutcome)
    case run(@Sendable () -> Void)
  }

  private struct Mailbox {
    var messages: [Message] = []
    var isScheduled = false
    var isClosed = false
  }

  let eventLoop: any EventLoop
  let pool = BufferPool()

  private let mailbox = Mutex(Mailbox())
  private var emptied: [Message] = []
  private var ready: [Connection] = []
  private var isReadyScheduled = false
  private var connections: [ObjectIdentifier: Connection] = [:]
  private var whenEmpty: EventLoopPromise<Void>?
  /// No connection is added any more.
  private(set) var isDraining = false
  private var sweep: RepeatedTask?

  init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  // MARK: From any thread

  /// Delivers a message on the event loop, soon. After the server has stopped it is dropped.
  func post(_ message: Message) {
    let wakes = mailbox.withLock { mailbox in
      guard !mailbox.isClosed else { return false }
      mailbox.messages.append(message)
      defer { mailbox.isScheduled = true }
      return !mailbox.isScheduled
    }
    if wakes { eventLoop.execute { self.deliver() } }
  }

  func closeMailbox() {
    mailbox.withLock { mailbox in
      mailbox.isClosed = true
      mailbox.messages = []
    }
  }

  // MARK: On the event loop

  private func deliver() {
    mailbox.withLock { mailbox in
      swap(&mailbox.messages, &emptied)
      mailbox.isScheduled = false
    }
    for message in emptied {
      switch message {
      case .answer(let connection, let number, let outcome): connection.fulfil(number, with: outcome)
      case .run(let body): body()
      }
    }
    emptied.removeAll(keepingCapacity: true)
    driveReady()
  }

  /// Drives the connection once the present work of the loop is done.
  func driveSoon(_ connection: Connection) {
    guard !connection.isDriveScheduled else { return }
    connection.isDriveScheduled = true
    ready.append(connection)
    guard !isReadyScheduled else { return }
    isReadyScheduled = true
    eventLoop.assumeIsolated().execute { self.driveReady() }
  }

  private func driveReady() {
    isReadyScheduled = false
    guard !ready.isEmpty else { return }
    var batch: [Connection] = []
    swap(&batch, &ready)
    for connection in batch {
      connection.isDriveScheduled = false
      connection.driveNow()
    }
    batch.removeAll(keepingCapacity: true)
    if ready.isEmpty { swap(&batch, &ready) }
  }

  /// What the receive buffers of its connections take.
  var receiveBufferBytes: Int { connections.values.reduce(0) { $0 + $1.receiveBufferBytes } }

  func add(_ connection: Connection) { connections[ObjectIdentifier(connection)] = connection }

  func remove(_ connection: Connection) {
    connections.removeValue(forKey: ObjectIdentifier(connection))
    guard connections.isEmpty else { return }
    pool.trim()
    whenEmpty?.succeed()
    whenEmpty = nil
  }

  /// Starts to look for idle connections: one coarse timer a loop, none a connection or a request. It is at most a
  /// quarter late, or 15 seconds.
  func startSweeping(maxIdle: TimeAmount) {
    let quarter = TimeAmount.nanoseconds(maxIdle.nanoseconds / 4)
    let interval = min(max(quarter, .milliseconds(20)), .seconds(15))
    sweep = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
      let now = NIODeadline.now()
      for connection in self.connections.values { connection.closeIfIdle(now) }
      self.pool.trim()
    }
  }

  /// Lets every connection finish what it took, and closes those that have not by `deadline`.
  /// The future succeeds when no connection is left.
  func drain(until deadline: NIODeadline) -> EventLoopFuture<Void> {
    isDraining = true
    sweep?.cancel()
    sweep = nil
    guard !connections.isEmpty else { return eventLoop.makeSucceededVoidFuture() }
    let promise = eventLoop.makePromise(of: Void.self)
    whenEmpty = promise
    for connection in connections.values { connection.drain() }
    let forced = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
      for connection in self.connections.values { connection.closeNow() }
    }
    promise.futureResult.whenComplete { _ in forced.cancel() }
    return promise.futureResult
  }
}
