// Records with keys: batches of them, and what readers find.

import MillraceRecords
import Testing

@testable import MillraceLog

struct KeyedRecord: Equatable, Sendable {
  var offset: Int64
  var key: String
  var value: String?
}

func keyed(
  _ records: [(key: String, value: String?)], timestamp: Int64 = 1_000, producerId: Int64 = -1, epoch: Int16 = -1,
  sequence: Int32 = -1, isTransactional: Bool = false, compression: CompressionType = .none
) -> [UInt8] {
  var builder = BatchBuilder()
  for record in records {
    builder.append(key: Array(record.key.utf8), value: record.value.map { Array($0.utf8) }, timestamp: timestamp)
  }
  return try! builder.build(
    BatchFields(
      producerId: producerId, producerEpoch: epoch, baseSequence: sequence, isTransactional: isTransactional,
      compression: compression))
}

extension PartitionLog {
  /// What a consumer shows from `offset` on, up to the high watermark or the last stable offset.
  func records(
    from offset: Int64? = nil, maxBytes: Int = 1 << 20, isolation: Isolation = .readUncommitted
  ) throws -> [KeyedRecord] {
    var found: [KeyedRecord] = []
    var next = offset ?? offsets.logStartOffset
    var aborted: Set<Int64> = []
    while true {
      let plan = try read(from: next, maxBytes: maxBytes, minOneBatch: true, isolation: isolation)
      if plan.isEmpty { return found }
      var coming = plan.abortedTransactions.sorted { $0.firstOffset > $1.firstOffset }
      let bytes = try plan.load()
      try bytes.withUnsafeBytes { buffer in
        var rest = buffer
        while !rest.isEmpty {
          let batch = try BatchView(rest)
          try batch.verifyChecksum()
          let header = batch.header
          while let transaction = coming.last, transaction.firstOffset <= header.lastOffset {
            aborted.insert(transaction.producerId)
            coming.removeLast()
          }
          if header.isControl {
            if let marker = EndTransactionMarker(batch.bytes), !marker.isCommit { aborted.remove(header.producerId) }
          } else if isolation == .readUncommitted || !header.isTransactional || !aborted.contains(header.producerId) {
            try batch.forEachRecord { record in
              guard record.offset >= next else { return }
              found.append(
                KeyedRecord(
                  offset: record.offset, key: String(decoding: record.key!, as: UTF8.self),
                  value: record.value.map { String(decoding: $0, as: UTF8.self) }))
            }
          }
          rest = UnsafeRawBufferPointer(rebasing: rest[batch.bytes.count...])
        }
      }
      next = plan.nextOffset
    }
  }

  /// The headers of all batches in the log.
  func headers() throws -> [BatchHeader] {
    var headers: [BatchHeader] = []
    var next = offsets.logStartOffset
    while true {
      let plan = try read(from: next, maxBytes: 1 << 20, minOneBatch: true, isolation: .readUncommitted)
      if plan.isEmpty { return headers }
      try plan.load().withUnsafeBytes { buffer in
        var batches = BatchIterator(buffer)
        while let (batch, _) = try batches.next() { headers.append(batch.header) }
      }
      next = plan.nextOffset
    }
  }
}

extension Workspace {
  /// Holds every file of `orders-0` against the others.
  func expectWholeLog() throws {
    let findings = try LogInspector(directory: "\(path)/orders-0").verify().findings
    if !findings.isEmpty { Issue.record("\(findings.prefix(5))") }
  }

  /// A cleaner without threads.
  func cleaner(
    _ store: LogStore, mapBytes: Int = 1 << 20, ioBytes: Int = 16 << 10, reports: Collected<CleanerReport>? = nil
  ) -> LogCleaner {
    LogCleaner(
      store: store, settings: { CleanerSettings(dedupeBufferBytes: mapBytes, ioBufferBytes: ioBytes) },
      nowMs: { 0 }, onReport: { reports?.add($0) })
  }
}
