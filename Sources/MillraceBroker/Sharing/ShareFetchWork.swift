// A ShareFetch with everything resolved: can be looked at as often as needed, and is answered once. Looking acquires: an
// evaluation that is not the answer has to be given back.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

/// What one share-partition has for the member.
struct ShareFetchResult: Sendable {
  let key: ShareTopicPartition
  var error = ErrorCode.none
  var plan: ReadPlan?
  var acquired: [AcquiredRecords] = []
}

struct ShareFetchEvaluation: Sendable {
  var results: [ShareFetchResult] = []
  var recordCount = 0
  var byteCount = 0
  /// A share-partition that exists answered with an error: the consumer should hear of it at once.
  var hasError = false
}

/// One partition of a ShareFetch, resolved.
struct ShareFetchTarget: Sendable {
  let key: ShareTopicPartition
  var runtime: SharePartitionRuntime?
  /// Why there is no share-partition.
  var error = ErrorCode.none

  init(_ key: ShareTopicPartition, ofGroup groupId: String, in broker: Broker) {
    self.key = key
    guard let topic = broker.topics.topic(id: key.topicId) else {
      error = .unknownTopicId
      return
    }
    guard let partition = topic.partition(key.partition) else {
      error = .unknownTopicOrPartition
      return
    }
    runtime = broker.sharePartitions.runtime(groupId, key, of: partition)
    if runtime?.prepare(again: true) != true { error = .notLeaderOrFollower }
  }
}

struct ShareFetchWork: WaitingWork {
  let context: RequestContext
  let session: ShareSessionKey
  let targets: [ShareFetchTarget]
  let minBytes: Int
  let maxBytes: Int
  let maxRecords: Int32
  let batchSize: Int32
  let mode: ShareAcquireMode
  /// Called once; nil when nobody is there to be answered.
  let finish: @Sendable (ShareFetchEvaluation?) -> Void

  var places: [any FetchPlace] { targets.compactMap(\.runtime) }
  private var isHopeless: Bool { targets.allSatisfy { $0.runtime == nil } }

  /// Takes what there is at once, or parks.
  func begin(maxWaitMs: Int32) {
    guard maxRecords > 0, maxBytes > 0, !isHopeless else { return answer(evaluate(isLast: true)) }
    let evaluation = evaluate(isLast: maxWaitMs <= 0)
    if maxWaitMs <= 0 || isEnough(evaluation) {
      answer(evaluation)
    } else {
      ParkedFetch.park(self, for: .milliseconds(maxWaitMs))
    }
  }

  func evaluate(isLast: Bool) -> ShareFetchEvaluation {
    var evaluation = ShareFetchEvaluation()
    if minBytes > 1, !isLast, prospect < minBytes { return evaluation }
    for target in targets {
      var result = ShareFetchResult(key: target.key)
      result.error = target.error
      let left = (bytes: maxBytes - evaluation.byteCount, records: Int(maxRecords) - evaluation.recordCount)
      if let runtime = target.runtime, left.bytes > 0, left.records > 0 {
        let request = AcquireRequest(
          memberId: session.memberId, maxRecords: Int32(left.records), batchSize: batchSize, mode: mode)
        switch runtime.fetch(request, maxBytes: left.bytes, minOneBatch: evaluation.byteCount == 0) {
        case .nothing: break
        case .failed(let code):
          result.error = code
          evaluation.hasError = true
        case .acquired(let plan, let acquired):
          result.plan = plan
          result.acquired = acquired
          evaluation.byteCount += plan.byteCount
          evaluation.recordCount += acquired.reduce(0) { $0 + Int($1.lastOffset - $1.firstOffset + 1) }
        }
      }
      evaluation.results.append(result)
    }
    return evaluation
  }

  /// Bytes that could be read now, without acquiring; as soon as they are enough.
  private var prospect: Int {
    var sum = 0
    for target in targets where sum < minBytes { sum += target.runtime?.prospect(maxBytes: maxBytes) ?? 0 }
    return sum
  }

  func isEnough(_ evaluation: ShareFetchEvaluation) -> Bool { evaluation.byteCount > 0 || evaluation.hasError }

  func answer(_ evaluation: ShareFetchEvaluation) {
    if context.connection.isClosed {
      takeBack(evaluation)
      return finish(nil)
    }
    finish(evaluation)
  }

  func abandon() { finish(nil) }

  func takeBack(_ evaluation: ShareFetchEvaluation) {
    if evaluation.recordCount > 0 { context.broker.sharePartitions.takeBack(session) }
  }
}
