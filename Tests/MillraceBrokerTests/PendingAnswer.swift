import MillraceProtocol
import NIOCore
import Synchronization
import Testing

@testable import MillraceBroker

extension TestBroker {
  /// Sends a request; what becomes of it is seen later.
  func begin<R: Request>(
    _ request: R, version: Int16? = nil, on connection: ConnectionInfo? = nil
  ) throws -> PendingAnswer<R> {
    let version = version ?? R.stableVersions.upperBound
    var frame = try encodeRequest(request, version: version, correlationId: 7, clientId: "test").buffer
    frame.moveReaderIndex(forwardBy: 4)
    let pending = PendingAnswer<R>(version: version)
    broker.handle(frame, from: connection ?? self.connection, pending)
    return pending
  }
}

/// The slot of a request that may have to wait.
final class PendingAnswer<R: Request>: ResponseSlot {
  private struct State {
    var outcome: ResponseOutcome?
    var waiting: CheckedContinuation<ResponseOutcome, Never>?
  }

  private let version: Int16
  private let state = Mutex(State())

  init(version: Int16) { self.version = version }

  func fulfil(_ outcome: ResponseOutcome) {
    let waiting = state.withLock { state in
      precondition(state.outcome == nil, "a slot is filled once")
      state.outcome = outcome
      defer { state.waiting = nil }
      return state.waiting
    }
    waiting?.resume(returning: outcome)
  }

  var isAnswered: Bool { state.withLock { $0.outcome != nil } }

  func answer() async throws -> R.Response {
    let outcome = await withCheckedContinuation { continuation in
      let known = state.withLock { state -> ResponseOutcome? in
        if state.outcome == nil { state.waiting = continuation }
        return state.outcome
      }
      if let known { continuation.resume(returning: known) }
    }
    guard case .respond(let response) = outcome else { throw TestBroker.UnexpectedOutcome("\(outcome)") }
    var frame = try response.whole()
    frame.moveReaderIndex(forwardBy: 4)
    return try decodeResponse(to: R.self, version: version, frame).response
  }
}

/// Waits until `condition` holds, for what happens on other threads.
func eventually(
  within seconds: Double = 120, _ condition: () async throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
  let deadline = ContinuousClock.now + .seconds(seconds)
  while ContinuousClock.now < deadline {
    if try await condition() { return }
    try await Task.sleep(for: .milliseconds(5))
  }
  Issue.record("it did not happen within \(seconds) s", sourceLocation: sourceLocation)
}
