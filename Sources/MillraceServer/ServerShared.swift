// What all connections of a server share.

import NIOCore

final class ServerShared: Sendable {
  let handler: any RequestHandling
  let connectionLimits: ConnectionMachine.Limits
  let maxIdle: TimeAmount
  let memory: RequestMemory
  let quota: ConnectionQuota
  let log: ConnectionLog

  init(
    handler: any RequestHandling, connectionLimits: ConnectionMachine.Limits, maxIdle: TimeAmount,
    memory: RequestMemory, quota: ConnectionQuota, log: ConnectionLog
  ) {
    self.handler = handler
    self.connectionLimits = connectionLimits
    self.maxIdle = maxIdle
    self.memory = memory
    self.quota = quota
    self.log = log
  }
}
