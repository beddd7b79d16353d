// What a broker journals when it starts.

import MillraceProtocol

extension Catalog {
  /// - Parameters:
  ///   - wasCleanlyStopped: whether the last run wrote its marker. If not, what was not flushed may be gone.
  ///   - incarnation: a new id for this run.
  ///   - nextOffset: where in the journal the first of these facts will be; it makes the broker's epoch.
  package func decideStart(
    wasCleanlyStopped: Bool, incarnation: Uuid, endpoints: [RegisterBrokerRecord.BrokerEndpoint], rack: String?,
    nextOffset: Int64
  ) -> CatalogDecision<Void> {
    var records: [MetadataRecord] = []
    if featureLevels[MetadataVersion.featureName] == nil {
      // A metadata log begins with the level that is needed to read it.
      let level = FeatureLevelRecord(name: MetadataVersion.featureName, featureLevel: MetadataVersion.latest)
      records.append(.featureLevel(level))
      // A cluster that was there before the feature stays at level 0 until somebody moves it, as in Kafka.
      let transactions = FeatureLevelRecord(
        name: TransactionVersion.featureName, featureLevel: TransactionVersion.latest)
      records.append(.featureLevel(transactions))
      let groups = FeatureLevelRecord(name: GroupVersion.featureName, featureLevel: GroupVersion.latest)
      records.append(.featureLevel(groups))
      let shares = FeatureLevelRecord(name: ShareVersion.featureName, featureLevel: ShareVersion.latest)
      records.append(.featureLevel(shares))
    }
    if let last = registration, !wasCleanlyStopped {
      records.append(.fenceBroker(FenceBrokerRecord(id: settings.nodeId, epoch: last.brokerEpoch)))
    }
    let features = Self.supportedFeatures.sorted { $0.key < $1.key }.map { name, range in
      RegisterBrokerRecord.BrokerFeature(
        name: name, minSupportedVersion: range.lowerBound, maxSupportedVersion: range.upperBound)
    }
    records.append(
      .registerBroker(
        RegisterBrokerRecord(
          brokerId: settings.nodeId, incarnationId: incarnation, brokerEpoch: nextOffset &+ Int64(records.count),
          endPoints: endpoints, features: features, rack: rack, fenced: false)))
    return CatalogDecision(records, answer: ())
  }

  /// The next block of producer ids. Ids of a block that was not used up are never given out again (KIP-730).
  package func decideProducerIdBlock(count: Int64) -> CatalogDecision<Range<Int64>?> {
    let (end, overflow) = nextProducerId.addingReportingOverflow(count)
    guard !overflow else { return CatalogDecision(answer: nil) }
    let record = ProducerIdsRecord(
      brokerId: settings.nodeId, brokerEpoch: registration?.brokerEpoch ?? -1, nextProducerId: end)
    return CatalogDecision([.producerIds(record)], answer: nextProducerId..<end)
  }

  /// How many ids are passed over when it is not known which were given out: more than are to be expected of producers
  /// that have not written yet.
  private static let skippedProducerIds: Int64 = 1_000_000

  /// Ids up to `largest`, and perhaps more, were given out by facts that are lost.
  package func decideSkippedProducerIds(through largest: Int64) -> CatalogDecision<Void> {
    let used = max(largest, nextProducerId)
    let (end, overflow) = used.addingReportingOverflow(Self.skippedProducerIds)
    let record = ProducerIdsRecord(
      brokerId: settings.nodeId, brokerEpoch: registration?.brokerEpoch ?? -1, nextProducerId: overflow ? .max : end)
    return CatalogDecision([.producerIds(record)], answer: ())
  }

  /// A topic of the broker's own (`__consumer_offsets`, …): `nil` if it is there already.
  package func decideInternalTopic(
    _ name: String, partitionCount: Int, overrides: [String: String], random: inout some RandomNumberGenerator
  ) -> CatalogDecision<Uuid>? {
    guard topic(named: name) == nil else { return nil }
    let id = Uuid.random(using: &random)
    var records = [MetadataRecord.topic(TopicRecord(name: name, topicId: id))]
    records += overrides.sorted { $0.key < $1.key }.map { configRecord(.topic(name), $0.key, $0.value) }
    records += (0..<Int32(clamping: partitionCount)).map { newPartitionRecord(id, $0) }
    return CatalogDecision(records, answer: id)
  }
}
