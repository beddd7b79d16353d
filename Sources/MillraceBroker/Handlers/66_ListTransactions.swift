// ListTransactions, key 66 (KIP-664). v1 duration filter (KIP-994), v2 a regular expression for the transactional id, in
// RE2's syntax (KIP-1152).

import MillraceProtocol

struct ListTransactionsHandler: Handler {
  static let versions: ClosedRange<Int16> = 0...2

  func handle(
    _ request: ListTransactionsRequest, _ context: RequestContext, _ reply: Reply<ListTransactionsResponse>
  ) {
    context.broker.transactions.list(request) { reply.send($0) }
  }
}
