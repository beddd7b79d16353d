// What a test has go wrong between clients and the broker: answers that are late, lost or refusals, and connections
// that end. It works alike for clients in the process and over TCP, since it sits where requests come out of both.

import MillraceBroker
import MillraceProtocol
import MillraceServer
import NIOCore
import NIOPosix
import Synchronization

/// What happens to requests instead of being answered.
///
/// ```swift
/// // Written, but the producer does not learn it.
/// broker.network.inject(.lostAnswer, into: .produce)
/// broker.network.inject(.refusal(.notLeaderOrFollower), into: .fetch, times: 3)
/// broker.network.inject(.delay(.milliseconds(200)), times: .max)
/// ```
public final class NetworkFaults: Sendable {
  /// What happens to a request.
  public enum Fault: Sendable, Equatable {
    /// The request is done, its answer, and all behind it on the connection, come later.
    case delay(Duration)
    /// The connection ends before the request is looked at.
    case disconnect
    /// The request is done, and the connection ends instead of an answer.
    case lostAnswer
    /// The request is not done; the answer is this error. For requests that have no place for an error in their
    /// answer here it is as `disconnect`.
    case refusal(ErrorCode)
  }

  private struct Injection {
    var fault: Fault
    var api: ApiKey?
    var left: Int
  }

  private struct State {
    var injections: [Injection] = []
    var struck = 0
  }

  private let state = Mutex(State())

  /// Has the next requests go wrong. Of several faults that a request could meet, the one injected first strikes.
  ///
  /// - Parameters:
  ///   - fault: what happens to them.
  ///   - api: which requests; nil is all.
  ///   - times: how many of them.
  public func inject(_ fault: Fault, into api: ApiKey? = nil, times: Int = 1) {
    guard times > 0 else { return }
    state.withLock { $0.injections.append(Injection(fault: fault, api: api, left: times)) }
  }

  /// Ends all faults.
  public func heal() { state.withLock { $0.injections = [] } }

  /// How many requests have gone wrong so far.
  public var struckCount: Int { state.withLock { $0.struck } }

  func take(for api: ApiKey) -> Fault? {
    state.withLock { state in
      guard let index = state.injections.firstIndex(where: { $0.api == nil || $0.api == api }) else { return nil }
      let fault = state.injections[index].fault
      state.injections[index].left -= 1
      if state.injections[index].left == 0 { state.injections.remove(at: index) }
      state.struck += 1
      return fault
    }
  }
}

/// Stands between the connections and the broker.
struct FaultyHandler: RequestHandling {
  let next: any RequestHandling
  let faults: NetworkFaults

  func handle(_ frame: ByteBuffer, from connection: ConnectionInfo, _ slot: any ResponseSlot) {
    guard let api = frame.getInteger(at: frame.readerIndex, as: Int16.self).map(ApiKey.init(rawValue:)),
      let fault = faults.take(for: api)
    else { return next.handle(frame, from: connection, slot) }
    switch fault {
    case .delay(let duration):
      next.handle(
        frame, from: connection,
        ChangedSlot(slot) { outcome, slot in
          MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: TimeAmount(duration)) { slot.fulfil(outcome) }
        })
    case .disconnect: slot.fulfil(Self.end)
    case .lostAnswer: next.handle(frame, from: connection, ChangedSlot(slot) { _, slot in slot.fulfil(Self.end) })
    case .refusal(let code): slot.fulfil((try? Refusal.answer(to: frame, with: code)) ?? Self.end)
    }
  }

  private static let end = ResponseOutcome.close(reason: "a test had it end")
}

/// Does something else with an outcome than to give it to the connection.
private struct ChangedSlot: ResponseSlot {
  private let slot: any ResponseSlot
  private let change: @Sendable (ResponseOutcome, any ResponseSlot) -> Void

  init(_ slot: any ResponseSlot, _ change: @escaping @Sendable (ResponseOutcome, any ResponseSlot) -> Void) {
    self.slot = slot
    self.change = change
  }

  func fulfil(_ outcome: ResponseOutcome) { change(outcome, slot) }
}
