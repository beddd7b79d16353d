// The APIs about topics, configs and the cluster.

extension Dispatcher {
  static var catalogRoutes: [Route] {
    [
      Route(MetadataHandler.self), Route(CreateTopicsHandler.self), Route(DeleteTopicsHandler.self),
      Route(DescribeConfigsHandler.self), Route(AlterConfigsHandler.self),
      Route(AlterReplicaLogDirsHandler.self), Route(CreatePartitionsHandler.self), Route(ElectLeadersHandler.self),
      Route(IncrementalAlterConfigsHandler.self), Route(AlterPartitionReassignmentsHandler.self),
      Route(ListPartitionReassignmentsHandler.self), Route(DescribeQuorumHandler.self),
      Route(UpdateFeaturesHandler.self), Route(DescribeClusterHandler.self), Route(ListConfigResourcesHandler.self),
      Route(DescribeTopicPartitionsHandler.self),
    ]
  }
}
