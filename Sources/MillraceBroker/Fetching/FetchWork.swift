// A fetch request with everything resolved: can be looked at as often as needed, and is answered once.

import MillraceLog
import MillraceProtocol

struct FetchWork: WaitingWork {
  let reply: Reply<FetchResponse>
  let session: FetchSessionCache.Context
  var targets: [FetchTarget]
  let minBytes: Int
  let maxBytes: Int
  let isolation: Isolation

  var context: RequestContext { reply.context }
  var broker: Broker { context.broker }
  var places: [any FetchPlace] { targets.compactMap(\.partition) }

  func evaluate(isLast: Bool = false) -> FetchEvaluation {
    FetchEvaluation(
      targets, maxBytes: maxBytes, isolation: isolation, version: context.version,
      brokerId: broker.configuration.nodeId)
  }

  func isEnough(_ evaluation: FetchEvaluation) -> Bool {
    evaluation.byteCount >= minBytes || evaluation.hasError || evaluation.isHopeless
  }

  func abandon() { reply.sendNothing() }

  /// Looking takes nothing.
  func takeBack(_ evaluation: FetchEvaluation) {}

  func answer(_ evaluation: FetchEvaluation) {
    let version = context.version
    let (error, sessionId, results) = broker.fetchSessions.conclude(
      session, evaluation.results, version: version, now: broker.clock.monotonic())
    var response = FetchResponse(errorCode: error.rawValue, sessionId: sessionId)
    var plans: [ReadPlan] = []
    for result in results {
      var data = result.data
      if let plan = result.plan {
        data.records = .splice(id: plans.count, byteCount: plan.byteCount)
        plans.append(plan)
      }
      let key = result.key
      if let last = response.responses.last, last.topic == key.topic, last.topicId == key.topicId {
        response.responses[response.responses.count - 1].partitions.append(data)
      } else {
        response.responses.append(.init(topic: key.topic, topicId: key.topicId, partitions: [data]))
      }
    }
    if version >= 16, results.contains(where: { $0.data.errorCode == ErrorCode.fencedLeaderEpoch.rawValue }) {
      let endpoint = broker.advertised.endpoint(for: context.connection.listener)
      response.nodeEndpoints = [
        .init(
          nodeId: broker.configuration.nodeId, host: endpoint.host, port: endpoint.port,
          rack: broker.configuration.rack)
      ]
    }
    reply.send(response, splicing: plans)
  }
}
