// What a transactional producer asks of its sender: to take records, to stop, and to write under another identity.

extension ProduceSender {
  /// Takes records for a transaction. `announces`: the coordinator is told of partitions first.
  func openTransaction(announces: Bool) {
    accumulator.withLock { $0.openTransaction(announces: announces) }
  }

  /// Takes no more records, and fails those that no request carries.
  func abandon(_ error: KafkaError) {
    let deliveries = accumulator.withLock { accumulator in
      accumulator.isClosed = true
      return accumulator.failAll(error)
    }
    report(deliveries)
  }

  /// Goes on under a new producer id or epoch. Nothing is on its way at that time.
  func adopt(_ identity: ProducerIdentity) {
    accumulator.withLock { $0.adopt(producerId: identity.id, epoch: identity.epoch, now: .now()) }
  }

  var hasBrokenSequences: Bool { accumulator.withLock { $0.hasBrokenSequences } }
}
