// What a redrive says while it runs and in the end.
import MillraceClient

final class RedriveReport: Sendable {
  private struct State {
    var progress = RedriveProgress()
    var toldToWait = false
    var began = ContinuousClock.now
  }

  private static let barWidth = 30

  private let topic: String
  private let isPlan: Bool
  private let line = ProgressLine(besideOutput: true)
  private let state = Guarded(State())

  init(topic: String, isPlan: Bool) {
    self.topic = topic
    self.isPlan = isPlan
  }

  func tell(_ progress: RedriveProgress) {
    let (waits, elapsed) = state.change { state in
      state.progress = progress
      let waits = progress.waitsFor != nil && !state.toldToWait
      if waits { state.toldToWait = true }
      return (waits, ContinuousClock.now - state.began)
    }
    if waits, let owner = progress.waitsFor {
      note("Waiting to see whether the redrive of '\(topic)' by \(owner) is alive.")
    } else if progress.total > 0 {
      line.update(Self.bar(progress, elapsed: elapsed))
    }
  }

  func take(_ summary: RedriveSummary) {
    state.change { $0.progress.summary = summary }
  }

  private var summary: RedriveSummary { state.value.progress.summary }
  var hasUnroutable: Bool { summary[.withoutSource] + summary[.sourceMissing] > 0 }

  /// `[######------]  50 %  25000 of 50000, 1000/s`
  static func bar(_ progress: RedriveProgress, elapsed: Duration) -> String {
    let share = progress.total > 0 ? Double(progress.passed) / Double(progress.total) : 1
    let filled = min(barWidth, max(0, Int(share * Double(barWidth))))
    let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: barWidth - filled)
    let seconds = Double(elapsed.components.seconds) + 1e-18 * Double(elapsed.components.attoseconds)
    let rate = seconds > 0 ? Int(Double(progress.passed) / seconds) : 0
    return "[\(bar)] \(Int(share * 100)) %  \(progress.passed) of \(progress.total), \(rate)/s"
  }

  func write(json: Bool, isComplete: Bool) throws {
    line.clear()
    if json {
      try Output.standard.line(Self.json(topic, summary, isPlan: isPlan, isComplete: isComplete).text)
    } else {
      for line in Self.lines(summary, isPlan: isPlan) { try Output.standard.line(line) }
    }
  }

  static func lines(_ summary: RedriveSummary, isPlan: Bool) -> [String] {
    guard summary.total > 0 else { return ["no letters"] }
    let shown = RedriveOutcome.allCases.filter { summary[$0] > 0 }
    let name = { (outcome: RedriveOutcome) in isPlan && outcome == .redriven ? "to redrive" : outcome.rawValue }
    let width = shown.map { name($0).count }.reduce(0, max)
    return shown.map { outcome in
      let targets = summary.targets.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
      return name(outcome).padded(width) + "  \(summary[outcome])" + (outcome == .redriven ? "  (\(targets))" : "")
    }
  }

  static func json(_ topic: String, _ summary: RedriveSummary, isPlan: Bool, isComplete: Bool) -> JSONValue {
    .object([
      "topic": .string(topic), "dryRun": .bool(isPlan), "complete": .bool(isComplete),
      "redriven": .integer(Int64(summary[.redriven])), "filtered": .integer(Int64(summary[.filtered])),
      "replayedTooOften": .integer(Int64(summary[.replayedTooOften])),
      "withoutSource": .integer(Int64(summary[.withoutSource])),
      "sourceMissing": .integer(Int64(summary[.sourceMissing])),
      "targets": .object(
        summary.targets.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: .integer(Int64($0.value))) }),
    ])
  }

  static func json(_ status: RedriveStatus) -> JSONValue {
    .object([
      "topic": .string(status.topic), "running": .bool(!status.members.isEmpty), "passed": .integer(status.passed),
      "left": .integer(status.left),
      "members": .array(
        status.members.map {
          .object([
            "memberId": .string($0.memberId), "clientId": .string($0.clientId), "host": .string($0.clientHost),
          ])
        }),
      "partitions": .array(
        status.partitions.map {
          .object([
            "partition": .integer(Int64($0.topicPartition.partition)), "start": .integer($0.start),
            "position": .integer($0.position), "end": .integer($0.end),
          ])
        }),
    ])
  }
}
