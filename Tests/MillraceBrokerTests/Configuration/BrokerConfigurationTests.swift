import MillraceBroker
import MillraceCoordination
import Testing

@Suite struct BrokerConfigurationTests {
  private func configuration(_ values: KeyValuePairs<String, String>, hostName: String = "machine") throws
    -> BrokerConfiguration
  {
    try BrokerConfiguration(
      properties: values.enumerated().map {
        ConfigEntry(name: $1.0, value: $1.1, origin: "server.properties:\($0 + 1)")
      },
      hostName: hostName)
  }

  private func problems(_ values: KeyValuePairs<String, String>) -> String {
    do {
      _ = try configuration(values)
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test func `without any setting the broker listens on this machine only and keeps data in ./data`() throws {
    let configuration = try BrokerConfiguration()
    #expect(configuration.listeners == [BrokerListener(host: "localhost", port: 9092)])
    #expect(configuration.logDirectories == ["./data"])
    #expect(configuration.nodeId == 1)
    #expect(configuration.defaultPartitionCount == 1)
    #expect(configuration.maxQueuedRequestBytes == nil)
    #expect(configuration.maxIdleMs == 600_000)
  }

  @Test func `a properties file as Kafka ships it is understood`() throws {
    let configuration = try configuration([
      "process.roles": "broker,controller", "node.id": "1", "controller.quorum.bootstrap.servers": "localhost:9093",
      "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093", "inter.broker.listener.name": "PLAINTEXT",
      "advertised.listeners": "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
      "controller.listener.names": "CONTROLLER",
      "listener.security.protocol.map":
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
      "num.network.threads": "3", "num.io.threads": "8", "socket.send.buffer.bytes": "102400",
      "socket.receive.buffer.bytes": "102400", "socket.request.max.bytes": "104857600",
      "log.dirs": "/tmp/kraft-combined-logs", "num.partitions": "1", "num.recovery.threads.per.data.dir": "1",
      "offsets.topic.replication.factor": "1", "share.coordinator.state.topic.replication.factor": "1",
      "share.coordinator.state.topic.min.isr": "1", "transaction.state.log.replication.factor": "1",
      "transaction.state.log.min.isr": "1", "log.retention.hours": "168", "log.segment.bytes": "1073741824",
      "log.retention.check.interval.ms": "300000",
    ])
    #expect(
      configuration.listeners == [
        BrokerListener(host: "", port: 9092, advertisedHost: "localhost", advertisedPort: 9092)
      ])
    #expect(configuration.logDirectories == ["/tmp/kraft-combined-logs"])
    #expect(configuration.sendBufferBytes == 102_400)
  }

  @Test func `a listener on every address advertises the machine, others themselves, and advertised listeners win`()
    throws
  {
    let configuration = try configuration([
      "listeners": "plaintext://0.0.0.0:9092,INSIDE://[fd00::7]:9093,OUTSIDE://[::]:0",
      "advertised.listeners": "OUTSIDE://broker.example.com:443",
      "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT",
    ])
    #expect(
      configuration.listeners == [
        BrokerListener(name: "PLAINTEXT", host: "", port: 9092, advertisedHost: "machine"),
        BrokerListener(name: "INSIDE", host: "fd00::7", port: 9093),
        BrokerListener(name: "OUTSIDE", host: "", port: 0, advertisedHost: "broker.example.com", advertisedPort: 443),
      ])
  }

  @Test func `files are flushed as the configuration says`() throws {
    #expect(try BrokerConfiguration().flushPolicy == .automatic)
    #expect(try configuration(["log.flush.policy": "files"]).flushPolicy == .fileByFile)
    #expect(throws: (any Error).self) { try configuration(["log.flush.policy": "never"]) }
  }

  @Test func `the last entry of a key counts`() throws {
    let configuration = try BrokerConfiguration(properties: [
      ConfigEntry(name: "num.partitions", value: "2", origin: "file:1"),
      ConfigEntry(name: "num.partitions", value: "3", origin: "--set"),
    ])
    #expect(configuration.defaultPartitionCount == 3)
    #expect(configuration.started == ["num.partitions": "3"])
  }

  @Test func `broker id is the older name of node id`() throws {
    #expect(try configuration(["broker.id": "7"]).nodeId == 7)
    #expect(try configuration(["broker.id": "7", "node.id": "7"]).nodeId == 7)
    #expect(problems(["broker.id": "7", "node.id": "8"]).contains("remove broker.id"))
  }

  @Test func `an unknown key is named with its place and the key that was meant`() {
    #expect(problems(["log.dir": "/d", "num.partition": "3"]).hasPrefix("server.properties:2: "))
    #expect(problems(["num.partition": "3"]).contains("Did you mean 'num.partitions'?"))
    #expect(problems(["frobnicate": "3"]).contains("Remove it."))
  }

  @Test func `all problems are reported at once`() {
    let text = problems(["num.partitions": "0", "log.retention.hours": "soon", "nonsense.key": "x"])
    #expect(text.split(separator: "\n").count == 3)
    #expect(text.contains("server.properties:1: Invalid value '0' for configuration 'num.partitions'"))
    #expect(text.contains("server.properties:2: Invalid value 'soon'"))
  }

  @Test(arguments: [
    ("listeners", "SSL://:9093", "PLAINTEXT listeners only"),
    ("listeners", "MINE://:9093", "listener.security.protocol.map"),
    ("listeners", "PLAINTEXT://:9092,PLAINTEXT://:9093", "there twice"),
    ("listeners", "localhost:9092", "NAME://host:port"),
    ("listeners", "PLAINTEXT://localhost:65536", "NAME://host:port"),
    ("listeners", "PLAINTEXT://fd00::7:9092", "NAME://host:port"),
    ("listeners", "CONTROLLER://:9093", "no listener for clients"),
    ("advertised.listeners", "OTHER://host:1", "not the name of a listener"),
    ("advertised.listeners", "PLAINTEXT://0.0.0.0:9092", "could connect to"),
    ("process.roles", "controller", "has to contain broker"),
    ("ssl.keystore.location", "/k", "PLAINTEXT listeners only"),
    ("queued.max.request.bytes", "1000", "at least socket.request.max.bytes"),
    ("zookeeper.connect", "z:2181", "ZooKeeper"),
    ("max.connections.per.ip.overrides", "host", "host:number"), ("group.min.session.timeout.ms", "9000000", "at most"),
    ("listener.security.protocol.map", "PLAINTEXT", "LISTENER:PROTOCOL"),
    ("log.cleaner.max.compaction.lag.ms", "0", "at least 1"), ("log.dirs", "/a,/a", "twice"),
  ])
  func `what cannot be is refused with what to do`(key: String, value: String, part: String) {
    #expect(problems([key: value]).contains(part), "\(problems([key: value]))")
  }
}
