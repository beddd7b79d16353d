import MillraceClient
import Testing

@testable import MillraceCLI

@Suite("Groups: reports and resets")
struct GroupOperationTests {
  private let one = TopicPartition("orders", 0)
  private let two = TopicPartition("orders", 1)

  private func facts(_ committed: [TopicPartition: Int64] = [:], byTime: [TopicPartition: Int64] = [:])
    -> OffsetPlanning.Facts
  {
    OffsetPlanning.Facts(
      earliest: [one: 10, two: 0], latest: [one: 100, two: 50],
      current: committed, byTime: byTime)
  }

  private func plan(_ target: OffsetPlanning.Target, _ facts: OffsetPlanning.Facts) throws -> [Int64?] {
    let offsets = try OffsetPlanning.plan([one, two], target, facts).offsets
    return [offsets[one], offsets[two]]
  }

  @Test func `a reset goes where it is told`() throws {
    #expect(try plan(.earliest, facts()) == [10, 0])
    #expect(try plan(.latest, facts()) == [100, 50])
    #expect(try plan(.offset(40), facts()) == [40, 40])
    #expect(try plan(.current, facts([one: 30])) == [30, 50])
    #expect(try plan(.shift(-5), facts([one: 30, two: 20])) == [25, 15])
    #expect(try plan(.time(1), facts(byTime: [one: 77, two: -1])) == [77, 50])
    #expect(try plan(.fixed([two: 7]), facts()) == [nil, 7])
  }

  @Test func `a reset stays in the range of the partition and says so`() throws {
    let plan = try OffsetPlanning.plan([one, two], .offset(5), facts())
    #expect(plan.offsets == [one: 10, two: 5])
    #expect(plan.remarks.count == 1 && plan.remarks[0].contains("orders-0"))
    #expect(try self.plan(.shift(.max), facts([one: 30, two: 20])) == [100, 50])
    #expect(try self.plan(.shift(.min), facts([one: 30, two: 20])) == [10, 0])
  }

  @Test func `what cannot be planned is refused`() {
    #expect(throws: OffsetPlanning.Failure.self) { try plan(.shift(1), facts([one: 30])) }
    #expect(throws: OffsetPlanning.Failure.self) {
      try OffsetPlanning.plan([TopicPartition("no", 0)], .earliest, facts())
    }
  }

  @Test func `a topic argument may name partitions`() throws {
    #expect(try OffsetPlanning.parse("orders") == nil)
    #expect(try OffsetPlanning.parse("orders:0,1") == [one, two])
    for bad in ["orders:", "orders:x", ":1", "a:1:2", "orders:-1"] {
      #expect(throws: OffsetPlanning.Failure.self) { try OffsetPlanning.parse(bad) }
    }
  }

  @Test func `a plan is read from CSV, with or without the group`() throws {
    #expect(try OffsetPlanning.parsePlanFile("orders,0,5\r\n\"orders\",1,6\n", group: "g") == [one: 5, two: 6])
    #expect(try OffsetPlanning.parsePlanFile("g,orders,0,5\nother,orders,1,6\n", group: "g") == [one: 5])
    #expect(throws: OffsetPlanning.Failure.self) { try OffsetPlanning.parsePlanFile("orders,0", group: "g") }
  }

  @Test func `the table of offsets is that of Kafka's tool`() {
    let rows = [
      GroupReport.OffsetRow(
        group: "g", partition: one, current: 3, end: 5, consumerId: "consumer-g-1-aaaaaaaa", host: "/127.0.0.1",
        clientId: "c"),
      GroupReport.OffsetRow(group: "g", partition: two, end: 5),
    ]
    #expect(
      GroupReport.offsetLines(rows) == [
        "GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID           HOST            CLIENT-ID",
        "g               orders          0          3               5               2               consumer-g-1-aaaaaaaa /127.0.0.1      c",
        "g               orders          1          -               5               -               -                     -               -",
      ])
  }

  @Test func `an assignment is told by topic`() {
    #expect(GroupReport.assignment([TopicPartition("b", 2), two, one]) == "b:2;orders:0,1")
    #expect(GroupReport.assignment([]) == "-")
  }
}
