// A record as if it had been read.

import MillraceRecords
import NIOCore

@testable import MillraceClient

extension ConsumerRecord {
  static func made(
    _ partition: TopicPartition, offset: Int64, timestamp: Int64 = 0, key: ByteBuffer? = nil, value: ByteBuffer? = nil,
    headers: [MillraceClient.RecordHeader] = []
  ) throws -> ConsumerRecord? {
    var builder = BatchBuilder()
    builder.append(
      key: key.map { Array($0.readableBytesView) }, value: value.map { Array($0.readableBytesView) },
      headers: headers.map { .init(key: $0.key, value: $0.value.map { Array($0.readableBytesView) }) },
      timestamp: timestamp)
    let bytes = try builder.build(
      BatchFields(
        baseOffset: offset, producerId: -1, producerEpoch: -1, baseSequence: -1, isTransactional: false,
        compression: .none))
    var chunk = FetchedChunk(
      partition, token: 1, from: offset, highWatermark: offset + 1, records: ByteBuffer(bytes: bytes),
      aborted: AbortedTransactions([]))
    return try chunk.next(.readUncommitted, checksCRCs: true)?.first { _ in true }
  }
}
