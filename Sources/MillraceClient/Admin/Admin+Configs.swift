// Configs of topics, brokers and groups.

import MillraceProtocol

/// What a config belongs to.
public struct ConfigResource: Sendable, Hashable {
  public enum Kind: Int8, Sendable, Hashable, CaseIterable {
    case topic = 2
    case broker = 4
    case brokerLogger = 8
    case clientMetrics = 16
    case group = 32

    /// Kafka's name of the kind, as tools print it.
    public var name: String {
      switch self {
      case .topic: "topic"
      case .broker: "broker"
      case .brokerLogger: "broker-logger"
      case .clientMetrics: "client-metrics"
      case .group: "group"
      }
    }
  }

  public var kind: Kind
  /// The topic, group or broker id; for the brokers' common default, empty.
  public var name: String

  public init(_ kind: Kind, _ name: String) {
    self.kind = kind
    self.name = name
  }

  public static func topic(_ name: String) -> ConfigResource { ConfigResource(.topic, name) }
  public static func broker(_ id: Int32) -> ConfigResource { ConfigResource(.broker, "\(id)") }
  public static func group(_ name: String) -> ConfigResource { ConfigResource(.group, name) }
}

extension ConfigResource: CustomStringConvertible {
  public var description: String { "\(kind.name) '\(name)'" }
}

/// Where a value comes from, in Kafka's numbers.
public enum ConfigSource: Int8, Sendable, Hashable {
  case unknown = 0
  case dynamicTopicConfig = 1
  case dynamicBrokerConfig = 2
  case dynamicDefaultBrokerConfig = 3
  case staticBrokerConfig = 4
  case defaultConfig = 5
  case dynamicBrokerLoggerConfig = 6
  case dynamicClientMetricsConfig = 7
  case dynamicGroupConfig = 8

  /// Kafka's name, as tools print it: `DYNAMIC_TOPIC_CONFIG`.
  public var name: String {
    switch self {
    case .unknown: "UNKNOWN"
    case .dynamicTopicConfig: "DYNAMIC_TOPIC_CONFIG"
    case .dynamicBrokerConfig: "DYNAMIC_BROKER_CONFIG"
    case .dynamicDefaultBrokerConfig: "DYNAMIC_DEFAULT_BROKER_CONFIG"
    case .staticBrokerConfig: "STATIC_BROKER_CONFIG"
    case .defaultConfig: "DEFAULT_CONFIG"
    case .dynamicBrokerLoggerConfig: "DYNAMIC_BROKER_LOGGER_CONFIG"
    case .dynamicClientMetricsConfig: "DYNAMIC_CLIENT_METRICS_CONFIG"
    case .dynamicGroupConfig: "DYNAMIC_GROUP_CONFIG"
    }
  }
}

public enum ConfigType: Int8, Sendable, Hashable {
  case unknown = 0
  case boolean = 1
  case string = 2
  case int = 3
  case short = 4
  case long = 5
  case double = 6
  case list = 7
  case `class` = 8
  case password = 9
}

/// A value that a config would have if the ones before it were not set.
public struct ConfigSynonym: Sendable, Hashable {
  public var name: String
  public var value: String?
  public var source: ConfigSource
}

public struct ConfigEntry: Sendable, Hashable {
  public var name: String
  /// Nil for none, and for a secret.
  public var value: String?
  public var source: ConfigSource
  public var isSensitive: Bool
  public var isReadOnly: Bool
  public var type: ConfigType
  public var documentation: String?
  public var synonyms: [ConfigSynonym]

  public var isDefault: Bool { source == .defaultConfig }
}

/// A change of one config; the others stay as they are.
public enum ConfigChange: Sendable, Hashable {
  case set(String, String)
  /// Back to the default.
  case delete(String)
  /// Adds to a list.
  case append(String, String)
  /// Takes from a list.
  case subtract(String, String)
}

extension Admin {
  /// The configs of each resource, those with default values included.
  public func describeConfigs(
    _ resources: [ConfigResource], includeSynonyms: Bool = false, includeDocumentation: Bool = false
  ) async throws(KafkaError) -> [ConfigResource: Result<[ConfigEntry], KafkaError>] {
    await results(ofParts: byBroker(resources)) { [cluster] destination, resources throws(KafkaError) in
      let response = try await cluster.send(to: destination) { version in
        DescribeConfigsRequest(
          resources: resources.map {
            .init(resourceType: $0.kind.rawValue, resourceName: $0.name, configurationKeys: nil)
          },
          includeSynonyms: includeSynonyms && version >= 1,
          includeDocumentation: includeDocumentation && version >= 3)
      }
      return response.results.compactMap(Self.result)
    }
  }

  /// Changes configs one by one (KIP-339).
  public func alterConfigs(
    _ changes: [ConfigResource: [ConfigChange]], validateOnly: Bool = false
  ) async throws(KafkaError) -> [ConfigResource: Result<Void, KafkaError>] {
    await results(ofParts: byBroker(Array(changes.keys))) { [cluster] destination, resources throws(KafkaError) in
      let response = try await cluster.send(to: destination == .any ? .controller : destination) { _ in
        IncrementalAlterConfigsRequest(
          resources: resources.map { resource in
            .init(
              resourceType: resource.kind.rawValue, resourceName: resource.name,
              configs: (changes[resource] ?? []).map(\.wire))
          }, validateOnly: validateOnly)
      }
      return response.responses.compactMap { answer -> (ConfigResource, Result<Void, KafkaError>)? in
        guard let kind = ConfigResource.Kind(rawValue: answer.resourceType) else { return nil }
        let resource = ConfigResource(kind, answer.resourceName)
        return (resource, Result(.broker(answer.errorCode, about: "\(resource)", detail: answer.errorMessage)))
      }
    }
  }

  /// What there is with configs of its own (KIP-1142).
  public func listConfigResources(_ kinds: [ConfigResource.Kind] = []) async throws(KafkaError) -> [ConfigResource] {
    let response = try await cluster.send(to: .any) {
      version in
      ListConfigResourcesRequest(resourceTypes: version >= 1 ? kinds.map(\.rawValue) : [])
    } failure: {
      .broker($0.errorCode, about: "the list of configs")
    }
    return response.configResources.compactMap { resource in
      ConfigResource.Kind(rawValue: resource.resourceType).map { ConfigResource($0, resource.resourceName) }
    }
  }

  /// A broker answers for its own configs only; everything else any broker knows.
  private func byBroker(_ resources: [ConfigResource]) -> [Cluster.Destination: [ConfigResource]] {
    Dictionary(grouping: resources) { resource -> Cluster.Destination in
      switch resource.kind {
      case .broker, .brokerLogger: Int32(resource.name).map { .broker($0) } ?? .any
      case .topic, .group, .clientMetrics: .any
      }
    }
  }

  /// Sends each broker its part of the resources; an error is that of all of them.
  private func results<Value: Sendable>(
    ofParts parts: [Cluster.Destination: [ConfigResource]],
    _ body:
      @escaping @Sendable (Cluster.Destination, [ConfigResource]) async throws(KafkaError)
      -> [(ConfigResource, Result<Value, KafkaError>)]
  ) async -> [ConfigResource: Result<Value, KafkaError>] {
    let answers = await results(of: parts.keys) { destination throws(KafkaError) in
      try await body(destination, parts[destination] ?? [])
    }
    var results: [ConfigResource: Result<Value, KafkaError>] = [:]
    for (destination, answer) in answers {
      switch answer {
      case .success(let part): for (resource, result) in part { results[resource] = result }
      case .failure(let error): for resource in parts[destination] ?? [] { results[resource] = .failure(error) }
      }
    }
    return results
  }

  private static func result(
    _ answer: DescribeConfigsResponse.DescribeConfigsResult
  ) -> (ConfigResource, Result<[ConfigEntry], KafkaError>)? {
    guard let kind = ConfigResource.Kind(rawValue: answer.resourceType) else { return nil }
    let resource = ConfigResource(kind, answer.resourceName)
    let error = KafkaError.broker(answer.errorCode, about: "\(resource)", detail: answer.errorMessage)
    return (resource, Result(error, answer.configs.map(ConfigEntry.init)))
  }
}

extension ConfigChange {
  fileprivate var wire: IncrementalAlterConfigsRequest.AlterableConfig {
    switch self {
    case .set(let name, let value): .init(name: name, configOperation: 0, value: value)
    case .delete(let name): .init(name: name, configOperation: 1, value: nil)
    case .append(let name, let value): .init(name: name, configOperation: 2, value: value)
    case .subtract(let name, let value): .init(name: name, configOperation: 3, value: value)
    }
  }
}

extension ConfigEntry {
  fileprivate init(_ config: DescribeConfigsResponse.DescribeConfigsResourceResult) {
    self.init(
      name: config.name, value: config.value, source: ConfigSource(rawValue: config.configSource) ?? .unknown,
      isSensitive: config.isSensitive, isReadOnly: config.readOnly,
      type: ConfigType(rawValue: config.configType) ?? .unknown,
      documentation: config.documentation,
      synonyms: config.synonyms.map {
        ConfigSynonym(name: $0.name, value: $0.value, source: ConfigSource(rawValue: $0.source) ?? .unknown)
      })
  }
}
