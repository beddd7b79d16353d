// Produce, key 0.
//
// v3 batch format 2 (KIP-98)      v5 log start offset      v7 zstd (KIP-110)      v8 record errors (KIP-467)
// v9 flexible      v10 leader discovery (KIP-951)      v11, v12 transactions (KIP-890)      v13 topics by id (KIP-516)
//
// acks=1 is answered when the batches are in the log; acks=all when they are durable, which does not hold up the
// requests behind it; acks=0 never, and an error closes the connection instead, so that the producer hears of it.
// Transactional batches may have to wait for the coordinator before they are appended, behind those of their producer.

import MillraceLog
import MillraceProtocol

struct ProduceHandler: Handler {
  typealias Answer = ProduceResponse.PartitionProduceResponse

  func handle(_ request: ProduceRequest, _ context: RequestContext, _ reply: Reply<ProduceResponse>) {
    guard let transactionalId = request.transactionalId,
      let transactional = TransactionalProduce(request, transactionalId: transactionalId)
    else { return append(request, context, reply, [:]) }
    let isTaken = context.broker.transactionalWrites.enter(transactional.claim.producerId) { done in
      transactional.verify(request, context) { verdicts in
        // Back from the coordinator's thread, if it had to be asked.
        context.connection.execute {
          append(request, context, reply, verdicts)
          done()
        }
      }
    }
    if !isTaken { append(request, context, reply, transactional.refusals) }
  }

  private func append(
    _ request: ProduceRequest, _ context: RequestContext, _ reply: Reply<ProduceResponse>,
    _ verdicts: TransactionalProduce.Verdicts
  ) {
    let broker = context.broker
    let hasLegalAcks = (-1...1).contains(request.acks)
    var response = ProduceResponse()
    response.responses.reserveCapacity(request.topicData.count)
    var waits: [(place: PendingProduce.Place, log: PartitionLog, through: Int64)] = []
    for (topicIndex, data) in request.topicData.enumerated() {
      let byId = context.version >= 13
      let topic = byId ? broker.topics.topic(id: data.topicId) : broker.topics.topic(named: data.name)
      var answers: [Answer] = []
      answers.reserveCapacity(data.partitionData.count)
      for (index, partitionData) in data.partitionData.enumerated() {
        guard hasLegalAcks else {
          answers.append(.failed(partitionData.index, .invalidRequiredAcks))
          continue
        }
        guard let topic, let partition = topic.partition(partitionData.index) else {
          let isUnknownId = byId && topic == nil
          answers.append(.failed(partitionData.index, isUnknownId ? .unknownTopicId : .unknownTopicOrPartition))
          continue
        }
        if topic.isInternal, context.clientId != "__admin_client" {
          answers.append(
            .failed(partitionData.index, .invalidTopicException, "\(topic.name) is written by the broker only."))
          continue
        }
        if request.acks == -1, topic.settings.minInsyncReplicas > 1 {
          answers.append(
            .failed(
              partitionData.index, .notEnoughReplicas,
              "min.insync.replicas is \(topic.settings.minInsyncReplicas), but one broker keeps one replica."
            ))
          continue
        }
        do throws(ProduceFailure) {
          let place = PendingProduce.Place(topic: topicIndex, partition: index)
          let transaction = verdicts.isEmpty ? nil : try verdicts[place]?.get()
          let appended = try ProduceAppend.append(
            partitionData.records, to: partition, of: topic, version: context.version, transaction,
            nowMs: context.receivedMs)
          if request.acks == -1 { waits.append((place, partition.log, appended.lastOffset &+ 1)) }
          answers.append(
            Answer(
              index: partitionData.index, baseOffset: appended.baseOffset, logAppendTimeMs: appended.logAppendTime,
              logStartOffset: appended.logStartOffset))
        } catch {
          answers.append(error.answer(partitionData.index))
        }
      }
      response.responses.append(.init(name: data.name, topicId: data.topicId, partitionResponses: answers))
    }

    switch request.acks {
    case 0:
      let failures = response.responses.flatMap(\.partitionResponses).filter { $0.errorCode != 0 }
      guard let first = failures.first else { return reply.sendNothing() }
      reply.closeConnection(
        because:
          "a produce with acks=0 failed with \(ErrorCode(rawValue: first.errorCode)) on \(failures.count) partition(s)")
    case -1 where !waits.isEmpty:
      let pending = PendingProduce(response, waitingFor: waits.map(\.place), reply)
      for (number, wait) in waits.enumerated() {
        wait.log.whenDurable(through: wait.through) { pending.settle(number, $0) }
      }
      pending.arm(broker.timers, timeout: .milliseconds(max(0, request.timeoutMs)))
    default:
      reply.send(response)
    }
  }
}
