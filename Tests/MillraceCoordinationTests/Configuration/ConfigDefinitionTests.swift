import MillraceCoordination
import Testing

@Suite struct ConfigDefinitionTests {
  @Test func `every default is a value that its own definition accepts`() throws {
    for definition in TopicConfigs.all + BrokerConfigs.all {
      if let text = definition.defaultText { _ = try definition.parse(text) }
      #expect(!definition.documentation.isEmpty, "\(definition.name)")
    }
  }

  @Test func `every broker key that a topic key falls back to exists and has the same default`() throws {
    for topic in TopicConfigs.all {
      for synonym in topic.synonyms {
        let broker = try #require(BrokerConfigs.definition(synonym.name), "\(topic.name) falls back to \(synonym.name)")
        guard let text = broker.defaultText else { continue }
        #expect(synonym.converted(text) == topic.defaultText, "\(topic.name) and \(synonym.name)")
      }
    }
  }

  @Test func `a broker key whose default decides a topic config can change while the broker runs`() throws {
    for topic in TopicConfigs.all {
      guard let strongest = topic.synonyms.first else { continue }
      #expect(BrokerConfigs.definition(strongest.name)?.update == .clusterWide, "\(strongest.name)")
    }
  }

  @Test func `the names are unique and no supported key is also called unsupported`() {
    #expect(Set(TopicConfigs.all.map(\.name)).count == TopicConfigs.all.count)
    #expect(Set(BrokerConfigs.all.map(\.name)).count == BrokerConfigs.all.count)
    for definition in BrokerConfigs.all { #expect(BrokerConfigs.unsupportedReason(definition.name) == nil) }
  }

  @Test(arguments: [
    ("segment.bytes", "1048575"), ("segment.bytes", "many"), ("segment.bytes", "4294967296"), ("retention.ms", "-2"),
    ("cleanup.policy", "compact,compact"), ("cleanup.policy", "keep"), ("compression.type", "brotli"),
    ("compression.gzip.level", "0"), ("compression.gzip.level", "10"), ("min.cleanable.dirty.ratio", "1.1"),
    ("min.cleanable.dirty.ratio", "nan"), ("preallocate", "yes"), ("remote.storage.enable", "true"),
    ("durability", "hopefully"), ("leader.replication.throttled.replicas", "1-2"),
    ("message.timestamp.type", "createtime"),
  ])
  func `a value outside the rule is refused and the message names key and value`(name: String, text: String) throws {
    let definition = try #require(TopicConfigs.definition(name))
    let error = #expect(throws: ConfigError.self) { try definition.parse(text) }
    #expect(error?.message.contains(name) == true)
    #expect(error?.message.contains(text) == true)
  }

  @Test(arguments: [
    ("cleanup.policy", "compact, delete", ConfigValue.list(["compact", "delete"])), ("cleanup.policy", "", .list([])),
    ("retention.ms", " -1 ", .integer(-1)), ("preallocate", "TRUE", .boolean(true)),
    ("leader.replication.throttled.replicas", "0:1,1:1", .list(["0:1", "1:1"])),
    ("leader.replication.throttled.replicas", "*", .list(["*"])), ("compression.gzip.level", "-1", .integer(-1)),
    ("min.cleanable.dirty.ratio", "0.25", .double(0.25)),
  ])
  func `values are read as Kafka reads them`(name: String, text: String, value: ConfigValue) throws {
    #expect(try #require(TopicConfigs.definition(name)).parse(text) == value)
  }
}
