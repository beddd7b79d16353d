// DescribeTransactions, key 65 (KIP-664).

import MillraceCoordination
import MillraceProtocol

struct DescribeTransactionsHandler: Handler {
  func handle(
    _ request: DescribeTransactionsRequest, _ context: RequestContext, _ reply: Reply<DescribeTransactionsResponse>
  ) {
    context.broker.transactions.describe(request.transactionalIds.eachOnce()) {
      reply.send(DescribeTransactionsResponse(transactionStates: $0))
    }
  }
}
