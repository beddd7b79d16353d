// A scratch directory with a store in it, and batches to put there.

import Foundation
import MillraceRecords

@testable import MillraceLog

final class Workspace {
  let path: String
  var fileSystem: any FileSystem = PosixFileSystem()
  var hasThreads = true
  var afterTurn: AfterTurn = { _ in false }
  var quickFlush = Duration.zero
  var checkpointIntervalMs: Int64 = 3_600_000
  var checkpointBytes: Int64 = 1 << 40
  var openFileLimit: Int?
  let reports = Collected<RecoveryReport>()
  let errors = Collected<LogError>()
  let conditions = Collected<StoreCondition>()
  let topicId = TopicID(high: 0x1234_5678_9abc_4ef0, low: 0x8000_0000_0000_0001)
  let now = Wallclock.nowMs

  init() {
    path = NSTemporaryDirectory() + "/millrace-log-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func options(directories: [String]? = nil) -> StoreOptions {
    StoreOptions(
      directories: directories ?? [path], fileSystem: fileSystem, checkpointIntervalMs: checkpointIntervalMs,
      checkpointBytes: checkpointBytes,
      openFileLimit: openFileLimit, hasThreads: hasThreads, afterTurn: afterTurn,
      quickFlush: quickFlush, onRecovery: { [reports] in reports.add($0) },
      onError: { [errors] in errors.add($0) }, onCondition: { [conditions] in conditions.add($0) })
  }

  func open() throws -> LogStore { try LogStore.open(options(), nowMs: now) }

  /// The log `orders-0`, made if it is not there.
  func log(_ store: LogStore, _ config: LogConfig = LogConfig(), topic: String = "orders", _ partition: Int32 = 0)
    throws -> PartitionLog
  {
    let id = PartitionID(topic: topic, partition: partition)
    if store.existingPartitions().contains(where: { $0.0 == id }) {
      return try store.partition(id, topicId: topicId, config: config)
    }
    return try store.createPartition(id, topicId: topicId, config: config)
  }

  /// The content of a file of `orders-0`.
  func bytes(_ name: String) -> [UInt8] { [UInt8](FileManager.default.contents(atPath: file(name)) ?? Data()) }
  func file(_ name: String) -> String { "\(path)/orders-0/\(name)" }
  func write(_ bytes: [UInt8], _ name: String) {
    _ = FileManager.default.createFile(atPath: file(name), contents: Data(bytes))
  }
  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }
  func remove(_ name: String) { try? FileManager.default.removeItem(atPath: file(name)) }
  func removeRoot(_ name: String) { try? FileManager.default.removeItem(atPath: rootFile(name)) }
  func writeRoot(_ bytes: [UInt8], _ name: String) {
    _ = FileManager.default.createFile(atPath: rootFile(name), contents: Data(bytes))
  }
  /// Changes one file of `orders-0`.
  func edit(_ name: String, _ change: (inout [UInt8]) throws -> Void) rethrows {
    var bytes = bytes(name)
    try change(&bytes)
    write(bytes, name)
  }
  var files: [String] { (try? FileManager.default.contentsOfDirectory(atPath: "\(path)/orders-0").sorted()) ?? [] }
  func rootFile(_ name: String) -> String { "\(path)/\(name)" }
  func root(_ name: String) -> [UInt8] { [UInt8](FileManager.default.contents(atPath: rootFile(name)) ?? Data()) }

  /// Stops the store as a crash does: nothing more is written, the lock is gone.
  func crash(_ store: LogStore) {
    store.abandon()
  }
}

/// What callbacks brought, in order.
final class Collected<Element: Sendable>: @unchecked Sendable {
  private let lock = NSLock()
  private var elements: [Element] = []

  func add(_ element: Element) { lock.withLock { elements.append(element) } }
  var all: [Element] { lock.withLock { elements } }
}

/// A batch as a producer sends it.
func batch(
  _ values: [String] = ["a"], timestamp: Int64 = 1_700_000_000_000, step: Int64 = 0, producerId: Int64 = -1,
  epoch: Int16 = -1, sequence: Int32 = -1, isTransactional: Bool = false, compression: CompressionType = .none
) -> [UInt8] {
  var builder = BatchBuilder()
  for (index, value) in values.enumerated() {
    builder.append(key: nil, value: Array(value.utf8), timestamp: timestamp + Int64(index) * step)
  }
  return try! builder.build(
    BatchFields(
      producerId: producerId, producerEpoch: epoch, baseSequence: sequence, isTransactional: isTransactional,
      compression: compression))
}

extension PartitionLog {
  @discardableResult
  func append(
    _ bytes: [UInt8], epoch: Int32 = 0, now: Int64 = Wallclock.nowMs, origin: AppendOrigin = .client
  ) throws(LogError) -> AppendResult {
    try bytes.withBytes { (buffer) throws(LogError) in
      let header = try! BatchHeader(parsing: buffer)
      return try append(buffer, header: header, leaderEpoch: epoch, nowMs: now, origin: origin)
    }
  }

  /// Waits until everything appended so far is durable.
  func settle() throws(LogError) {
    let done = WakeUp()
    let outcome = Collected<Result<Void, LogError>>()
    whenDurable(through: offsets.logEndOffset) {
      outcome.add($0)
      done.signal()
    }
    done.wait()
    try outcome.all[0].get()
  }

  /// The values of all records that a reader sees from `offset` on, read in pieces of `maxBytes`.
  func values(from offset: Int64? = nil, maxBytes: Int = 1 << 20, isolation: Isolation = .readUncommitted) throws
    -> [(offset: Int64, value: String)]
  {
    var found: [(Int64, String)] = []
    var next = offset ?? offsets.logStartOffset
    while true {
      let plan = try read(from: next, maxBytes: maxBytes, minOneBatch: true, isolation: isolation)
      if plan.isEmpty { return found }
      let bytes = try plan.load()
      try bytes.withUnsafeBytes { buffer in
        var rest = buffer
        while !rest.isEmpty {
          let view = try BatchView(rest)
          try view.verifyChecksum()
          if !view.header.isControl {
            try view.forEachRecord { record in
              if record.offset >= next { found.append((record.offset, String(decoding: record.value!, as: UTF8.self))) }
            }
          }
          rest = UnsafeRawBufferPointer(rebasing: rest[view.bytes.count...])
        }
      }
      next = plan.nextOffset
    }
  }
}
