// The `.snapshot` file: all producers of a partition as they were when the log ended at the offset in the file's name.
// Kafka's format, version 1; all integers are big-endian.
//
//   0         2                   6                   10
//   ┌─────────┬───────────────────┬───────────────────┬───────────────────────┐
//   │ version │ CRC-32C           │ entry count       │ 46 bytes an entry …   │
//   └─────────┴───────────────────┴───────────────────┴───────────────────────┘
//   entry  producerId 8 │ epoch 2 │ lastSequence 4 │ lastOffset 8 │ offsetDelta 4 │ timestamp 8
//          │ coordinatorEpoch 4 │ currentTxnFirstOffset 8
//
// The checksum covers everything from byte 6 on. Kafka's entry holds a producer's last batch only, so that after a
// restart a retry of the one before would not be known. Behind the entries, where Kafka's reader does not look, stand
// the up to four batches before the last:
//
//   ┌───────────────────┬────────────────┬──────────────────────────┐
//   │ "MILL"          4 │ batch count  4 │ 32 bytes a batch …       │
//   └───────────────────┴────────────────┴──────────────────────────┘
//   batch  producerId 8 │ lastSequence 4 │ lastOffset 8 │ offsetDelta 4 │ timestamp 8      oldest first

import MillraceRecords

enum ProducerSnapshot {
  static let version: Int16 = 1
  private static let headerSize = 10
  private static let checksummedFrom = 6
  private static let entrySize = 46
  private static let earlierMark: UInt32 = 0x4D49_4C4C
  private static let earlierSize = 32

  static func encode(_ producers: [Int64: ProducerState]) -> [UInt8] {
    let earlier = producers.values.reduce(0) { $0 + max(0, $1.batchCount - 1) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(headerSize + producers.count * entrySize + 8 + earlier * earlierSize)
    bytes.appendBigEndian(version)
    bytes.appendBigEndian(UInt32(0))
    bytes.appendBigEndian(Int32(clamping: producers.count))
    for (id, state) in producers {
      let last = state.last ?? .none
      bytes.appendBigEndian(id)
      bytes.appendBigEndian(state.epoch)
      bytes.appendBigEndian(last.lastSequence)
      bytes.appendBigEndian(last.lastOffset)
      bytes.appendBigEndian(last.offsetDelta)
      bytes.appendBigEndian(state.lastTimestamp)
      bytes.appendBigEndian(state.coordinatorEpoch)
      bytes.appendBigEndian(state.transactionStart ?? -1)
    }
    if earlier > 0 {
      bytes.appendBigEndian(earlierMark)
      bytes.appendBigEndian(Int32(clamping: earlier))
      for (id, state) in producers {
        for index in 0..<max(0, state.batchCount - 1) {
          let batch = state[index]
          bytes.appendBigEndian(id)
          bytes.appendBigEndian(batch.lastSequence)
          bytes.appendBigEndian(batch.lastOffset)
          bytes.appendBigEndian(batch.offsetDelta)
          bytes.appendBigEndian(batch.timestamp)
        }
      }
    }
    bytes.withUnsafeMutableBytes { buffer in
      let covered = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[checksummedFrom...])
      buffer.storeBigEndian(CRC32C.checksum(covered), at: 2)
    }
    return bytes
  }

  /// Nil when the bytes are not a whole snapshot.
  static func decode(_ bytes: [UInt8]) -> [Int64: ProducerState]? {
    bytes.withUnsafeBytes { buffer in
      guard buffer.count >= headerSize, buffer.bigEndian(at: 0, as: Int16.self) == version else { return nil }
      let covered = UnsafeRawBufferPointer(rebasing: buffer[checksummedFrom...])
      guard buffer.bigEndian(at: 2, as: UInt32.self) == CRC32C.checksum(covered) else { return nil }
      let count = Int(buffer.bigEndian(at: checksummedFrom, as: Int32.self))
      guard count >= 0, count <= (buffer.count - headerSize) / entrySize else { return nil }
      let end = headerSize + count * entrySize
      var producers = decodeEarlier(buffer, from: end)
      for index in 0..<count { decodeEntry(buffer, at: headerSize + index * entrySize, into: &producers) }
      return producers.filter { $0.value.epoch != BatchHeader.noProducerEpoch || $0.value.batchCount == 0 }
    }
  }

  private static func decodeEntry(
    _ buffer: UnsafeRawBufferPointer, at start: Int, into producers: inout [Int64: ProducerState]
  ) {
    let id: Int64 = buffer.bigEndian(at: start)
    var state = producers[id] ?? ProducerState()
    state.epoch = buffer.bigEndian(at: start + 8)
    let timestamp: Int64 = buffer.bigEndian(at: start + 26)
    let last = AppendedBatch(
      lastSequence: buffer.bigEndian(at: start + 10), lastOffset: buffer.bigEndian(at: start + 14),
      offsetDelta: buffer.bigEndian(at: start + 22), timestamp: timestamp)
    if last.lastOffset >= 0 { state.add(last) }
    state.lastTimestamp = timestamp
    state.coordinatorEpoch = buffer.bigEndian(at: start + 34)
    let transactionStart: Int64 = buffer.bigEndian(at: start + 38)
    state.transactionStart = transactionStart >= 0 ? transactionStart : nil
    producers[id] = state
  }

  private static func decodeEarlier(_ buffer: UnsafeRawBufferPointer, from start: Int) -> [Int64: ProducerState] {
    var producers: [Int64: ProducerState] = [:]
    guard buffer.count - start >= 8, buffer.bigEndian(at: start, as: UInt32.self) == earlierMark else { return [:] }
    let count = Int(buffer.bigEndian(at: start + 4, as: Int32.self))
    guard count >= 0, count <= (buffer.count - start - 8) / earlierSize else { return [:] }
    for index in 0..<count {
      let at = start + 8 + index * earlierSize
      let batch = AppendedBatch(
        lastSequence: buffer.bigEndian(at: at + 8), lastOffset: buffer.bigEndian(at: at + 12),
        offsetDelta: buffer.bigEndian(at: at + 20), timestamp: buffer.bigEndian(at: at + 24))
      producers[buffer.bigEndian(at: at), default: ProducerState()].add(batch)
    }
    return producers
  }
}
