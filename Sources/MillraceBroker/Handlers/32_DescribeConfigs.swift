// DescribeConfigs, key 32 (KIP-133). v1 sources and synonyms (KIP-226)   v3 types and documentation (KIP-569)   v4
// flexible.

import MillraceCoordination
import MillraceProtocol

struct DescribeConfigsHandler: Handler {
  typealias Result = DescribeConfigsResponse.DescribeConfigsResult
  typealias Described = DescribeConfigsResponse.DescribeConfigsResourceResult

  func handle(_ request: DescribeConfigsRequest, _ context: RequestContext, _ reply: Reply<DescribeConfigsResponse>) {
    let resources = Self.distinct(request.resources)
    context.broker.catalog.answer { catalog in
      resources.map { Self.describe($0, request, catalog) }
    } done: { result in
      switch result {
      case .success(let results): reply.send(DescribeConfigsResponse(results: results))
      case .failure(let error):
        reply.send(DescribeConfigsResponse(results: resources.map { Self.failure($0, error) }))
      }
    }
  }

  /// Of two entries about one resource the first counts: its name is short, and its configs are not.
  private static func distinct(
    _ resources: [DescribeConfigsRequest.DescribeConfigsResource]
  ) -> [DescribeConfigsRequest.DescribeConfigsResource] {
    resources.eachOnce { ResourceName($0) }
  }

  private struct ResourceName: Hashable {
    let type: Int8
    let name: String

    /// A broker's number can be spelled with zeros in front, in any number.
    init(_ resource: DescribeConfigsRequest.DescribeConfigsResource) {
      type = resource.resourceType
      let isBroker = ConfigResource.Kind(rawValue: type) == .broker
      name = isBroker ? Int32(resource.resourceName).map(String.init) ?? resource.resourceName : resource.resourceName
    }
  }

  private static func describe(
    _ asked: DescribeConfigsRequest.DescribeConfigsResource, _ request: DescribeConfigsRequest, _ catalog: Catalog
  ) -> Result {
    do throws(CatalogError) {
      let keys = asked.configurationKeys.flatMap { $0.isEmpty ? nil : Set($0) }
      let configs = try configs(asked, catalog).filter { keys?.contains($0.config.definition.name) ?? true }
      return Result(
        resourceType: asked.resourceType, resourceName: asked.resourceName,
        configs: configs.map { describe($0.config, isReadOnly: $0.isReadOnly, request) })
    } catch {
      return failure(asked, error)
    }
  }

  private static func configs(
    _ asked: DescribeConfigsRequest.DescribeConfigsResource, _ catalog: Catalog
  ) throws(CatalogError) -> [(config: EffectiveConfig, isReadOnly: Bool)] {
    switch ConfigResource.Kind(rawValue: asked.resourceType) {
    case .topic:
      if let objection = TopicName.objection(to: asked.resourceName) {
        throw CatalogError(.invalidTopicException, objection)
      }
      guard catalog.topic(named: asked.resourceName) != nil else {
        throw CatalogError(.unknownTopicOrPartition, "There is no topic '\(asked.resourceName)'.")
      }
      let overrides = catalog.configs[.topic(asked.resourceName)] ?? [:]
      return TopicConfigs.all.map { (catalog.resolver.topic($0, overrides: overrides), false) }
    case .broker where asked.resourceName.isEmpty:
      return BrokerConfigs.all.compactMap { definition in
        catalog.resolver.clusterDefault(definition).map { ($0, false) }
      }
    case .broker:
      guard Int32(asked.resourceName) == catalog.settings.nodeId else {
        throw CatalogError(
          .invalidRequest,
          "There is no broker '\(asked.resourceName)': this cluster is broker \(catalog.settings.nodeId) alone.")
      }
      return BrokerConfigs.all.map { (catalog.resolver.broker($0), $0.update == .readOnly) }
    case .brokerLogger:
      throw CatalogError(.invalidRequest, "This broker's log levels are not configs.")
    case .group:
      if asked.resourceName.isEmpty {
        throw CatalogError(.invalidRequest, "A group's configs cannot be read without its name.")
      }
      let overrides = catalog.configs[ConfigResource(.group, asked.resourceName)] ?? [:]
      return GroupConfigs.all.map { (catalog.resolver.group($0, overrides: overrides), false) }
    case .clientMetrics:
      // None can be set, and a client that lists them should get that answer.
      return []
    case nil:
      throw CatalogError(.invalidRequest, "Resource type \(asked.resourceType) is not known.")
    }
  }

  private static func describe(
    _ config: EffectiveConfig, isReadOnly: Bool, _ request: DescribeConfigsRequest
  ) -> Described {
    let definition = config.definition
    let synonyms = config.candidates.map { candidate in
      DescribeConfigsResponse.DescribeConfigsSynonym(
        name: candidate.name, value: definition.isSensitive ? nil : candidate.value, source: candidate.source.rawValue)
    }
    return Described(
      name: definition.name, value: definition.isSensitive ? nil : config.text, readOnly: isReadOnly,
      configSource: config.source.rawValue, isSensitive: definition.isSensitive,
      synonyms: request.includeSynonyms ? synonyms : [], configType: definition.type.rawValue,
      documentation: request.includeDocumentation ? definition.documentation : nil)
  }

  private static func failure(
    _ asked: DescribeConfigsRequest.DescribeConfigsResource, _ error: CatalogError
  ) -> Result {
    Result(
      errorCode: error.code.rawValue, errorMessage: error.message, resourceType: asked.resourceType,
      resourceName: asked.resourceName)
  }
}
