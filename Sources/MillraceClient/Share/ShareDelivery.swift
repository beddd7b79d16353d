// What a share fetch brought of one partition. The broker sends whole batches, and says which of their offsets this
// member has acquired and how many times each was delivered:
//
//    batches     ├────── 10…14 ──────┤├────── 15…19 ──────┤
//    acquired              ├ 12…13 ×1 ┤├───── 15…19 ×2 ────┤
//    records      10  11   12   13  14   15      17  18  19
//                 not ours              16 is a gap: acquired, with no record for an application

import MillraceProtocol
import MillraceRecords
import NIOCore

struct ShareDelivery: Sendable {
  struct Acquired: Sendable, Equatable {
    var offsets: ClosedRange<Int64>
    var deliveryCount: Int
  }

  /// In the order of their offsets.
  var records: [ShareRecord] = []
  var gaps: [ClosedRange<Int64>] = []
  /// Acquired, and not to be read because the bytes are damaged or not all there.
  var unreadable: [ClosedRange<Int64>] = []
  var error: KafkaError?

  /// - Parameter acquired: in the order of their offsets; what overlaps counts once.
  init(_ partition: TopicPartition, records bytes: ByteBuffer, acquired: [Acquired], checksCRCs: Bool) {
    var ranges = Self.disjoint(acquired)[...]
    var chunk = FetchedChunk(partition, token: 0, from: 0, highWatermark: -1, records: bytes)
    do throws(BatchError) {
      while !ranges.isEmpty, let batch = try chunk.next(.readUncommitted, checksCRCs: checksCRCs) {
        for record in batch { take(record, &ranges) }
      }
      for range in ranges.map(\.offsets) {
        if range.upperBound < chunk.position {
          gaps.append(range)
        } else if range.lowerBound >= chunk.position {
          unreadable.append(range)
        } else {
          gaps.append(range.lowerBound...(chunk.position - 1))
          unreadable.append(chunk.position...range.upperBound)
        }
      }
    } catch {
      unreadable = ranges.map(\.offsets)
      self.error = .corrupt(partition, at: ranges.first?.offsets.lowerBound ?? -1, error)
    }
  }

  /// What is acquired before the record has no record; the record is ours if it is acquired.
  private mutating func take(_ record: ConsumerRecord, _ ranges: inout ArraySlice<Acquired>) {
    while let range = ranges.first, range.offsets.upperBound < record.offset {
      gaps.append(range.offsets)
      ranges.removeFirst()
    }
    guard let range = ranges.first, range.offsets.contains(record.offset) else { return }
    if range.offsets.lowerBound < record.offset { gaps.append(range.offsets.lowerBound...(record.offset - 1)) }
    records.append(ShareRecord(record: record, deliveryCount: range.deliveryCount))
    if record.offset < range.offsets.upperBound {
      ranges[ranges.startIndex].offsets = (record.offset + 1)...range.offsets.upperBound
    } else {
      ranges.removeFirst()
    }
  }

  private static func disjoint(_ acquired: [Acquired]) -> [Acquired] {
    var result: [Acquired] = []
    for range in acquired.sorted(by: { $0.offsets.lowerBound < $1.offsets.lowerBound }) {
      guard let last = result.last?.offsets.upperBound, last >= range.offsets.lowerBound else {
        result.append(range)
        continue
      }
      guard last < range.offsets.upperBound else { continue }
      result.append(Acquired(offsets: (last + 1)...range.offsets.upperBound, deliveryCount: range.deliveryCount))
    }
    return result
  }
}
