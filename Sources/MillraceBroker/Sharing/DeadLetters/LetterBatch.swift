// Some of a share-partition's dead letters as one batch for the dead-letter topic: each the record as it was, with
// Kafka's headers about its failure (KIP-1191) behind its own.

import MillraceCoordination
import MillraceLog
import MillraceRecords

/// Whose records are given up, and where they are.
struct LetterSource {
  var groupId: String
  var topic: String
  var partition: Int32
  var log: PartitionLog
  /// `errors.deadletterqueue.copy.record.enable`
  var copiesRecords: Bool
}

struct LetterBatch {
  private static let headerPrefix = "__dlq.errors."

  private(set) var records = BatchBuilder()
  /// As the source's batch is, so that what had room there has room here.
  private(set) var compression = CompressionType.none
  /// The offset of the first record of which there is a letter.
  private(set) var firstRecord: Int64?
  /// What is dealt with when the batch is written; some of it may have no record any more.
  private(set) var offsets: [ClosedRange<Int64>] = []
  private let source: LetterSource
  private let maxBytes: Int
  private let maxLetters: Int
  private let nowMs: Int64

  /// As many of the letters, in their order, as fit into a batch, and at least one.
  init(
    _ letters: [DeadLetter], of source: LetterSource, maxBytes: Int, maxLetters: Int, nowMs: Int64
  ) throws(ProduceFailure) {
    self.source = source
    self.maxBytes = maxBytes
    self.maxLetters = maxLetters
    self.nowMs = nowMs
    var loaded: LoadedBatch?
    for letter in letters {
      var offset = letter.firstOffset
      while offset <= letter.lastOffset {
        if loaded?.offsets.contains(offset) != true { loaded = try LoadedBatch(at: offset, in: source.log) }
        guard let batch = loaded else {
          cover(offset...letter.lastOffset)
          return
        }
        let last = min(letter.lastOffset, batch.offsets.upperBound)
        if let left = add(batch, offset...last, letter) {
          if left > offset { cover(offset...(left - 1)) }
          return
        }
        cover(offset...last)
        offset = last + 1
      }
    }
  }

  /// Returns the first offset whose letter found no room.
  private mutating func add(_ batch: LoadedBatch, _ offsets: ClosedRange<Int64>, _ letter: DeadLetter) -> Int64? {
    switch batch.content {
    case .nothing: return nil
    case .unreadable: return add(nil, at: offsets.lowerBound, letter) ? nil : offsets.lowerBound
    case .bytes(let bytes, let type):
      if records.isEmpty { compression = type }
      guard type == compression else { return offsets.lowerBound }
      var left: Int64?
      bytes.withUnsafeBytes { bytes in
        // Its checksum is right, so it holds together.
        try? BatchView(bytes).forEachRecord { record in
          guard left == nil, offsets.contains(record.offset) else { return }
          if !add(record, at: record.offset, letter) { left = record.offset }
        }
      }
      return left
    }
  }

  private mutating func add(_ record: Record?, at offset: Int64, _ letter: DeadLetter) -> Bool {
    let copied = source.copiesRecords ? record : nil
    let timestamp = record?.timestamp ?? nowMs
    let headers = headers(of: copied, at: offset, letter, isReadable: record != nil)
    let size = records.sizeInBytes(
      appendingKey: copied?.key?.count, value: copied?.value?.count, headers: headers, timestamp: timestamp)
    let hasRoom = records.sizeInBytes + size <= maxBytes && Int(records.recordCount) < maxLetters
    guard records.isEmpty || hasRoom else { return false }
    firstRecord = firstRecord ?? offset
    records.append(keyBytes: copied?.key, valueBytes: copied?.value, headers: headers, timestamp: timestamp)
    return true
  }

  /// The record's own, without those of an earlier failure, and the ones about this.
  private func headers(
    of record: Record?, at offset: Int64, _ letter: DeadLetter, isReadable: Bool
  ) -> [RecordHeader] {
    var headers = record?.headers.map(\.owned).filter { !$0.key.hasPrefix(Self.headerPrefix) } ?? []
    func add(_ name: String, _ value: String) {
      headers.append(RecordHeader(key: Self.headerPrefix + name, value: Array(value.utf8)))
    }
    add("topic", source.topic)
    add("partition", "\(source.partition)")
    add("offset", "\(offset)")
    add("group", source.groupId)
    add("delivery.count", "\(letter.deliveryCount)")
    add("message", letter.cause.message + (isReadable ? "" : " The record is damaged and cannot be copied."))
    return headers
  }

  private mutating func cover(_ range: ClosedRange<Int64>) {
    if let last = offsets.last, last.upperBound + 1 == range.lowerBound {
      offsets[offsets.count - 1] = last.lowerBound...range.upperBound
    } else {
      offsets.append(range)
    }
  }
}

/// What the log has at an offset.
private struct LoadedBatch {
  enum Content {
    case bytes([UInt8], CompressionType)
    /// There are no records.
    case nothing
    /// There is a damaged one.
    case unreadable
  }

  var content: Content
  var offsets: ClosedRange<Int64>

  /// Nil when there is nothing from the offset on.
  init?(at offset: Int64, in log: PartitionLog) throws(ProduceFailure) {
    do throws(LogError) {
      let plan = try log.read(from: offset, maxBytes: 1, minOneBatch: true, isolation: .readUncommitted)
      guard !plan.isEmpty else { return nil }
      let bytes = try plan.load()
      let view = bytes.withUnsafeBytes { bytes -> BatchHeader? in
        guard let view = try? BatchView(bytes), (try? view.verifyChecksum()) != nil else { return nil }
        return view.header
      }
      guard let view, view.lastOffset >= offset, let compression = view.compression else {
        self.init(content: .unreadable, offsets: offset...offset)
        return
      }
      if view.baseOffset > offset {
        self.init(content: .nothing, offsets: offset...(view.baseOffset - 1))
      } else {
        self.init(content: .bytes(bytes, compression), offsets: offset...view.lastOffset)
      }
    } catch .corrupt {
      self.init(content: .unreadable, offsets: offset...offset)
    } catch .offsetOutOfRange(_, let start, _) {
      // Deleted by retention meanwhile.
      guard start > offset else { return nil }
      self.init(content: .nothing, offsets: offset...(start - 1))
    } catch {
      throw ProduceFailure(error)
    }
  }

  private init(content: Content, offsets: ClosedRange<Int64>) {
    self.content = content
    self.offsets = offsets
  }
}

extension [DeadLetter] {
  /// The letters of all other offsets.
  func without(_ excluded: Set<Int64>) -> [DeadLetter] {
    guard !excluded.isEmpty else { return self }
    var rest: [DeadLetter] = []
    for letter in self {
      var left = letter
      for offset in excluded.sorted() where left.firstOffset <= offset && offset <= left.lastOffset {
        if offset > left.firstOffset {
          var before = left
          before.lastOffset = offset - 1
          rest.append(before)
        }
        left.firstOffset = offset + 1
      }
      if left.firstOffset <= left.lastOffset { rest.append(left) }
    }
    return rest
  }
}
