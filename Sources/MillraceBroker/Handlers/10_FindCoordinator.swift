// FindCoordinator, key 10.
//
// v1 key type, throttle time, error message   v3 flexible   v4 several keys (KIP-699)
// v5 TRANSACTION_ABORTABLE (KIP-890)   v6 key type share (KIP-932)
//
// The coordinator of every group, transactional id and share-partition is this broker, once __consumer_offsets,
// __transaction_state or __share_group_state exists; the first who asks has it made.

import MillraceCoordination
import MillraceProtocol

struct FindCoordinatorHandler: Handler {
  typealias Coordinator = FindCoordinatorResponse.Coordinator

  private enum KeyType: Int8 {
    case group = 0
    case transaction = 1
    case share = 2
  }

  func handle(_ request: FindCoordinatorRequest, _ context: RequestContext, _ reply: Reply<FindCoordinatorResponse>) {
    let keys = context.version >= 4 ? request.coordinatorKeys : [request.key]
    let answer = { @Sendable (find: (String) -> Coordinator) in
      reply.send(FindCoordinatorResponse(keys.map(find), version: context.version))
    }
    switch KeyType(rawValue: request.keyType) {
    case .group:
      let broker = context.broker
      broker.catalog.ensureTopic(named: GroupRuntime.topicName) { result in
        // It exists since the start, and was adopted then, or it has just been made.
        if case .success(let topic) = result { broker.groups.adopt(topic, isNew: true) }
        answer { key in
          guard broker.groups.canCoordinate(key) else { return Coordinator(key: key, .coordinatorNotAvailable) }
          return Coordinator(key: key, at: context)
        }
      }
    case .transaction:
      let broker = context.broker
      broker.catalog.ensureTopic(named: TransactionRuntime.topicName) { result in
        if case .success(let topic) = result { broker.transactions.adopt(topic, isNew: true) }
        answer { key in
          guard broker.transactions.canCoordinate(key) else { return Coordinator(key: key, .coordinatorNotAvailable) }
          return Coordinator(key: key, at: context)
        }
      }
    case .share where context.version >= 6:
      let broker = context.broker
      guard keys.contains(where: { ShareStateKey(coordinatorKey: $0) != nil }) else {
        return answer { Coordinator(key: $0, .invalidRequest) }
      }
      broker.shareState.ensureTopic { _ in
        answer { key in
          guard let partition = ShareStateKey(coordinatorKey: key) else {
            return Coordinator(key: key, .invalidRequest)
          }
          guard broker.shareState.canCoordinate(partition) else {
            return Coordinator(key: key, .coordinatorNotAvailable)
          }
          return Coordinator(key: key, at: context)
        }
      }
    case .share, nil:
      answer { Coordinator(key: $0, .invalidRequest) }
    }
  }
}

extension FindCoordinatorResponse.Coordinator {
  fileprivate init(key: String, at context: RequestContext) {
    let endpoint = context.broker.advertised.endpoint(for: context.connection.listener)
    self.init(
      key: key, nodeId: context.broker.configuration.nodeId, host: endpoint.host, port: endpoint.port,
      errorCode: ErrorCode.none.rawValue, errorMessage: nil)
  }

  fileprivate init(key: String, _ error: ErrorCode) {
    self.init(key: key, nodeId: -1, host: "", port: -1, errorCode: error.rawValue, errorMessage: error.name)
  }
}

extension FindCoordinatorResponse {
  /// Up to v3 the answer is about one key and has its fields at the top.
  fileprivate init(_ coordinators: [Coordinator], version: Int16) {
    self.init()
    if version >= 4 {
      self.coordinators = coordinators
    } else if let one = coordinators.first {
      errorCode = one.errorCode
      errorMessage = one.errorMessage
      nodeId = one.nodeId
      host = one.host
      port = one.port
    }
  }
}
