// The files at the top of a data directory that hold one offset a partition:
//
//   recovery-point-offset-checkpoint   everything before it was flushed and need not be read after a crash
//   log-start-offset-checkpoint        records before it were deleted, though their segment is still there
//   replication-offset-checkpoint      the high watermark
//   cleaner-offset-checkpoint          where compaction is to go on
//
//   0                     version
//   2                     number of entries
//   order-placed 0 42     topic, partition, offset
//   order-placed 1 17

enum OffsetCheckpoint: String, Sendable, CaseIterable {
  case recoveryPoint = "recovery-point-offset-checkpoint"
  case logStart = "log-start-offset-checkpoint"
  case highWatermark = "replication-offset-checkpoint"
  case cleaner = "cleaner-offset-checkpoint"

  static func encode(_ offsets: [PartitionID: Int64]) -> [UInt8] {
    TextCheckpoint.content(lines: offsets.map { "\($0.key.topic) \($0.key.partition) \($0.value)" })
  }

  /// Nil when the file is not whole: then nothing in it is believed.
  static func decode(_ content: [UInt8]) -> [PartitionID: Int64]? {
    guard let lines = TextCheckpoint.lines(content) else { return nil }
    var offsets: [PartitionID: Int64] = [:]
    offsets.reserveCapacity(lines.count)
    for line in lines {
      let fields = line.split(separator: " ")
      guard fields.count == 3, let partition = Int32(fields[1]), let offset = Int64(fields[2]), partition >= 0,
        offset >= 0
      else { return nil }
      offsets[PartitionID(topic: String(fields[0]), partition: partition)] = offset
    }
    return offsets
  }
}
