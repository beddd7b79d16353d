// Every API that is served. An API that is not in the list is not announced.

extension Dispatcher {
  static var all: [Route] {
    [
      Route(ProduceHandler.self), Route(FetchHandler.self), Route(ListOffsetsHandler.self),
      Route(ApiVersionsHandler.self), Route(DeleteRecordsHandler.self),
      Route(OffsetForLeaderEpochHandler.self), Route(DescribeLogDirsHandler.self),
    ] + catalogRoutes + groupRoutes + shareRoutes + transactionRoutes
  }
}
