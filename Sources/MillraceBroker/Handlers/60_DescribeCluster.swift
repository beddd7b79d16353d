// DescribeCluster, key 60 (KIP-700). v0 flexible   v1 the kind of endpoint (KIP-919)   v2 fenced brokers (KIP-1073).

import MillraceProtocol

struct DescribeClusterHandler: Handler {
  private enum EndpointType {
    static let brokers: Int8 = 1
    static let controllers: Int8 = 2
  }

  func handle(_ request: DescribeClusterRequest, _ context: RequestContext, _ reply: Reply<DescribeClusterResponse>) {
    guard request.endpointType == EndpointType.brokers else {
      let isKnown = request.endpointType == EndpointType.controllers
      return reply.send(
        DescribeClusterResponse(
          errorCode: (isKnown ? ErrorCode.mismatchedEndpointType : .unsupportedEndpointType).rawValue,
          errorMessage: isKnown
            ? "This is a broker's listener, not a controller's." : "Endpoint type \(request.endpointType) is not known."
        ))
    }
    let broker = context.broker
    let endpoint = broker.advertised.endpoint(for: context.connection.listener)
    let node = DescribeClusterResponse.DescribeClusterBroker(
      brokerId: broker.configuration.nodeId, host: endpoint.host, port: endpoint.port, rack: broker.configuration.rack)
    reply.send(
      DescribeClusterResponse(
        clusterId: broker.store.clusterId, controllerId: broker.configuration.nodeId, brokers: [node],
        clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
          ? AuthorizedOperations.cluster : AuthorizedOperations.notRequested))
  }
}
