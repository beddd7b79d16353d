// A fetch that found too little: it waits at its partitions until there is enough, its time is up, or its connection
// closes. Woken, it looks again on its connection's own thread; however often it is woken meanwhile, it looks once.

import MillraceProtocol
import Synchronization

final class ParkedFetch: Sendable {
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

  private let work: FetchWork
  private let partitions: [Partition]
  private let state = Mutex(State())

  /// Parks the work. The partitions may have moved since the work last looked, so it looks once more when parked.
  static func park(_ work: FetchWork, for wait: Duration) {
    let fetch = ParkedFetch(work)
    let connection = work.reply.context.connection
    let timer = work.broker.timers.schedule(after: wait) { [weak fetch] in
      guard let fetch else { return }
      connection.execute { fetch.finish(work.evaluate()) }
    }
    let token = connection.onClose { [weak fetch] in fetch?.abandon() }
    let isDone = fetch.state.withLock { state in
      state.timer = timer
      state.closeToken = token
      return state.phase == .done
    }
    if isDone { return timer.cancel() }
    for partition in fetch.partitions { partition.park(fetch) }
    fetch.lookAgain()
  }

  private init(_ work: FetchWork) {
    self.work = work
    partitions = work.targets.compactMap(\.partition)
  }

  /// Called by a partition, on any thread.
  func wake() {
    let isFirst = state.withLock { state in
      guard state.phase == .waiting else { return false }
      state.phase = .woken
      return true
    }
    if isFirst { work.reply.context.connection.execute { self.lookAgain() } }
  }

  private func lookAgain() {
    let isOver = state.withLock { state in
      if state.phase == .woken { state.phase = .waiting }
      return state.phase == .done
    }
    if isOver { return }
    let evaluation = work.evaluate()
    if work.isEnough(evaluation) { finish(evaluation) }
  }

  private func finish(_ evaluation: @autoclosure () -> FetchEvaluation) {
    guard leave() else { return }
    work.answer(evaluation())
  }

  private func abandon() {
    guard leave() else { return }
    work.reply.sendNothing()
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
    work.reply.context.connection.removeOnClose(token)
    for partition in partitions { partition.unpark(self) }
    return true
  }
}
