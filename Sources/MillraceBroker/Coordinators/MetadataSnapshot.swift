// A snapshot of the metadata, in the form of Kafka's `<end offset>-<epoch>.checkpoint` (KIP-630): batches as in a log,
// numbered from 0, of which the first holds a header, the last a footer (control records), and the others the facts. It
// stands for all facts of the journal before its end offset.

import MillraceCoordination
import MillraceProtocol
import MillraceRecords
import NIOCore

struct MetadataSnapshot {
  static let fileSuffix = ".checkpoint"
  /// About how large a batch becomes.
  private static let batchByteCount = 1 << 20

  var endOffset: Int64
  var records: [MetadataRecord]

  init(endOffset: Int64, records: [MetadataRecord]) {
    self.endOffset = endOffset
    self.records = records
  }

  // MARK: The file's name

  var fileName: String {
    Self.digits(endOffset, 20) + "-" + Self.digits(Int64(CatalogRuntime.journalLeaderEpoch), 10) + Self.fileSuffix
  }

  /// The end offset that a file of this name has; nil for names of other files.
  static func endOffset(ofFile name: String) -> Int64? {
    guard name.hasSuffix(fileSuffix) else { return nil }
    let parts = name.dropLast(fileSuffix.count).split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0].utf8.count == 20, parts[1].utf8.count == 10, Int32(parts[1]) != nil,
      let offset = Int64(parts[0]), offset >= 0
    else { return nil }
    return offset
  }

  private static func digits(_ number: Int64, _ count: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
  }

  // MARK: Its content

  /// - Parameter timestamp: when the last fact was journaled.
  func encoded(timestamp: Int64) throws(ProtocolError) -> [UInt8] {
    var writer = Writer(timestamp: timestamp)
    try writer.add(.snapshotHeader, SnapshotHeaderRecord(lastContainedLogTimestamp: timestamp))
    var builder = BatchBuilder()
    var byteCount = 0
    var count = 0
    for record in records {
      let value = Array(try record.encoded().readableBytesView)
      builder.append(key: nil, value: value, timestamp: timestamp)
      byteCount += value.count
      count += 1
      if byteCount >= Self.batchByteCount {
        writer.add(builder, count)
        builder = BatchBuilder()
        (byteCount, count) = (0, 0)
      }
    }
    if count > 0 { writer.add(builder, count) }
    try writer.add(.snapshotFooter, SnapshotFooterRecord())
    return writer.bytes
  }

  /// Reads the content of a file; nil when it is not whole, or says what cannot be understood.
  init?(_ bytes: [UInt8], endOffset: Int64) {
    var records: [MetadataRecord] = []
    var controls: [ControlRecordType] = []
    let isWhole = bytes.withUnsafeBytes { bytes -> Bool in
      var isUnderstood = true
      var batches = BatchIterator(bytes, verifiesChecksums: true)
      do {
        while let (batch, _) = try batches.next() {
          // Nothing is before the header or behind the footer.
          guard batch.header.isControl == (controls.isEmpty || batches.position == bytes.count) else { return false }
          try batch.forEachRecord { record in
            if batch.header.isControl {
              if let type = ControlRecordType(key: record.key) { controls.append(type) }
            } else if let value = record.value {
              do {
                records.append(try MetadataRecord(from: ByteBuffer(bytes: value)))
              } catch {
                isUnderstood = false
              }
            }
          }
        }
      } catch {
        return false
      }
      return isUnderstood && batches.truncatedByteCount == 0
    }
    guard isWhole, controls == [.snapshotHeader, .snapshotFooter] else { return nil }
    self.init(endOffset: endOffset, records: records)
  }

  private struct Writer {
    let timestamp: Int64
    var bytes: [UInt8] = []
    private var offset: Int64 = 0

    init(timestamp: Int64) { self.timestamp = timestamp }

    private var fields: BatchFields {
      BatchFields(baseOffset: offset, partitionLeaderEpoch: CatalogRuntime.journalLeaderEpoch)
    }

    mutating func add(_ type: ControlRecordType, _ message: some VersionedMessage) throws(ProtocolError) {
      var writer = MessageWriter()
      try message.write(to: &writer, version: 0)
      bytes += ControlBatch.build(type, value: Array(writer.buffer.readableBytesView), timestamp: timestamp, fields)
      offset += 1
    }

    mutating func add(_ builder: BatchBuilder, _ count: Int) {
      var builder = builder
      do {
        bytes += try builder.build(fields)
      } catch {
        preconditionFailure("nothing is compressed")
      }
      offset += Int64(count)
    }
  }
}
