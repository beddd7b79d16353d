// A fetch that found too little: it waits at its places until there is enough, its time is up, or its connection
// closes. Woken, it looks again on its connection's own thread; however often it is woken meanwhile, it looks once.
//
// Of a Fetch and of a ShareFetch: what they look at, and where they wait, is their work's to say.

import MillraceProtocol
import Synchronization

/// What is woken when there may be something to fetch. `wake` may be called on any thread, and must be short.
protocol FetchWaiter: AnyObject, Sendable {
  func wake()
}

/// Where fetches wait.
protocol FetchPlace: AnyObject, Sendable {
  func park(_ waiter: any FetchWaiter)
  func unpark(_ waiter: any FetchWaiter)
}

/// A fetch that can be looked at as often as needed, and is answered or dropped once.
protocol WaitingWork: Sendable {
  associatedtype Evaluation: Sendable
  var context: RequestContext { get }
  var places: [any FetchPlace] { get }

  /// - Parameter isLast: whatever is found now is the answer.
  func evaluate(isLast: Bool) -> Evaluation
  func isEnough(_ evaluation: Evaluation) -> Bool
  func answer(_ evaluation: Evaluation)
  /// Nobody is there to be answered.
  func abandon()
  /// The evaluation came too late to be the answer: what it took is to be given back.
  func takeBack(_ evaluation: Evaluation)
}

final class ParkedFetch<Work: WaitingWork>: FetchWaiter {
  private enum Phase {
    case waiting
    case woken
    case done
  }

  private struct State {
    var phase = Phase.waiting
    var timer: Timers.Timer?
    var closeToken: UInt64 = 0
  }

  private let work: Work
  private let places: [any FetchPlace]
  private let state = Mutex(State())

  /// Parks the work. The places may have moved since the work last looked, so it looks once more when parked.
  static func park(_ work: Work, for wait: Duration) {
    let fetch = ParkedFetch(work)
    let connection = work.context.connection
    let timer = work.context.broker.timers.schedule(after: wait) { [weak fetch] in
      guard let fetch else { return }
      connection.execute {
        if fetch.leave() { work.answer(work.evaluate(isLast: true)) }
      }
    }
    let token = connection.onClose { [weak fetch] in
      if let fetch, fetch.leave() { work.abandon() }
    }
    let isDone = fetch.state.withLock { state in
      state.timer = timer
      state.closeToken = token
      return state.phase == .done
    }
    if isDone { return timer.cancel() }
    for place in fetch.places { place.park(fetch) }
    if fetch.isOver {
      for place in fetch.places { place.unpark(fetch) }
    } else {
      fetch.lookAgain()
    }
  }

  private init(_ work: Work) {
    self.work = work
    places = work.places
  }

  func wake() {
    let isFirst = state.withLock { state in
      guard state.phase == .waiting else { return false }
      state.phase = .woken
      return true
    }
    if isFirst { work.context.connection.execute { self.lookAgain() } }
  }

  private var isOver: Bool { state.withLock { $0.phase == .done } }

  private func lookAgain() {
    state.withLock { if $0.phase == .woken { $0.phase = .waiting } }
    if isOver { return }
    let evaluation = work.evaluate(isLast: false)
    guard work.isEnough(evaluation) else { return }
    if leave() { work.answer(evaluation) } else { work.takeBack(evaluation) }
  }

  /// True for the one caller that ends the wait.
  private func leave() -> Bool {
    let ended = state.withLock { state -> (Timers.Timer?, UInt64)? in
      guard state.phase != .done else { return nil }
      state.phase = .done
      return (state.timer, state.closeToken)
    }
    guard let (timer, token) = ended else { return false }
    timer?.cancel()
    work.context.connection.removeOnClose(token)
    for place in places { place.unpark(self) }
    return true
  }
}
