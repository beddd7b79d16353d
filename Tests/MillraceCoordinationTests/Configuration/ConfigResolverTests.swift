import MillraceCoordination
import Testing

@Suite struct ConfigResolverTests {
  private func topic(_ name: String) throws -> ConfigDefinition { try #require(TopicConfigs.definition(name)) }
  private func broker(_ name: String) throws -> ConfigDefinition { try #require(BrokerConfigs.definition(name)) }

  @Test func `each layer hides the weaker ones and they stay visible as synonyms`() throws {
    var resolver = ConfigResolver()
    let definition = try topic("segment.bytes")
    #expect(resolver.topic(definition, overrides: [:]).source == .default)

    resolver.started["log.segment.bytes"] = "2000000"
    #expect(resolver.topic(definition, overrides: [:]).source == .staticBroker)
    resolver.cluster["log.segment.bytes"] = "3000000"
    #expect(resolver.topic(definition, overrides: [:]).source == .dynamicDefaultBroker)
    resolver.broker["log.segment.bytes"] = "4000000"
    #expect(resolver.topic(definition, overrides: [:]).source == .dynamicBroker)

    let effective = resolver.topic(definition, overrides: ["segment.bytes": "5000000"])
    #expect(effective.source == .topic)
    #expect(effective.value == .integer(5_000_000))
    #expect(effective.candidates.map(\.value) == ["5000000", "4000000", "3000000", "2000000", "1073741824"])
    #expect(
      effective.candidates.map(\.source) == [.topic, .dynamicBroker, .dynamicDefaultBroker, .staticBroker, .default])
  }

  @Test func `hours and minutes of the broker become milliseconds of the topic`() throws {
    let retention = try topic("retention.ms")
    var resolver = ConfigResolver(started: ["log.retention.hours": "2"])
    #expect(resolver.topic(retention, overrides: [:]).text == "7200000")
    #expect(resolver.topic(retention, overrides: [:]).source == .staticBroker)
    resolver.started["log.retention.minutes"] = "3"
    #expect(resolver.topic(retention, overrides: [:]).text == "180000")
    resolver.started["log.retention.ms"] = "4"
    #expect(resolver.topic(retention, overrides: [:]).text == "4")
  }

  @Test func `a negative number of hours is without end, and one that is too large does not overflow`() {
    #expect(ConfigSynonym("x", .hoursToMilliseconds).converted("-1") == "-1")
    #expect(ConfigSynonym("x", .hoursToMilliseconds).converted("9223372036854775807") == "9223372036854775807")
  }

  @Test func `a dynamic hour counts more than a static millisecond`() throws {
    let resolver = ConfigResolver(started: ["log.roll.ms": "5"], cluster: ["log.roll.hours": "1"])
    #expect(resolver.topic(try topic("segment.ms"), overrides: [:]).text == "3600000")
  }

  @Test func `a broker key without a value falls back to its weaker synonym or stays unset`() throws {
    let resolver = ConfigResolver()
    #expect(resolver.broker(try broker("log.retention.ms")).text == "604800000")
    #expect(resolver.broker(try broker("advertised.listeners")).text == nil)
    #expect(resolver.clusterDefault(try broker("log.retention.ms")) == nil)
  }

  @Test func `the typed defaults are the defaults of the definitions`() {
    #expect(TopicConfiguration(defaults: ConfigResolver()) == TopicConfiguration())
  }

  @Test func `a topic's own settings lie over the broker's, and one that does not parse is passed over`() {
    let defaults = TopicConfiguration(defaults: ConfigResolver(started: ["log.durability": "buffered"]))
    let topic = defaults.overridden(by: [
      "cleanup.policy": "compact", "retention.ms": "rubbish", "max.message.bytes": "10", "no.such.key": "1",
      "message.timestamp.type": "LogAppendTime",
    ])
    #expect(topic.isCompacted && !topic.isDeleted)
    #expect(topic.retentionMs == 604_800_000)
    #expect(topic.maxMessageBytes == 10)
    #expect(topic.usesLogAppendTime)
    #expect(!topic.commitsToDisk)
  }

  @Test func `compaction lags that contradict each other are a conflict`() {
    let topic = TopicConfiguration().overridden(by: ["min.compaction.lag.ms": "10", "max.compaction.lag.ms": "9"])
    #expect(topic.conflict?.message.contains("min.compaction.lag.ms (10)") == true)
    #expect(TopicConfiguration().conflict == nil)
  }
}
