// A produce with acks=all that waits for its commit: every partition it wrote to reports once, and the response goes
// out with the last one, or when the request's time is up.

import MillraceLog
import MillraceProtocol
import Synchronization

final class PendingProduce: Sendable {
  typealias PartitionAnswer = ProduceResponse.PartitionProduceResponse

  private struct State {
    var response: ProduceResponse
    /// Where the partitions stand; nil for those that have reported.
    var places: [Place?]
    var waitingCount: Int
    var timer: Timers.Timer?

    mutating func fail(_ place: Place, _ code: ErrorCode) {
      let index = response.responses[place.topic].partitionResponses[place.partition].index
      response.responses[place.topic].partitionResponses[place.partition] = .failed(index, code)
    }
  }

  /// Where in the response a partition's answer stands.
  struct Place: Hashable, Sendable {
    var topic: Int
    var partition: Int
  }

  private let reply: Reply<ProduceResponse>
  private let state: Mutex<State>

  init(_ response: ProduceResponse, waitingFor places: [Place], _ reply: Reply<ProduceResponse>) {
    self.reply = reply
    state = Mutex(State(response: response, places: places, waitingCount: places.count))
  }

  func arm(_ timers: Timers, timeout: Duration) {
    let timer = timers.schedule(after: timeout) { [weak self] in self?.expire() }
    let isOver = state.withLock { state in
      state.timer = timer
      return state.waitingCount == 0
    }
    if isOver { timer.cancel() }
  }

  /// The batch at the place of that number became durable, or never will.
  func settle(_ number: Int, _ result: Result<Void, LogError>) {
    let finished = state.withLock { state -> (ProduceResponse, Timers.Timer?)? in
      guard let place = state.places[number].take() else { return nil }
      state.waitingCount -= 1
      if case .failure(let error) = result { state.fail(place, ErrorCode(error)) }
      return state.waitingCount == 0 ? (state.response, state.timer) : nil
    }
    guard let (response, timer) = finished else { return }
    timer?.cancel()
    reply.send(response)
  }

  private func expire() {
    let response = state.withLock { state -> ProduceResponse? in
      guard state.waitingCount > 0 else { return nil }
      for case let place? in state.places { state.fail(place, .requestTimedOut) }
      (state.places, state.waitingCount) = (state.places.map { _ in nil }, 0)
      return state.response
    }
    if let response { reply.send(response) }
  }
}

extension ProduceResponse.PartitionProduceResponse {
  static func failed(_ index: Int32, _ code: ErrorCode, _ message: String? = nil) -> Self {
    Self(
      index: index, errorCode: code.rawValue, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1,
      errorMessage: message)
  }
}
