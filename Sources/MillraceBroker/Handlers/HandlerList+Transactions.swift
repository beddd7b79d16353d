// The APIs about producers and transactions.

extension Dispatcher {
  static var transactionRoutes: [Route] {
    [
      Route(InitProducerIdHandler.self), Route(AddPartitionsToTxnHandler.self), Route(AddOffsetsToTxnHandler.self),
      Route(EndTxnHandler.self), Route(WriteTxnMarkersHandler.self), Route(TxnOffsetCommitHandler.self),
      Route(DescribeProducersHandler.self), Route(DescribeTransactionsHandler.self),
      Route(ListTransactionsHandler.self),
    ]
  }
}
