// Fetch, key 1.
//
// v4  isolation level (KIP-98)          v12 flexible; diverging epochs (KIP-595)
// v5  log start offset                  v13 topics by id (KIP-516)
// v7  sessions (KIP-227)                v15 replica state instead of replica id (KIP-903)
// v9  current leader epoch (KIP-320)    v16 node endpoints (KIP-951)
// v11 rack id (KIP-392)                 v17, v18 for followers only
//
// There are no followers of this broker, so every fetch is a consumer's: it never sees past the high watermark.

import MillraceLog
import MillraceProtocol

struct FetchHandler: Handler {
  func handle(_ request: FetchRequest, _ context: RequestContext, _ reply: Reply<FetchResponse>) {
    let broker = context.broker
    let session = broker.fetchSessions.context(
      for: request, version: context.version, now: broker.clock.monotonic())
    if case .error(let code) = session { return reply.send(FetchResponse(errorCode: code.rawValue)) }

    let maxBytes = min(Int(max(0, request.maxBytes)), broker.configuration.fetchMaxBytes)
    let work = FetchWork(
      reply: reply, session: session, targets: session.partitions.map { FetchTarget($0, in: broker.topics) },
      minBytes: min(Int(max(0, request.minBytes)), maxBytes), maxBytes: maxBytes,
      isolation: request.isolationLevel == 1 ? .readCommitted : .readUncommitted)
    let evaluation = work.evaluate()
    if request.maxWaitMs <= 0 || work.isEnough(evaluation) {
      work.answer(evaluation)
    } else {
      ParkedFetch.park(work, for: .milliseconds(request.maxWaitMs))
    }
  }
}
