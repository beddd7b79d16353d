// The APIs about share groups and their state.

extension Dispatcher {
  static var shareRoutes: [Route] {
    [
      Route(ShareGroupHeartbeatHandler.self), Route(ShareGroupDescribeHandler.self),
      Route(DescribeShareGroupOffsetsHandler.self), Route(AlterShareGroupOffsetsHandler.self),
      Route(DeleteShareGroupOffsetsHandler.self),
      Route(InitializeShareGroupStateHandler.self), Route(ReadShareGroupStateHandler.self),
      Route(WriteShareGroupStateHandler.self), Route(DeleteShareGroupStateHandler.self),
      Route(ReadShareGroupStateSummaryHandler.self), Route(ShareFetchHandler.self), Route(ShareAcknowledgeHandler.self),
    ]
  }
}
