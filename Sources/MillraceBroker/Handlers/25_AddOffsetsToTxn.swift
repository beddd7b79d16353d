// AddOffsetsToTxn, key 25 (KIP-98). v2 PRODUCER_FENCED   v3 flexible   v4 TRANSACTION_ABORTABLE (KIP-890)
//
// Adds the partition of __consumer_offsets that the group's offsets are in. Producers of transaction version 2 leave
// that to TxnOffsetCommit.

import MillraceProtocol

struct AddOffsetsToTxnHandler: Handler {
  func handle(
    _ request: AddOffsetsToTxnRequest, _ context: RequestContext, _ reply: Reply<AddOffsetsToTxnResponse>
  ) {
    let broker = context.broker
    broker.catalog.ensureTopic(named: GroupRuntime.topicName) { result in
      if case .success(let topic) = result { broker.groups.adopt(topic, isNew: true) }
      guard let partition = broker.groups.journalPartition(of: request.groupId) else {
        return reply.send(AddOffsetsToTxnResponse(errorCode: ErrorCode.coordinatorNotAvailable.rawValue))
      }
      let claim = TransactionRuntime.Claim(
        transactionalId: request.transactionalId, producerId: request.producerId,
        producerEpoch: request.producerEpoch)
      broker.transactions.addPartitions([partition], claim, clientVersion: 0) { code in
        var response = AddOffsetsToTxnResponse(errorCode: code.rawValue)
        response.errorCode.spellFencing(knownFrom: 2, in: context.version)
        reply.send(response)
      }
    }
  }
}
