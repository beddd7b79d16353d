import MillraceCoordination
import MillraceProtocol
import Testing

/// A catalog with its journal: performs decisions as the runtime does, through the encoded form of every record.
struct CatalogDriver {
  var catalog: Catalog
  var journal: [MetadataRecord] = []
  var changes: [CatalogChange] = []
  var random: SplitMix64

  init(_ settings: CatalogSettings = CatalogSettings(), seed: UInt64 = 1) {
    catalog = Catalog(settings: settings)
    random = SplitMix64(state: seed)
  }

  @discardableResult
  mutating func perform<Answer>(_ decision: CatalogDecision<Answer>) -> Answer {
    for record in decision.records {
      do {
        let read = try MetadataRecord(from: record.encoded())
        #expect(read == record)
        changes.append(catalog.apply(read, at: Int64(journal.count)))
        journal.append(read)
      } catch {
        Issue.record("a decided record does not survive its encoding: \(record)")
      }
    }
    return decision.answer
  }

  /// The catalog that a restart would come to.
  func replayed() -> Catalog {
    var copy = Catalog(settings: catalog.settings)
    for (offset, record) in journal.enumerated() { copy.apply(record, at: Int64(offset)) }
    return copy
  }

  // MARK: Requests

  @discardableResult
  mutating func start(clean: Bool = true) -> CatalogDriver {
    perform(
      catalog.decideStart(
        wasCleanlyStopped: clean, incarnation: .random(using: &random), endpoints: [], rack: nil,
        nextOffset: Int64(journal.count)))
    return self
  }

  mutating func create(_ topics: CreateTopicsRequest.CreatableTopic..., validateOnly: Bool = false)
    -> [CreateTopicsResponse.CreatableTopicResult]
  {
    let request = CreateTopicsRequest(topics: topics, validateOnly: validateOnly)
    return perform(catalog.decide(request, random: &random)).topics
  }

  /// Creates the topics, which must succeed.
  mutating func make(_ names: String..., partitions: Int32 = 1) {
    for name in names {
      let result = create(.init(name: name, numPartitions: partitions, replicationFactor: 1))
      #expect(result.map(\.errorCode) == [0], "\(name): \(result.first?.errorMessage ?? "")")
    }
  }

  mutating func delete(_ names: String..., version: Int16 = 6) -> [DeleteTopicsResponse.DeletableTopicResult] {
    perform(catalog.decide(DeleteTopicsRequest(topics: names.map { .init(name: $0) }), version: version)).responses
  }

  mutating func alter(
    _ resource: ConfigResource, _ changes: [(String, ConfigOperation, String?)], validateOnly: Bool = false
  ) -> IncrementalAlterConfigsResponse.AlterConfigsResourceResponse {
    let configs = changes.map { name, operation, value in
      IncrementalAlterConfigsRequest.AlterableConfig(name: name, configOperation: operation.rawValue, value: value)
    }
    let request = IncrementalAlterConfigsRequest(
      resources: [.init(resourceType: resource.kind.rawValue, resourceName: resource.name, configs: configs)],
      validateOnly: validateOnly)
    return perform(catalog.decide(request)).responses[0]
  }

  mutating func replace(_ resource: ConfigResource, with configs: [String: String])
    -> AlterConfigsResponse.AlterConfigsResourceResponse
  {
    let request = AlterConfigsRequest(resources: [
      .init(
        resourceType: resource.kind.rawValue, resourceName: resource.name,
        configs: configs.map { .init(name: $0.key, value: $0.value) })
    ])
    return perform(catalog.decide(request)).responses[0]
  }
}

/// A small generator with a seed, so that a failure can be had again.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

extension Int16 {
  var code: ErrorCode { ErrorCode(rawValue: self) }
}
