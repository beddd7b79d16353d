// What `millrace log repair` says of a partition.
import MillraceLog

enum RepairReport {
  static func lines(_ plan: LogRepair.Plan, directory: String) -> [String] {
    var lines: [String] = []
    for segment in plan.segments {
      for loss in segment.losses {
        lines.append("damaged: \(segment.path) at \(loss.position): \(what(loss))")
        for offsets in loss.altered {
          lines.append("  in it: whole batches that say \(text(offsets)), which what is around them contradicts")
        }
        lines.append("  lost: \(lost(loss))")
        lines.append("  now: \(effect(loss))")
        lines.append("  with --cut: \(cut(loss))")
      }
    }
    if plan.hasUnfinishedCompaction, !plan.segments.isEmpty {
      lines.append(
        "  not yet: a crash interrupted a compaction of \(directory): start and stop the broker before anything is cut")
    }
    for finding in plan.unreadable {
      lines.append("unreadable: \(finding); its checksum is right, so it is as it was sent, and is served: not cut")
    }
    for offsets in plan.absent {
      lines.append(
        "absent: \(directory): \(text(offsets)) are in no segment: taken by compaction, or with a file that is gone; "
          + "readers go on behind them")
    }
    for finding in plan.hints { lines.append("stale: \(finding); the broker makes it anew") }
    return lines
  }

  private static func what(_ loss: LogRepair.Loss) -> String {
    loss.byteCount == 0
      ? "batches are missing, with all their bytes" : "\(loss.byteCount) bytes are not what was written"
  }

  private static func lost(_ loss: LogRepair.Loss) -> String {
    if !loss.offsets.isEmpty { return text(loss.offsets) }
    return loss.batchesBehind == 0
      ? "what was at the end of the log, from offset \(loss.offsets.lowerBound) on, if anything was"
      : "no offset: the batches around the bytes follow each other"
  }

  private static func effect(_ loss: LogRepair.Loss) -> String {
    switch loss.effect {
    case .refused: "fetches of these offsets are answered with CORRUPT_MESSAGE; everything else is served"
    case .skipped(let offset) where loss.batchesBehind > 0: "readers go on at offset \(offset)"
    case .skipped(let offset):
      "the broker goes on at offset \(offset) when it starts, and readers with it; everything before is served"
    case .cutsLog where loss.batchesBehind == 0: "the broker takes it for a torn write, and cuts it off when it starts"
    case .cutsLog:
      "nothing says that it was flushed: the broker takes it for a torn write when it starts, and cuts off the log from "
        + "here on, with \(loss.batchesBehind) whole batches behind"
    }
  }

  private static func cut(_ loss: LogRepair.Loss) -> String {
    let rest = loss.batchesBehind == 0 ? "" : "; the \(loss.batchesBehind) batches behind stay"
    return loss.offsets.isEmpty
      ? "the bytes go\(rest)" : "the bytes go, and an empty batch has their offsets, so that no offset changes\(rest)"
  }

  private static func text(_ offsets: Range<Int64>) -> String {
    offsets.count == 1 ? "offset \(offsets.lowerBound)" : "offsets \(offsets.lowerBound) to \(offsets.upperBound - 1)"
  }
}

struct RepairTotal {
  private var partitions = 0
  private var ranges = 0
  private var bytes: Int64 = 0
  private var offsets: Int64 = 0
  /// Damaged ranges that are still there.
  var left = 0

  mutating func add(_ plan: LogRepair.Plan) {
    partitions += 1
    ranges += plan.losses.count
    left += plan.losses.count
    for loss in plan.losses {
      bytes += loss.byteCount
      offsets += loss.offsets.upperBound - loss.offsets.lowerBound
    }
  }

  func text(didCut: Bool) -> String {
    let found = "\(partitions) partitions, \(ranges) damaged ranges, \(bytes) bytes, \(offsets) offsets lost"
    if ranges == 0 { return "\(found): sound" }
    if !didCut { return "\(found): nothing was changed, --cut takes the damage out" }
    return left == 0 ? "\(found): cut" : "\(found): \(left) damaged ranges are left"
  }
}
