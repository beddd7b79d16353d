// The APIs about groups and their offsets.

extension Dispatcher {
  static var groupRoutes: [Route] {
    [
      Route(OffsetCommitHandler.self), Route(OffsetFetchHandler.self), Route(FindCoordinatorHandler.self),
      Route(JoinGroupHandler.self), Route(HeartbeatHandler.self), Route(LeaveGroupHandler.self),
      Route(SyncGroupHandler.self), Route(DescribeGroupsHandler.self), Route(ListGroupsHandler.self),
      Route(DeleteGroupsHandler.self), Route(OffsetDeleteHandler.self),
      Route(ConsumerGroupHeartbeatHandler.self), Route(ConsumerGroupDescribeHandler.self),
    ]
  }
}
