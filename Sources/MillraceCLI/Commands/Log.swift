// millrace log: the files of partitions, without a broker. Dump and Verify only read, so they may look at a running
// broker's files too; Repair (LogRepair.swift) wants the broker stopped.
import ArgumentParser
import MillraceLog
import MillraceRecords

struct LogFiles: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log",
    abstract: "Show, check and repair the files of partitions, without a broker.",
    subcommands: [Dump.self, Verify.self, Repair.self])

  /// The partition directories that `paths` name: themselves, or all those in a data directory.
  static func partitions(_ paths: [String]) throws -> [LogInspector] {
    try paths.flatMap { path -> [LogInspector] in
      let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
      let inspector = LogInspector(directory: path)
      if try !inspector.files().isEmpty { return [inspector] }
      let found = try LogInspector.partitions(inDataDirectory: path)
      guard !found.isEmpty else {
        throw ValidationError("\(path) is neither the directory of a partition nor a data directory with partitions")
      }
      return found.map { LogInspector(directory: "\(path)/\($0)") }
    }
  }

  struct Dump: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show batches, records, index entries and snapshots.",
      discussion: """
          millrace log dump data/orders-0
          millrace log dump data/orders-0 --records
          millrace log dump data/orders-0 --indexes
        """)

    @Argument(help: "Directories of partitions, or data directories.") var paths: [String]
    @Flag(help: "Show the records of each batch.") var records = false
    @Flag(help: "Show the entries of the offset, time and transaction indexes and of the producer snapshots.")
    var indexes = false

    func run() throws {
      for inspector in try LogFiles.partitions(paths) {
        for file in try inspector.files() {
          switch file.kind {
          case .log: try dump(file, of: inspector)
          case .index where indexes:
            try heading(file)
            for entry in try inspector.offsetIndex(file.path) {
              try Output.standard.line(
                "offset: \(file.offset + Int64(entry.relativeOffset)) position: \(entry.position)")
            }
          case .timeIndex where indexes:
            try heading(file)
            for entry in try inspector.timeIndex(file.path) {
              try Output.standard.line(
                "timestamp: \(entry.timestamp) offset: \(file.offset + Int64(entry.relativeOffset))")
            }
          case .transactionIndex where indexes:
            try heading(file)
            guard let index = try inspector.transactionIndex(file.path) else {
              try Output.standard.line("the index is not whole: the broker makes it anew")
              continue
            }
            for entry in index.entries {
              try Output.standard.line(
                """
                producerId: \(entry.producerId) firstOffset: \(entry.firstOffset) lastOffset: \(entry.lastOffset) \
                lastStableOffset: \(entry.lastStableOffset)
                """)
            }
            try Output.standard.line("whole up to offset: \(index.through) lastStableOffset: \(index.lastStableOffset)")
          case .snapshot where indexes:
            try heading(file)
            for producer in try inspector.snapshot(file.path) ?? [] {
              try Output.standard.line(
                """
                producerId: \(producer.producerId) producerEpoch: \(producer.epoch) \
                firstSequence: \(producer.firstSequence) lastSequence: \(producer.lastSequence) \
                lastOffset: \(producer.lastOffset) offsetDelta: \(producer.offsetDelta) \
                timestamp: \(producer.lastTimestamp)
                """)
            }
          default: break
          }
        }
      }
    }

    private func heading(_ file: LogInspector.File) throws { try Output.standard.line("Dumping \(file.path)") }

    private func dump(_ file: LogInspector.File, of inspector: LogInspector) throws {
      try heading(file)
      try Output.standard.line("Log starting offset: \(file.offset)")
      var failure: (any Error)?
      let end = try inspector.forEachBatch(in: file.path) { (batch) throws(LogError) in
        guard failure == nil else { return }
        try inspector.withBytes(of: batch, in: file.path) { bytes in
          do {
            try show(batch, bytes)
          } catch {
            failure = error
          }
        }
      }
      if let failure { throw failure }
      if end < file.byteCount {
        try Output.standard.line("\(file.byteCount - end) bytes from position \(end) on are no batches")
      }
    }

    private func show(_ batch: LogInspector.Batch, _ bytes: UnsafeRawBufferPointer) throws {
      let header = batch.header
      try Output.standard.line(
        """
        baseOffset: \(header.baseOffset) lastOffset: \(header.lastOffset) count: \(header.recordCount) \
        baseSequence: \(header.baseSequence) lastSequence: \(header.lastSequence) producerId: \(header.producerId) \
        producerEpoch: \(header.producerEpoch) partitionLeaderEpoch: \(header.partitionLeaderEpoch) \
        isTransactional: \(header.isTransactional) isControl: \(header.isControl) position: \(batch.position) \
        \(header.timestampType.name): \(header.maxTimestamp) size: \(header.sizeInBytes) magic: \(header.magic) \
        compresscodec: \(header.compression?.name ?? "unknown") crc: \(header.crc) \
        isvalid: \(header.isValid(checksumOver: bytes))
        """)
      guard records else { return }
      var lines: [String] = []
      do {
        try BatchView(bytes).forEachRecord { record in
          let headers = record.headers.map { "\"\($0.key)\"" }.joined(separator: ", ")
          var line =
            "| offset: \(record.offset) \(header.timestampType.name): \(record.timestamp) "
            + "keySize: \(record.key?.count ?? -1) valueSize: \(record.value?.count ?? -1) headerKeys: [\(headers)]"
          if let key = record.key { line += " key: \(String(decoding: key, as: UTF8.self))" }
          if let value = record.value { line += " payload: \(String(decoding: value, as: UTF8.self))" }
          lines.append(line)
        }
      } catch {
        lines.append("| the records cannot be read: \(error)")
      }
      for line in lines { try Output.standard.line(line) }
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check every byte: checksums, offsets, records, indexes, snapshots.",
      discussion: """
        Ends with 1 if records are damaged. A bad index or snapshot is named too, but costs nothing: the broker makes
        it anew.

          millrace log verify data
          millrace log verify data/orders-0
        """)

    @Argument(help: "Directories of partitions, or data directories.") var paths: [String]

    func run() throws {
      var isDamaged = false
      var results: [LogVerification] = []
      let partitions = try LogFiles.partitions(paths)
      for inspector in partitions {
        let result = try inspector.verify()
        for finding in result.findings {
          isDamaged = isDamaged || finding.problem.isDamage
          try Output.standard.line("\(finding.problem.isDamage ? "damaged" : "stale"): \(finding)")
        }
        results.append(result)
      }
      func sum<Number: AdditiveArithmetic>(_ part: KeyPath<LogVerification, Number>) -> Number {
        results.reduce(.zero) { $0 + $1[keyPath: part] }
      }
      try Output.standard.line(
        """
        \(partitions.count) partitions, \(sum(\.segmentCount)) segments, \(sum(\.batchCount)) batches, \
        \(sum(\.recordCount)) records, \(sum(\.byteCount)) bytes, \(sum(\.missingOffsets)) offsets missing: \
        \(isDamaged ? "damaged" : "sound")
        """)
      if isDamaged {
        try Output.standard.flush()
        throw SomeFailed()
      }
    }
  }
}
