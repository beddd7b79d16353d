import Foundation
import MillraceBroker
import MillraceCoordination
import Testing

@testable import MillraceCLI

@Suite("The settings that a broker is started with")
struct ServeSettingsTests {
  private static let example = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "config/server.properties")

  private func configuration(_ text: String, _ overrides: [String] = [], environment: [String: String] = [:]) throws
    -> BrokerConfiguration
  {
    try BrokerConfiguration(
      properties: try ServeSettings.entries(
        file: [("server.properties", text)], environment: environment, overrides: overrides))
  }

  @Test func `the stronger place wins`() throws {
    let entries = try ServeSettings.entries(
      file: [("f", "num.partitions=2\nlog.dirs=/file\nlisteners=PLAINTEXT://:1")],
      environment: [
        "MILLRACE_LOG_DIRS": "/environment", "MILLRACE_NUM_PARTITIONS": "3", "MILLRACE_BIN": "/bin/millrace",
      ],
      listeners: "PLAINTEXT://:2", logDirectories: nil, overrides: ["num.partitions = 4 "])
    let last = Dictionary(
      entries.map { ($0.name, "\($0.value) from \($0.origin)") }, uniquingKeysWith: { _, last in last })
    #expect(
      last == [
        "num.partitions": "4 from --set", "log.dirs": "/environment from MILLRACE_LOG_DIRS",
        "listeners": "PLAINTEXT://:2 from --listeners",
      ])
    #expect(entries[0].origin == "f:1")
  }

  @Test func `a setting without its value is refused`() {
    #expect(throws: ServeSettings.Failure.self) { try ServeSettings.entries(overrides: ["num.partitions"]) }
    #expect(throws: ServeSettings.Failure.self) { try ServeSettings.entries(overrides: ["=3"]) }
  }

  @Test(arguments: [
    ("# fine\nnum.partitons=3", "server.properties:2: ", "num.partitons"),
    ("num.partitions=many", "server.properties:1: ", "many"),
    ("a=1\\\n  2\n\n\nlog.segment.bytes=-1", "server.properties:5: ", "log.segment.bytes"),
  ])
  func `an unknown key or a bad value names file and line`(text: String, place: String, word: String) {
    #expect {
      try configuration(text)
    } throws: {
      "\($0)".split(separator: "\n").contains { $0.hasPrefix(place) && $0.contains(word) }
    }
  }

  @Test func `an unknown variable of the environment is named`() {
    #expect {
      try configuration("", environment: ["MILLRACE_NUM_PARTITONS": "3"])
    } throws: {
      "\($0)".hasPrefix("MILLRACE_NUM_PARTITONS: ")
    }
  }

  @Test func `the example file says what is so without it`() throws {
    let text = try String(contentsOf: Self.example, encoding: .utf8)
    #expect(try Properties.parse(text, file: "example").isEmpty)
    let commented = text.split(separator: "\n").filter { $0.hasPrefix("#") && $0.dropFirst().first?.isLetter == true }
    let properties = try Properties.parse(
      commented.map { String($0.dropFirst()) }.joined(separator: "\n"), file: "example")
    #expect(properties.count > 20)
    for property in properties {
      let definition = try #require(BrokerConfigs.definition(property.name), "\(property.name)")
      // These two show what could stand there.
      if ["advertised.listeners", "cluster.id"].contains(property.name) { continue }
      let fallback =
        property.name == "log.dirs" ? BrokerConfigs.definition("log.dir")?.defaultText : definition.defaultText
      #expect(fallback == property.value, "\(property.name)")
    }
    let accepted = properties.filter { $0.name != "cluster.id" }.map {
      ConfigEntry(name: $0.name, value: $0.value, origin: "")
    }
    #expect(throws: Never.self) { try BrokerConfiguration(properties: accepted) }
  }

  @Test func `the file of Kafka's quick start is accepted, and what it does not change is told`() throws {
    let text = """
      process.roles=broker,controller
      node.id=1
      controller.quorum.bootstrap.servers=localhost:9093
      listeners=PLAINTEXT://:9092,CONTROLLER://:9093
      inter.broker.listener.name=PLAINTEXT
      advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
      controller.listener.names=CONTROLLER
      listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
      num.network.threads=3
      num.io.threads=8
      socket.send.buffer.bytes=102400
      socket.receive.buffer.bytes=102400
      socket.request.max.bytes=104857600
      log.dirs=/tmp/kraft-combined-logs
      num.partitions=1
      num.recovery.threads.per.data.dir=1
      offsets.topic.replication.factor=1
      share.coordinator.state.topic.replication.factor=1
      share.coordinator.state.topic.min.isr=1
      transaction.state.log.replication.factor=1
      transaction.state.log.min.isr=1
      log.retention.hours=168
      log.segment.bytes=1073741824
      log.retention.check.interval.ms=300000
      """
    let entries = try ServeSettings.entries(file: [("server.properties", text)])
    let configuration = try BrokerConfiguration(properties: entries)
    #expect(configuration.logDirectories == ["/tmp/kraft-combined-logs"])
    #expect(ServeSettings.withoutEffect(entries).contains("controller.quorum.bootstrap.servers"))
  }
}
