import Testing

@testable import MillraceClient

@Suite struct BrokerAddressTests {
  @Test(arguments: [
    ("localhost:9092", "localhost", 9092), ("localhost", "localhost", 9092), ("10.0.0.1:19092", "10.0.0.1", 19092),
    ("[::1]:9093", "::1", 9093), ("[fe80::1]", "fe80::1", 9092), ("::1", "::1", 9092), ("  broker-1:1 ", "broker-1", 1),
  ])
  func `host and port are read from text`(_ text: String, _ host: String, _ port: Int) throws {
    #expect(try BrokerAddress(text) == BrokerAddress(host: host, port: port))
  }

  @Test(arguments: [
    "", ":9092", "host:", "host:0", "host:65536", "host:abc", "[::1", "[::1]9092", "kafka://host:1", "a b:1",
  ])
  func `text that is no address is refused with its reason`(_ text: String) {
    let error = #expect(throws: KafkaError.self) { try BrokerAddress(text) }
    #expect(error?.code == .configuration)
    #expect(error?.message.contains("'") == true)
  }

  @Test func `a list is separated by commas`() throws {
    let list = try BrokerAddress.list("a:1, b, ,[::1]:3,")
    #expect(list == [BrokerAddress(host: "a", port: 1), BrokerAddress(host: "b"), BrokerAddress(host: "::1", port: 3)])
  }

  @Test func `an empty list is refused`() {
    #expect(throws: KafkaError.self) { try BrokerAddress.list(" , ") }
  }

  @Test(arguments: ["localhost:9092", "[::1]:9092"])
  func `an address prints as it is read`(_ text: String) throws {
    #expect(try BrokerAddress(text).description == text)
  }
}
