import Testing

@testable import MillraceCLI
@testable import MillraceClient

@Suite("Share groups: reports and settings")
struct ShareGroupTests {
  private let partition = TopicPartition("mails", 0)

  private var group: GroupDescription {
    GroupDescription(
      groupId: "mailers", type: "Share", state: "Stable", protocolType: "share", assignor: "simple",
      coordinator: BrokerInfo(id: 1, host: "h", port: 9092),
      members: [
        GroupMemberDescription(
          memberId: "m", clientId: "c", clientHost: "/127.0.0.1", assignment: [partition, TopicPartition("mails", 1)],
          epoch: 7)
      ],
      groupEpoch: 7, assignmentEpoch: 6)
  }

  @Test func `offsets are listed with their lag, and a dash for what is not known`() {
    let known = ShareGroupOffset(startOffset: 3, leaderEpoch: 2, lag: 5)
    let rows: [ShareGroupReport.Row] = [(partition, known), (TopicPartition("mails", 1), nil)]
    #expect(
      ShareGroupReport.offsetLines("mailers", rows) == [
        "GROUP           TOPIC           PARTITION  START-OFFSET  LAG",
        "mailers         mails           0          3             5",
        "mailers         mails           1          -             -",
      ])
    #expect(
      ShareGroupReport.offsetLines("mailers", rows, verbose: true)[1]
        == "mailers         mails           0          2             3             5")
  }

  @Test func `members are listed with what they read`() {
    let lines = ShareGroupReport.memberLines(group, verbose: true)
    #expect(lines.map { $0.split(separator: " ").count } == [7, 7])
    #expect(lines[1].split(separator: " ").suffix(3) == ["2", "7", "mails:0,1"])
    #expect(ShareGroupReport.memberLines(group)[0].split(separator: " ").last == "ASSIGNMENT")
  }

  @Test func `the state says how many members there are`() {
    #expect(ShareGroupReport.stateLines(group)[1].split(separator: " ").suffix(2) == ["Stable", "1"])
    #expect(
      ShareGroupReport.stateLines(group, verbose: true)[1].split(separator: " ").suffix(4) == ["Stable", "7", "6", "1"])
    #expect(GroupReport.remark(group) == nil)
    var empty = group
    empty.state = "Empty"
    #expect(GroupReport.remark(empty) == "Share group 'mailers' has no active members.")
  }

  @Test func `a share consumer takes Kafka's keys`() throws {
    var properties = ClientProperties(clientId: "test")
    for (name, value) in [
      ("share.acknowledgement.mode", "explicit"), ("share.acquire.mode", "record_limit"), ("max.poll.records", "10"),
    ] { properties.set(name, value, origin: "test") }
    let consumer = try properties.shareConsumer(groupId: "mailers")
    #expect(consumer.acknowledgementMode == .explicit && consumer.acquireMode == .recordLimit)
    #expect(consumer.maxRecords == 10)
    properties.set("max.poll.records", "0", origin: "test")
    #expect(throws: ClientProperties.Failure.self) { try properties.shareConsumer(groupId: "mailers") }
  }

  @Test(arguments: [
    ["t", "--share"], ["t", "--share", "--group", "g", "--committed"], ["t", "--share", "--group", "g", "--from", "5"],
    ["t", "--share", "--group", "g", "--from-beginning"], ["t", "--share", "--group", "g", "--partition", "0"],
  ])
  func `what a share group cannot do is refused`(_ arguments: [String]) {
    #expect(throws: (any Error).self) { try Consume.parse(arguments) }
  }
}
