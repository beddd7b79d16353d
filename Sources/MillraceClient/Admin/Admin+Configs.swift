// Configs of topics, brokers and groups.

import MillraceProtocol

/// What a config belongs to.
public struct ConfigResource: Sendable, Hashable {
  /// The kinds of things that have configs, in Kafka's numbers.
  public enum Kind: Int8, Sendable, Hashable, CaseIterable {
    /// A topic.
    case topic = 2
    /// A broker, or all of them.
    case broker = 4
    /// The log levels of a broker.
    case brokerLogger = 8
    /// A subscription to metrics of clients (KIP-714).
    case clientMetrics = 16
    /// A group (KIP-848).
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

  /// What it is.
  public var kind: Kind
  /// The topic, group or broker id; for the brokers' common default, empty.
  public var name: String

  /// A resource of any kind.
  public init(_ kind: Kind, _ name: String) {
    self.kind = kind
    self.name = name
  }

  /// A topic by its name.
  public static func topic(_ name: String) -> ConfigResource { ConfigResource(.topic, name) }
  /// A broker by its id.
  public static func broker(_ id: Int32) -> ConfigResource { ConfigResource(.broker, "\(id)") }
  /// A group by its id.
  public static func group(_ name: String) -> ConfigResource { ConfigResource(.group, name) }
}

extension ConfigResource: CustomStringConvertible {
  public var description: String { "\(kind.name) '\(name)'" }
}

/// Where a value comes from, in Kafka's numbers.
public enum ConfigSource: Int8, Sendable, Hashable {
  /// One that this client does not know.
  case unknown = 0
  /// Set for the topic.
  case dynamicTopicConfig = 1
  /// Set for the broker while it ran.
  case dynamicBrokerConfig = 2
  /// Set for all brokers while they ran.
  case dynamicDefaultBrokerConfig = 3
  /// From the broker's file or command line.
  case staticBrokerConfig = 4
  /// Set by nobody.
  case defaultConfig = 5
  /// A log level that was set while the broker ran.
  case dynamicBrokerLoggerConfig = 6
  /// Set for a subscription to metrics of clients.
  case dynamicClientMetricsConfig = 7
  /// Set for the group.
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

/// What a config's value is, in Kafka's numbers and words.
public enum ConfigType: Int8, Sendable, Hashable {
  /// One that this client does not know, or the broker did not say.
  case unknown = 0
  /// `true` or `false`.
  case boolean = 1
  /// Text.
  case string = 2
  /// A number of 32 bits.
  case int = 3
  /// A number of 16 bits.
  case short = 4
  /// A number of 64 bits.
  case long = 5
  /// A floating-point number.
  case double = 6
  /// Texts, separated by commas.
  case list = 7
  /// The name of a Java class.
  case `class` = 8
  /// A secret, which is not shown.
  case password = 9
}

/// A value that a config would have if the ones before it were not set.
public struct ConfigSynonym: Sendable, Hashable {
  /// Its name, which may be another than the config's.
  public var name: String
  /// Nil for none, and for a secret.
  public var value: String?
  /// Where the value is from.
  public var source: ConfigSource
}

/// A config of a resource, as it is in force.
public struct ConfigEntry: Sendable, Hashable {
  /// Kafka's name, as in `retention.ms`.
  public var name: String
  /// Nil for none, and for a secret.
  public var value: String?
  /// Where the value is from.
  public var source: ConfigSource
  /// Whether it is a secret, whose value is not told.
  public var isSensitive: Bool
  /// Whether it cannot be changed while the broker runs.
  public var isReadOnly: Bool
  /// What the value is; unknown to brokers before Kafka 2.6.
  public var type: ConfigType
  /// What the broker says about it, if that was asked for.
  public var documentation: String?
  /// All values that are set for it, the strongest first, if they were asked for.
  public var synonyms: [ConfigSynonym]

  /// Whether nobody has set it.
  public var isDefault: Bool { source == .defaultConfig }
}

/// A change of one config; the others stay as they are.
public enum ConfigChange: Sendable, Hashable {
  /// Sets the config of a name to a value.
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
