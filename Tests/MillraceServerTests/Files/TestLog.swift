// A partition on disk with batches in it, for responses that carry parts of files.

import Foundation
import MillraceLog
import MillraceRecords

final class TestLog {
  let directory: String
  let store: LogStore
  let log: PartitionLog

  init(batches: Int, recordBytes: Int) throws {
    directory = NSTemporaryDirectory() + "millrace-server-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    store = try LogStore.open(StoreOptions(directories: [directory], hasThreads: false), nowMs: 0)
    log = try store.createPartition(
      PartitionID(topic: "t", partition: 0), topicId: TopicID(high: 1, low: 2),
      config: LogConfig(durability: .buffered))
    for index in 0..<batches {
      var builder = BatchBuilder()
      builder.append(key: nil, value: [UInt8](repeating: UInt8(index % 251), count: recordBytes), timestamp: 1)
      let batch = try builder.build()
      try batch.withUnsafeBytes { bytes in
        _ = try log.append(bytes, header: try BatchHeader(parsing: bytes), leaderEpoch: 0, nowMs: 1)
      }
    }
  }

  deinit {
    store.close(nowMs: 2)
    try? FileManager.default.removeItem(atPath: directory)
  }

  func plan(from offset: Int64 = 0, maxBytes: Int = .max) throws -> ReadPlan {
    try log.read(from: offset, maxBytes: maxBytes, minOneBatch: true, isolation: .readUncommitted)
  }
}
