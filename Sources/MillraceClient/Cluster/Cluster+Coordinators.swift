// Which broker coordinates a group, a transactional id or a share-partition.

import MillraceProtocol

extension Cluster.CoordinatorKey {
  fileprivate var name: String {
    switch self {
    case .group(let name), .transaction(let name): name
    case .sharePartition(let group, let topicId, let partition): "\(group):\(topicId):\(partition)"
    }
  }

  fileprivate var type: Int8 {
    switch self {
    case .group: 0
    case .transaction: 1
    case .sharePartition: 2
    }
  }

  var subject: String {
    switch self {
    case .group(let name): "group '\(name)'"
    case .transaction(let name): "transactional id '\(name)'"
    case .sharePartition(let group, let topicId, let partition):
      "partition \(partition) of topic \(topicId) in share group '\(group)'"
    }
  }
}

extension Cluster {
  /// The coordinator, looked up when it is not known. Does not retry: that is up to whoever talks to it.
  func coordinator(of key: CoordinatorKey) async throws(KafkaError) -> BrokerInfo {
    if let known = state.withLock({ $0.coordinators[key] }) { return known }
    let response = try await attempt(to: .any) { version in
      version >= 4
        ? FindCoordinatorRequest(keyType: key.type, coordinatorKeys: [key.name])
        : FindCoordinatorRequest(key: key.name, keyType: key.type)
    }
    let broker: BrokerInfo
    if let found = response.coordinators.first {
      if let error = KafkaError.broker(found.errorCode, about: key.subject, detail: found.errorMessage) { throw error }
      broker = BrokerInfo(id: found.nodeId, host: found.host, port: found.port)
    } else {
      if let error = KafkaError.broker(response.errorCode, about: key.subject, detail: response.errorMessage) {
        throw error
      }
      broker = BrokerInfo(id: response.nodeId, host: response.host, port: response.port)
    }
    guard !broker.host.isEmpty else {
      throw KafkaError(brokerCode: .coordinatorNotAvailable, about: key.subject)
    }
    state.withLock { $0.coordinators[key] = broker }
    return broker
  }
}
