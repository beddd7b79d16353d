// What all connections of a server share.

import NIOCore

final class ServerShared: Sendable {
  let handler: any RequestHandling
  let connectionLimits: ConnectionMachine.Limits
  let maxIdle: TimeAmount
  /// For requests that were taken up.
  let memory: RequestMemory
  /// For large frames that have not fully arrived.
  let arrivingMemory: RequestMemory
  let quota: ConnectionQuota
  let log: ConnectionLog

  init(
    handler: any RequestHandling, connectionLimits: ConnectionMachine.Limits, maxIdle: TimeAmount,
    requestMemoryBytes: Int, quota: ConnectionQuota, log: ConnectionLog
  ) {
    self.handler = handler
    self.connectionLimits = connectionLimits
    self.maxIdle = maxIdle
    memory = RequestMemory(limitBytes: requestMemoryBytes)
    arrivingMemory = RequestMemory(limitBytes: requestMemoryBytes)
    self.quota = quota
    self.log = log
  }

  func memory(for use: ConnectionMachine.MemoryUse) -> RequestMemory {
    switch use {
    case .arriving: arrivingMemory
    case .requests: memory
    }
  }
}
