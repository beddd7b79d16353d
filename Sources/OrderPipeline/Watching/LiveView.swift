// Shows the run: a table that is kept up to date for a person, a line now and then for a pipe.

import ServiceLifecycle
import Synchronization

final class LiveView: Service {
  enum Style: Sendable { case table, lines, silent }

  private static let redrawInterval = Duration.milliseconds(250)
  private static let lineInterval = Duration.seconds(5)

  private struct Moment {
    var elapsed = Duration.zero
    var settled = 0
    var records: [Int] = []
  }

  private let style: Style
  private let progress: Progress
  private let tallies: [StageTally]
  private let monkey: ChaosMonkey?
  private let cache: StockCache
  private let drawn = Mutex((lines: 0, last: Moment()))

  init(_ style: Style, _ progress: Progress, _ tallies: [StageTally], _ cache: StockCache, _ monkey: ChaosMonkey?) {
    self.style = style
    self.progress = progress
    self.tallies = tallies
    self.cache = cache
    self.monkey = monkey
  }

  func run() async {
    guard style != .silent else { return }
    let interval = style == .table ? Self.redrawInterval : Self.lineInterval
    await cancelWhenGracefulShutdown {
      while (try? await Task.sleep(for: interval)) != nil { self.show() }
    }
    show()
  }

  private func show() {
    let snapshot = progress.snapshot
    let counts = tallies.map(\.counts)
    let now = Moment(elapsed: progress.elapsed, settled: snapshot.settled, records: counts.map(\.records))
    drawn.withLock { drawn in
      let seconds = max((now.elapsed - drawn.last.elapsed) / .seconds(1), 0.001)
      if style == .table {
        let lines = table(snapshot, counts, now, drawn.last, seconds)
        Terminal.redraw(lines, over: drawn.lines)
        drawn.lines = lines.count
      } else {
        let rate = Int(Double(now.settled - drawn.last.settled) / seconds)
        Terminal.write(
          ([summary(snapshot, rate)] + [latency(snapshot), troubles(counts)]).joined(separator: "; ") + "\n")
      }
      drawn.last = now
    }
  }

  private func table(
    _ snapshot: Progress.Snapshot, _ counts: [StageTally.Counts], _ now: Moment, _ last: Moment, _ seconds: Double
  ) -> [String] {
    var lines = [summary(snapshot, Int(Double(now.settled - last.settled) / seconds)), ""]
    lines.append(Self.row("", ["records/s", "records", "lag", "transactions", "killed", "failed"]))
    for (index, (tally, count)) in zip(tallies, counts).enumerated() {
      let before = last.records.indices.contains(index) ? last.records[index] : 0
      let cells = [
        Int(Double(count.records - before) / seconds), count.records, Int(count.lag ?? 0), count.transactions,
        count.kills, count.failures,
      ]
      lines.append(Self.row(tally.name, cells.map(\.grouped)))
    }
    let failures = zip(tallies, counts).compactMap { tally, count in count.lastFailure.map { "\(tally.name): \($0)" } }
    return lines + ["", latency(snapshot), troubles(counts), cacheText] + failures
  }

  private static func row(_ name: String, _ cells: [String]) -> String {
    name.padded(right: 14) + zip(cells, [10, 11, 9, 14, 8, 8]).map { $0.padded(left: $1) }.joined()
  }

  private func summary(_ snapshot: Progress.Snapshot, _ rate: Int) -> String {
    let total = snapshot.total.map { " of \($0.grouped)" } ?? ""
    return "\(progress.elapsed.clockText)  \(snapshot.settled.grouped)\(total) orders, \(rate.grouped)/s"
  }

  private func latency(_ snapshot: Progress.Snapshot) -> String {
    func text(_ share: Double) -> String { snapshot.latency.percentile(share).map { "\($0.grouped) ms" } ?? "-" }
    return "end to end p50 \(text(0.5)), p95 \(text(0.95)), p99 \(text(0.99))"
  }

  private func troubles(_ counts: [StageTally.Counts]) -> String {
    let (retries, letters) = counts.reduce((0, 0)) { ($0.0 + $1.retries, $0.1 + $1.deadLetters) }
    let chaos = monkey.map { ", \($0.deeds.killed) services killed, \($0.deeds.faults) network faults" } ?? ""
    return "\(retries.grouped) retries, \(letters.grouped) dead letters" + chaos
  }

  private var cacheText: String {
    let statistics = cache.statistics
    let share = 100 * statistics.hits / max(1, statistics.hits + statistics.misses)
    return "stock cache: \(share) % of look-ups answered, \(statistics.invalidations.grouped) invalidations"
  }
}
