// How many records wait for each service, as the cluster sees it: the ends of its topics less what its group committed.

import MillraceClient

struct LagReader: Sendable {
  private static let interval = Duration.milliseconds(500)

  struct Subject: Sendable {
    var tally: StageTally
    var group: String
    var inputs: [String]
  }

  let client: ClientConfiguration
  let partitions: Int32
  let subjects: [Subject]

  func run() async throws {
    let admin = try await Admin(client)
    while true {
      for subject in subjects { subject.tally.lags(by: try await lag(of: subject, admin)) }
      try await Task.sleep(for: Self.interval)
    }
  }

  private func lag(of subject: Subject, _ admin: Admin) async throws -> Int64 {
    let inputs = subject.inputs.flatMap { topic in (0..<partitions).map { TopicPartition(topic, $0) } }
    let queries = Dictionary(uniqueKeysWithValues: inputs.map { ($0, OffsetQuery.latest) })
    let ends = try await admin.listOffsets(queries, isolation: .readCommitted)
    let committed = try await admin.groupOffsets(subject.group, partitions: inputs, requireStable: false)
    return try inputs.reduce(0) { sum, partition in
      let end = try ends[partition]?.get().offset ?? 0
      return sum + max(0, end - (committed[partition]?.offset ?? 0))
    }
  }
}
