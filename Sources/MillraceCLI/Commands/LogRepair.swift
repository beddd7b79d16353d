// millrace log repair: what damage there is in a stopped broker's files, what it costs, and how it goes.
import ArgumentParser
import MillraceLog

extension LogFiles {
  struct Repair: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Explain damage to the files of a stopped broker and, when asked, cut it out.",
      discussion: """
        Without --cut nothing is changed: each damaged range is named, with the offsets that it costs and what readers
        get of them now. With --cut it is taken out of its segment after that was said. The damaged bytes are kept in a
        file beside it unless --discard is given. No offset changes: an empty batch stands where the lost ones were, and
        everything else stays. A cut that is interrupted changed a segment wholly or not at all; run it again. Run it as
        the user that the broker runs as, since segments are written anew.

        Batches with a right checksum whose records cannot be read are as they were sent: they are named and stay. Indexes,
        snapshots and checkpoints need no repair: the broker makes them anew.

        Ends with 1 if damage is left.

          millrace log repair data
          millrace log repair data --cut
          millrace log repair data/orders-0 --cut --discard
        """)

    @Argument(help: "Data directories, or directories of partitions in one.") var paths: [String]
    @Flag(help: "Take the damaged ranges out for good.") var cut = false
    @Flag(help: "With --cut: do not keep the damaged bytes.") var discard = false

    func validate() throws {
      if discard && !cut { throw ValidationError("--discard goes with --cut") }
    }

    func run() throws {
      var total = RepairTotal()
      for (path, partitions) in try Self.selected(paths) {
        let directory = try Self.hold(path)
        for id in try partitions ?? directory.partitions() {
          try repair(directory.repair(id), &total)
        }
        for path in try directory.unusableCheckpoints() {
          try Output.standard.line("stale: \(path): the file is not whole; the broker makes it anew")
        }
        withExtendedLifetime(directory) {}
      }
      try Output.standard.line(total.text(didCut: cut))
      guard total.left > 0 else { return }
      try Output.standard.flush()
      throw SomeFailed()
    }

    /// The data directories, each with the partitions that were asked for; nil for all.
    private static func selected(_ paths: [String]) throws -> [(path: String, partitions: [PartitionID]?)] {
      var selected: [(path: String, partitions: [PartitionID]?)] = []
      for given in paths {
        let path = given.count > 1 && given.hasSuffix("/") ? String(given.dropLast()) : given
        var directory = path
        var partition: PartitionID?
        if try !LogInspector(directory: path).files().isEmpty {
          let slash = path.lastIndex(of: "/")
          partition = PartitionID(directoryName: String(path[(slash.map(path.index(after:)) ?? path.startIndex)...]))
          guard partition != nil else { throw ValidationError("\(path) has not the name of a partition: topic-number") }
          directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        } else if try LogInspector.partitions(inDataDirectory: path).isEmpty {
          throw ValidationError("\(path) is neither the directory of a partition nor a data directory with partitions")
        }
        if let index = selected.firstIndex(where: { $0.path == directory }) {
          selected[index].partitions = partition.flatMap { one in selected[index].partitions.map { $0 + [one] } }
        } else {
          selected.append((directory, partition.map { [$0] }))
        }
      }
      return selected
    }

    private static func hold(_ path: String) throws -> StoppedDataDirectory {
      do {
        return try StoppedDataDirectory(path)
      } catch {
        guard case .directoryInUse = error else { throw error }
        throw DataDirectories.Failure(
          description:
            "a broker has the data directory \(path): stop it first (`log verify` reads a running broker's files)")
      }
    }

    private func repair(_ repair: LogRepair, _ total: inout RepairTotal) throws {
      let plan = try repair.plan()
      for line in RepairReport.lines(plan, directory: repair.directory) { try Output.standard.line(line) }
      total.add(plan)
      guard cut, !plan.segments.isEmpty else { return }
      // What goes was said, whatever happens from here on.
      try Output.standard.flush()
      guard !plan.hasUnfinishedCompaction else { return }
      for segment in plan.segments {
        let kept = try repair.cut(segment, keepingBytes: !discard)
        total.left -= segment.losses.count
        try Output.standard.line("cut: \(segment.path): \(segment.losses.count) ranges")
        for path in kept { try Output.standard.line("kept: \(path)") }
      }
    }
  }
}
