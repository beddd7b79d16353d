import MillraceClient
import Testing

@testable import MillraceCLI

@Suite("Kafka's tools")
struct KafkaToolTests {
  private let definition = ToolDefinition(
    name: "tool.sh", purpose: "For the test.",
    options: [
      ToolOption("list", help: ""), ToolOption("topic", argument: .required("topic"), help: ""),
      ToolOption("topic-id", argument: .required("id"), help: ""),
      ToolOption("state", argument: .optional("state"), help: ""),
      ToolOption("props", argument: .list("k=v"), help: ""), ToolOption("shift-by", argument: .required("n"), help: ""),
      ToolOption("old-name", "new-name", argument: .required("x"), help: ""),
    ])

  @Test func `values stand behind their option or an equals sign`() throws {
    let given = try definition.parse(["--topic", "a", "--topic=b=c", "--list", "--shift-by", "-5"])
    #expect(given.values("topic") == ["a", "b=c"])
    #expect(given.value("topic") == "b=c")
    #expect(given.has("list"))
    #expect(try given.integer("shift-by", as: Int64.self) == -5)
    #expect(!given.has("state"))
  }

  @Test func `an optional value may be left out`() throws {
    #expect(try definition.parse(["--state", "--list"]).value("state") == nil)
    #expect(try definition.parse(["--state", "--list"]).has("state"))
    #expect(try definition.parse(["--state", "stable"]).value("state") == "stable")
    #expect(try definition.parse(["--list", "--state"]).has("state"))
  }

  @Test func `a list goes on to the next option`() throws {
    #expect(try definition.parse(["--props", "a=1", "b=2", "--list"]).values("props") == ["a=1", "b=2"])
  }

  @Test func `both names of an option mean the same`() throws {
    #expect(try definition.parse(["--new-name", "1", "--old-name", "2"]).values("old-name") == ["1", "2"])
  }

  @Test func `an abbreviation that means one option is taken`() throws {
    #expect(try definition.parse(["--li"]).has("list"))
    #expect(try definition.parse(["--topic", "a"]).value("topic") == "a")
    #expect(throws: ToolUsageFailure.self) { try definition.parse(["--to", "a"]) }
  }

  @Test(arguments: [["--nothing"], ["--topic"], ["--list=1"], ["stray"], ["--props"], ["--props", "--list"]])
  func `what the tool does not know is refused`(arguments: [String]) {
    #expect(throws: ToolUsageFailure.self) { try definition.parse(arguments) }
  }

  @Test func `exactly one action is asked for`() throws {
    let given = try definition.parse(["--list", "--topic", "a"])
    #expect(try given.oneOf("list", "state") == "list")
    #expect(throws: ToolUsageFailure.self) { try given.oneOf("list", "topic") }
    #expect(throws: ToolUsageFailure.self) { try given.oneOf("state", "props") }
  }

  @Test func `configs to add may hold commas in square brackets`() throws {
    let additions = try KafkaConfigs.additions("a=1, b=[x,y],c=")
    #expect(additions.map { "\($0.0)=\($0.1)" } == ["a=1", "b=x,y", "c="])
    #expect(throws: ToolUsageFailure.self) { try KafkaConfigs.additions("a") }
    #expect(throws: ToolUsageFailure.self) { try KafkaConfigs.additions("a=1,,b=2") }
  }

  @Test func `a replica assignment names the brokers of each partition`() throws {
    #expect(try KafkaTopics.assignments("0:1,1:0") == [0: [0, 1], 1: [1, 0]])
    #expect(try KafkaTopics.assignments(nil).isEmpty)
    for bad in ["0:0", "0:1,2", "a", "0,,1"] {
      #expect(throws: ToolUsageFailure.self) { try KafkaTopics.assignments(bad) }
    }
  }

  @Test func `topics are chosen by name or by regular expression`() throws {
    let names = ["orders", "orders-dlq", "payments", "a.b", "axb"]
    #expect(try names.filter(TopicSelection.matcher("orders")) == ["orders"])
    #expect(try names.filter(TopicSelection.matcher("orders.*")) == ["orders", "orders-dlq"])
    #expect(try names.filter(TopicSelection.matcher("orders,payments")) == ["orders", "payments"])
    #expect(try names.filter(TopicSelection.matcher("a.b")) == ["a.b", "axb"])
    #expect(throws: TopicSelection.BadPattern.self) { try TopicSelection.matcher("(") }
  }

  @Test func `partitions are chosen by topic, number and range`() throws {
    let all = (0..<6).map { TopicPartition("a", $0) } + (0..<3).map { TopicPartition("b", $0) }
    func chosen(_ arguments: String...) throws -> [String] {
      try all.filter(KafkaGetOffsets.filter(KafkaGetOffsets.definition.parse(arguments))).map(\.description)
    }
    #expect(try chosen("--topic", "b") == ["b-0", "b-1", "b-2"])
    #expect(try chosen("--topic", "a", "--partitions", "1,4") == ["a-1", "a-4"])
    #expect(try chosen("--topic-partitions", "a:2-4,b:1") == ["a-2", "a-3", "b-1"])
    #expect(try chosen("--topic-partitions", "a:5-,:0") == ["a-0", "a-5", "b-0"])
    #expect(try chosen("--topic-partitions", "b:-2") == ["b-0", "b-1"])
    #expect(throws: (any Error).self) { try chosen("--topic-partitions", "b:x") }
  }

  @Test func `a deletion plan is read from its file`() throws {
    let plan =
      #"{"partitions":[{"topic":"foo","partition":1,"offset":7},{"topic":"foo","partition":2,"offset":-1}],"version":1}"#
    #expect(try DeletionPlan.parse(Array(plan.utf8)) == [TopicPartition("foo", 1): 7, TopicPartition("foo", 2): -1])
    for bad in ["", "{}", #"{"partitions":[{"topic":"a"}]}"#, #"{"partitions":[],"version":2}"#] {
      #expect(throws: DeletionPlan.Failure.self) { try DeletionPlan.parse(Array(bad.utf8)) }
    }
  }
}
