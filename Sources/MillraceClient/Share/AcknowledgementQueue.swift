// Acknowledgements on their way to the brokers where the records were acquired: what is to be sent, what was sent and is
// not answered, and what became of the rest.

import MillraceProtocol

struct AcknowledgementQueue {
  typealias Acknowledgements = [ShareSession.Partition: AcknowledgementBatches]

  struct Outcome {
    var partition: ShareSession.Partition
    var types: [Int64: Acknowledgement]
    var error: KafkaError?
  }

  private var pending: [Int32: Acknowledgements] = [:]
  private var inFlight: [Int32: Acknowledgements] = [:]
  private var outcomes: [Outcome] = []

  var isEmpty: Bool { pending.isEmpty && inFlight.isEmpty }

  /// Brokers that something is to be sent to.
  var brokers: [Int32] { pending.keys.sorted() }

  func hasRenewals(for broker: Int32) -> Bool { pending[broker]?.values.contains { $0.hasRenewals } ?? false }

  mutating func add(
    to broker: Int32, _ partition: ShareSession.Partition, _ body: (inout AcknowledgementBatches) -> Void
  ) {
    body(&pending[broker, default: [:]][partition, default: AcknowledgementBatches()])
  }

  /// What is to be sent to a broker, which counts as sent from now on.
  mutating func take(_ broker: Int32) -> Acknowledgements {
    let acknowledgements = (pending.removeValue(forKey: broker) ?? [:]).filter { !$0.value.isEmpty }
    if !acknowledgements.isEmpty { inFlight[broker] = acknowledgements }
    return acknowledgements
  }

  /// A broker answered, with an error for each partition or none. Returns what it took.
  mutating func answered(_ broker: Int32, _ answers: [(ShareSession.Partition, KafkaError?)]) -> Acknowledgements {
    var sent = inFlight.removeValue(forKey: broker) ?? [:]
    var taken: Acknowledgements = [:]
    for (partition, error) in answers {
      guard let batches = sent.removeValue(forKey: partition) else { continue }
      if error == nil { taken[partition] = batches }
      note(partition, batches, error)
    }
    for (partition, batches) in sent {
      note(partition, batches, KafkaError(.invalidResponse, "broker \(broker) did not answer to acknowledgements"))
    }
    return taken
  }

  /// What was sent to a broker did not get through.
  mutating func failSent(to broker: Int32, _ error: KafkaError) {
    for (partition, batches) in inFlight.removeValue(forKey: broker) ?? [:] { note(partition, batches, error) }
  }

  /// What is to be sent to a broker cannot be.
  mutating func failPending(for broker: Int32, _ error: KafkaError) {
    for (partition, batches) in pending.removeValue(forKey: broker) ?? [:] { note(partition, batches, error) }
  }

  /// The same where `why` has a reason.
  mutating func failPending(_ why: (Int32, ShareSession.Partition) -> KafkaError?) {
    for (broker, acknowledgements) in pending {
      for (partition, batches) in acknowledgements {
        guard let error = why(broker, partition) else { continue }
        pending[broker]?[partition] = nil
        note(partition, batches, error)
      }
      if pending[broker]?.isEmpty == true { pending[broker] = nil }
    }
  }

  /// The broker does not know renewals, so those in what was just taken for it fail. Returns the rest.
  mutating func failRenewals(to broker: Int32, _ error: KafkaError) -> Acknowledgements {
    var rest = inFlight.removeValue(forKey: broker) ?? [:]
    for partition in rest.keys.map({ $0 }) {
      if let renewals = rest[partition]?.takeRenewals(), !renewals.isEmpty { note(partition, renewals, error) }
    }
    rest = rest.filter { !$0.value.isEmpty }
    if !rest.isEmpty { inFlight[broker] = rest }
    return rest
  }

  mutating func dropPendingRenewals() {
    for broker in brokers {
      for partition in pending[broker]?.keys.map({ $0 }) ?? [] { pending[broker]?[partition]?.takeRenewals() }
    }
  }

  /// What the application said, and what became of it; gaps are of no interest to it.
  private mutating func note(
    _ partition: ShareSession.Partition, _ batches: AcknowledgementBatches, _ error: KafkaError?
  ) {
    guard !batches.types.isEmpty else { return }
    outcomes.append(Outcome(partition: partition, types: batches.types, error: error))
  }

  mutating func takeOutcomes() -> [Outcome] {
    defer { outcomes = [] }
    return outcomes
  }
}
