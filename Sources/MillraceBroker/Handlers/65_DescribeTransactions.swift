// DescribeTransactions, key 65 (KIP-664).

import MillraceProtocol

struct DescribeTransactionsHandler: Handler {
  func handle(
    _ request: DescribeTransactionsRequest, _ context: RequestContext, _ reply: Reply<DescribeTransactionsResponse>
  ) {
    context.broker.transactions.describe(request.transactionalIds) {
      reply.send(DescribeTransactionsResponse(transactionStates: $0))
    }
  }
}
