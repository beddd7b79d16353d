// AlterConfigs (the whole set of a resource) and IncrementalAlterConfigs (KIP-339). A resource's changes are all
// taken or all refused.

import MillraceProtocol

extension Catalog {
  /// What fits into a record of the journal, as in Kafka.
  private static let maxValueLength = Int(Int16.max)

  package func decide(_ request: IncrementalAlterConfigsRequest) -> CatalogDecision<IncrementalAlterConfigsResponse> {
    let occurrences = Dictionary(
      request.resources.map { (ResourceKey($0.resourceType, $0.resourceName), 1) }, uniquingKeysWith: +)
    var records: [MetadataRecord] = []
    var response = IncrementalAlterConfigsResponse()
    for asked in request.resources {
      var result = IncrementalAlterConfigsResponse.AlterConfigsResourceResponse(
        resourceType: asked.resourceType, resourceName: asked.resourceName)
      do throws(CatalogError) {
        if occurrences[ResourceKey(asked.resourceType, asked.resourceName)] != 1 { throw Self.repeatedResource }
        let resource = try alterable(asked.resourceType, asked.resourceName)
        try Self.requireDistinct(asked.configs.map(\.name))
        var after = configs[resource] ?? [:]
        for config in asked.configs { try change(&after, config, of: resource) }
        records += try facts(of: resource, becoming: after, changed: asked.configs.map(\.name))
      } catch {
        result.errorCode = error.code.rawValue
        result.errorMessage = error.message
      }
      response.responses.append(result)
    }
    return CatalogDecision(request.validateOnly ? [] : records, answer: response)
  }

  package func decide(_ request: AlterConfigsRequest) -> CatalogDecision<AlterConfigsResponse> {
    let occurrences = Dictionary(
      request.resources.map { (ResourceKey($0.resourceType, $0.resourceName), 1) }, uniquingKeysWith: +)
    var records: [MetadataRecord] = []
    var response = AlterConfigsResponse()
    for asked in request.resources {
      var result = AlterConfigsResponse.AlterConfigsResourceResponse(
        resourceType: asked.resourceType, resourceName: asked.resourceName)
      do throws(CatalogError) {
        if occurrences[ResourceKey(asked.resourceType, asked.resourceName)] != 1 { throw Self.repeatedResource }
        let resource = try alterable(asked.resourceType, asked.resourceName)
        try Self.requireDistinct(asked.configs.map(\.name))
        var after: [String: String] = [:]
        for config in asked.configs {
          guard let value = config.value else {
            throw CatalogError(.invalidRequest, "Configuration '\(config.name)' has no value.")
          }
          after[config.name] = value
        }
        let dropped = (configs[resource] ?? [:]).keys.filter { after[$0] == nil }
        records += try facts(of: resource, becoming: after, changed: asked.configs.map(\.name) + dropped.sorted())
      } catch {
        result.errorCode = error.code.rawValue
        result.errorMessage = error.message
      }
      response.responses.append(result)
    }
    return CatalogDecision(request.validateOnly ? [] : records, answer: response)
  }

  // MARK: One resource

  private struct ResourceKey: Hashable {
    let type: Int8
    let name: String
    init(_ type: Int8, _ name: String) {
      self.type = type
      self.name = name
    }
  }

  private static let repeatedResource = CatalogError(.invalidRequest, "A resource can be in the request only once.")

  private static func requireDistinct(_ names: [String]) throws(CatalogError) {
    var seen: Set<String> = []
    if let twice = names.first(where: { !seen.insert($0).inserted }) {
      throw CatalogError(.invalidRequest, "Configuration '\(twice)' is in the request more than once.")
    }
  }

  private func alterable(_ type: Int8, _ name: String) throws(CatalogError) -> ConfigResource {
    switch ConfigResource.Kind(rawValue: type) {
    case .topic:
      if name.isEmpty { throw CatalogError(.invalidRequest, "A topic's configs cannot be changed without its name.") }
      if let objection = TopicName.objection(to: name) { throw CatalogError(.invalidTopicException, objection) }
      guard topic(named: name) != nil else {
        throw CatalogError(.unknownTopicOrPartition, "There is no topic '\(name)'.")
      }
      return .topic(name)
    case .broker:
      guard name.isEmpty || Int32(name) == settings.nodeId else {
        throw CatalogError(
          .invalidRequest, "There is no broker '\(name)': this cluster is broker \(settings.nodeId) alone.")
      }
      return ConfigResource(.broker, name.isEmpty ? "" : String(settings.nodeId))
    case .brokerLogger:
      throw CatalogError(.invalidRequest, "Log levels cannot be changed while the broker runs.")
    case .clientMetrics:
      throw CatalogError(.invalidRequest, "This broker takes no client metrics, so there is nothing to configure.")
    case .group:
      guard !name.isEmpty, name.utf8.count <= Self.maxValueLength else {
        throw CatalogError(.invalidRequest, "A group's configs cannot be changed without a name that a group can have.")
      }
      return ConfigResource(.group, name)
    case nil:
      throw CatalogError(.invalidRequest, "Resource type \(type) is not known.")
    }
  }

  private func change(
    _ values: inout [String: String], _ config: IncrementalAlterConfigsRequest.AlterableConfig,
    of resource: ConfigResource
  ) throws(CatalogError) {
    guard let operation = ConfigOperation(rawValue: config.configOperation) else {
      throw CatalogError(.invalidRequest, "Operation \(config.configOperation) on a configuration is not known.")
    }
    if operation == .delete {
      values[config.name] = nil
      return
    }
    guard let value = config.value else {
      throw CatalogError(.invalidRequest, "Configuration '\(config.name)' has no value.")
    }
    if operation == .set {
      values[config.name] = value
      return
    }
    guard let definition = definition(config.name, for: resource) else { throw unknown(config.name, for: resource) }
    guard definition.type == .list else {
      throw CatalogError(ConfigError.notAList(name: config.name, operation: "\(operation)"))
    }
    var items = Self.items(values[config.name] ?? definition.defaultText ?? "")
    for item in Self.items(value) {
      if operation == .append {
        if !items.contains(item) { items.append(item) }
      } else {
        items.removeAll { $0 == item }
      }
    }
    values[config.name] = items.joined(separator: ",")
  }

  private static func items(_ text: String) -> [String] {
    text.split(separator: ",").map { String($0).trimmingConfigWhitespace() }
  }

  /// The facts that make a resource's configs these, or the reason why they cannot be these.
  private func facts(
    of resource: ConfigResource, becoming after: [String: String], changed: [String]
  ) throws(CatalogError) -> [MetadataRecord] {
    switch resource.kind {
    case .topic: try validate(topicOverrides: after, changed: changed, topic: resource.name)
    case .group: try validate(groupConfigs: after, changed: changed)
    default: try validate(brokerConfigs: after, changed: changed, isDefault: resource.name.isEmpty)
    }
    let before = configs[resource] ?? [:]
    return changed.filter { before[$0] != after[$0] }.map { configRecord(resource, $0, after[$0]) }
  }

  // MARK: Validation

  func validate(
    topicOverrides overrides: [String: String], changed: [String], topic: String
  ) throws(CatalogError) {
    for name in changed {
      guard let text = overrides[name] else { continue }
      guard let definition = TopicConfigs.definition(name) else { throw unknown(name, for: .topic(topic)) }
      try check(definition, text)
    }
    if TopicName.isInternal(topic), let durability = overrides["durability"], durability != "commit" {
      throw CatalogError(
        ConfigError.invalid(
          name: "durability", value: durability, reason: "topic '\(topic)' belongs to the broker and is always 'commit'"
        ))
    }
    if let conflict = topicDefaults.overridden(by: overrides).conflict { throw CatalogError(conflict) }
  }

  private func validate(
    brokerConfigs values: [String: String], changed: [String], isDefault: Bool
  ) throws(CatalogError) {
    for name in changed {
      guard let definition = BrokerConfigs.definition(name) else {
        // Taking away what is not known (any more) does no harm.
        if values[name] == nil { continue }
        throw unknown(name, for: ConfigResource(.broker, ""))
      }
      guard definition.update != .readOnly else { throw CatalogError(ConfigError.readOnly(name: name)) }
      if isDefault && definition.update == .perBroker { throw CatalogError(ConfigError.perBrokerOnly(name: name)) }
      if let text = values[name] { try check(definition, text) }
    }
    var after = resolver
    if isDefault { after.cluster = values } else { after.broker = values }
    if let conflict = TopicConfiguration(defaults: after).conflict { throw CatalogError(conflict) }
  }

  private func validate(groupConfigs values: [String: String], changed: [String]) throws(CatalogError) {
    for name in changed {
      guard let text = values[name] else { continue }
      guard let definition = GroupConfigs.definition(name) else {
        throw CatalogError(ConfigError.unknown(name: name, of: "group"))
      }
      try check(definition, text)
    }
    if let objection = resolver.objection(toGroupConfigs: values) { throw CatalogError(objection) }
  }

  private func check(_ definition: ConfigDefinition, _ text: String) throws(CatalogError) {
    guard text.utf8.count <= Self.maxValueLength else {
      throw CatalogError(ConfigError.tooLong(name: definition.name, limit: Self.maxValueLength))
    }
    do throws(ConfigError) { _ = try definition.parse(text) } catch { throw CatalogError(error) }
  }

  private func definition(_ name: String, for resource: ConfigResource) -> ConfigDefinition? {
    switch resource.kind {
    case .topic: TopicConfigs.definition(name)
    case .group: GroupConfigs.definition(name)
    case .broker, .brokerLogger, .clientMetrics: BrokerConfigs.definition(name)
    }
  }

  private func unknown(_ name: String, for resource: ConfigResource) -> CatalogError {
    if resource.kind == .topic { return CatalogError(ConfigError.unknown(name: name, of: "topic")) }
    if resource.kind == .group { return CatalogError(ConfigError.unknown(name: name, of: "group")) }
    if let reason = BrokerConfigs.unsupportedReason(name) {
      return CatalogError(ConfigError.unsupported(name: name, reason: reason))
    }
    return CatalogError(ConfigError.unknown(name: name, of: "broker"))
  }
}

/// The codes are those of IncrementalAlterConfigs.
package enum ConfigOperation: Int8, Sendable {
  case set = 0
  case delete = 1
  case append = 2
  case subtract = 3
}
