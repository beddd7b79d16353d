// EndTxn, key 26 (KIP-98). v2 PRODUCER_FENCED   v3 flexible   v4 TRANSACTION_ABORTABLE
// v5 transaction version 2: the answer has the epoch for the next transaction (KIP-890)
//
// Answered when the outcome is decided, durably; it is written into the partitions after that.

import MillraceProtocol

struct EndTxnHandler: Handler {
  func handle(_ request: EndTxnRequest, _ context: RequestContext, _ reply: Reply<EndTxnResponse>) {
    context.broker.transactions.end(request, version: context.version) { response in
      var response = response
      response.errorCode.spellFencing(knownFrom: 2, in: context.version)
      reply.send(response)
    }
  }
}
