// Decides whether the records of one partition in a Produce request may be appended, and what has to change on the way.
//
// It asks what Kafka asks, in Kafka's order, so that of several faults the same one is answered: one batch of format 2
// (bytes behind it that are no batch are left out), base offset 0, size, checksum, codec, counts, flags, and then the
// records. Where Kafka goes on with a batch that would mislead readers, this refuses or repairs it: an uncompressed batch
// with offset deltas out of order is rewritten as a compressed one is, and a codec that nobody knows is named as such.

package enum ProduceValidation {
  /// A record is at least this long: a length, attributes, two deltas, two lengths and a header count.
  static let smallestRecordByteCount = 7
  /// Bytes up to and with the magic, which all formats have at the same place.
  static let byteCountThroughMagic = 17
  /// The shortest `batchLength` of any format: what an empty message of format 0 has.
  static let smallestLengthOfAnyFormat: Int32 = 14

  /// Checks `records`, what a Produce request holds for one partition.
  package static func validate(
    _ records: UnsafeRawBufferPointer, _ rules: ProduceRules, nowMs: Int64
  ) throws(ProduceRejection) -> ValidatedBatch {
    var batch = try singleBatch(in: records, rules)
    try checkHeader(batch, rules)
    let wasLogAppendTime = batch.header.timestampType == .logAppendTime
    // On a topic with CreateTime the flag goes, and the records' own timestamps count.
    if wasLogAppendTime, rules.timestampType == .createTime { batch = batch.withCreateTime }
    if rules.depth == .records || needsRecords(batch.header, rules) {
      return try checkRecords(batch, wasLogAppendTime: wasLogAppendTime, rules, nowMs: nowMs)
    }
    let logAppendTime = rules.timestampType == .logAppendTime ? nowMs : nil
    return ValidatedBatch(
      header: batch.header, rewritten: nil, logAppendTime: logAppendTime,
      correctedMaxTimestamp: logAppendTime == nil && wasLogAppendTime ? batch.header.maxTimestamp : nil,
      offsetDeltaOfMaxTimestamp: nil)
  }

  /// Whether even a look at the header alone ends in reading the records, since the batch must be stored differently.
  private static func needsRecords(_ header: BatchHeader, _ rules: ProduceRules) -> Bool {
    guard let source = header.compression else { return false }
    return storedCompression(of: header, source, rules) != source
  }

  /// The codec that the batch is stored with. Control batches stay as they are.
  static func storedCompression(
    of header: BatchHeader, _ source: CompressionType, _ rules: ProduceRules
  ) -> CompressionType {
    header.isControl ? source : rules.compression.target(for: source)
  }
}

// MARK: - The header

extension ProduceValidation {
  /// The one batch of format 2 that a partition's records must be.
  private static func singleBatch(
    in records: UnsafeRawBufferPointer, _ rules: ProduceRules
  ) throws(ProduceRejection) -> BatchView {
    guard let size = try batchByteCount(in: records) else {
      throw ProduceRejection(.invalidRecord, "A partition in a Produce request needs a record batch.")
    }
    let bytes = UnsafeRawBufferPointer(rebasing: records[..<size])
    let batch: BatchView
    do {
      batch = try BatchView(bytes)
    } catch { throw ProduceRejection(error) }
    if batch.header.compression == .zstd, rules.produceVersion < 7 {
      throw ProduceRejection(
        .unsupportedCompressionType, "zstd needs version 7 of the Produce request; this is \(rules.produceVersion).")
    }
    if try batchByteCount(in: UnsafeRawBufferPointer(rebasing: records[size...])) != nil {
      throw ProduceRejection(.invalidRecord, "A partition in a Produce request takes exactly one record batch.")
    }
    return batch
  }

  /// Bytes of the batch or message of any format that begins `bytes`; nil if none does or it is cut off.
  private static func batchByteCount(in bytes: UnsafeRawBufferPointer) throws(ProduceRejection) -> Int? {
    guard bytes.count >= BatchHeader.overhead else { return nil }
    let length = bytes.bigEndian(at: BatchHeader.Field.batchLength, as: Int32.self)
    guard length >= smallestLengthOfAnyFormat else { throw ProduceRejection(.invalidLength(length)) }
    guard bytes.count >= byteCountThroughMagic else { return nil }
    let magic = bytes.bigEndian(at: BatchHeader.Field.magic, as: Int8.self)
    guard (0...BatchHeader.currentMagic).contains(magic) else {
      throw ProduceRejection(.corruptMessage, "The record batch states the unknown format version \(magic).")
    }
    let size = BatchHeader.overhead + Int(length)
    return size <= bytes.count ? size : nil
  }

  private static func checkHeader(_ batch: BatchView, _ rules: ProduceRules) throws(ProduceRejection) {
    let header = batch.header
    if rules.origin == .client, header.baseOffset != 0 {
      throw ProduceRejection(
        .invalidRecord, "The base offset of a produced record batch must be 0, but it is \(header.baseOffset).")
    }
    guard header.sizeInBytes <= rules.maxMessageBytes else {
      throw ProduceRejection(
        .messageTooLarge,
        "The record batch has \(header.sizeInBytes) bytes; max.message.bytes allows \(rules.maxMessageBytes).")
    }
    do {
      try batch.verifyChecksum()
    } catch { throw ProduceRejection(error) }
    guard header.compression != nil else {
      throw ProduceRejection(.unknownCompression(code: header.attributes.compressionCode))
    }
    if rules.origin == .client { try checkClientFields(header) }
    // The counts must be possible even where no record is read.
    let records = batch.recordSection.count
    if header.compression == CompressionType.none, Int(header.recordCount) > records / smallestRecordByteCount {
      throw ProduceRejection(
        .invalidRecord, "The record batch declares \(header.recordCount) records in \(records) bytes.")
    }
  }

  private static func checkClientFields(_ header: BatchHeader) throws(ProduceRejection) {
    guard header.lastOffsetDelta >= 0 else {
      throw ProduceRejection(.invalidRecord, "The record batch ends at offset delta \(header.lastOffsetDelta).")
    }
    guard header.recordCount > 0 else {
      throw ProduceRejection(.invalidRecord, "The record batch declares \(header.recordCount) records.")
    }
    guard Int64(header.lastOffsetDelta) + 1 == Int64(header.recordCount) else {
      throw ProduceRejection(
        .invalidRecord,
        "The record batch declares \(header.recordCount) records and ends at offset delta \(header.lastOffsetDelta).")
    }
    guard !header.isControl else {
      throw ProduceRejection(.invalidRecord, "Clients may not write control records.")
    }
    guard !header.hasProducerId || header.baseSequence >= 0 else {
      throw ProduceRejection(
        .invalidRecord,
        "The record batch of producer \(header.producerId) has the invalid sequence number \(header.baseSequence).")
    }
  }
}

// MARK: - The records

extension ProduceValidation {
  private static func checkRecords(
    _ batch: BatchView, wasLogAppendTime: Bool, _ rules: ProduceRules, nowMs: Int64
  ) throws(ProduceRejection) -> ValidatedBatch {
    let header = batch.header
    let isLogAppendTime = rules.timestampType == .logAppendTime
    if isLogAppendTime, wasLogAppendTime {
      throw ProduceRejection(.invalidTimestamp, "Producers may not set the timestamp type LogAppendTime.")
    }
    let needsKeys = rules.isCompacted && !header.isControl
    let times = isLogAppendTime ? Int64.min...Int64.max : rules.timestamps(at: nowMs)
    let walk: RecordWalk
    do {
      walk = try batch.walkRecords(limit: rules.decompressedLimit)
    } catch { throw ProduceRejection(error) }
    if needsKeys && walk.hasRecordWithoutKey || walk.minTimestamp < times.lowerBound
      || walk.maxTimestamp > times.upperBound
    {
      throw try rejection(of: batch, needsKeys: needsKeys, times, limit: rules.decompressedLimit)
    }

    let rewritten = try rewritten(batch, isSequential: walk.isSequential, rules)
    let logAppendTime = isLogAppendTime ? nowMs : nil
    let isRight = !wasLogAppendTime && header.maxTimestamp == walk.maxTimestamp
    return ValidatedBatch(
      header: rewritten?.header ?? header, rewritten: rewritten?.bytes, logAppendTime: logAppendTime,
      correctedMaxTimestamp: isLogAppendTime || isRight ? nil : walk.maxTimestamp,
      offsetDeltaOfMaxTimestamp: isLogAppendTime ? 0 : walk.indexOfMaxTimestamp)
  }

  /// The batch as it has to be stored, if that is not as it was sent.
  private static func rewritten(
    _ batch: BatchView, isSequential: Bool, _ rules: ProduceRules
  ) throws(ProduceRejection) -> (header: BatchHeader, bytes: [UInt8])? {
    guard let source = batch.header.compression else { return nil }
    let target = storedCompression(of: batch.header, source, rules)
    // A coordinator's offset deltas are its own affair.
    let needsOrder = !isSequential && rules.origin == .client
    guard target != source || needsOrder else { return nil }
    let bytes: [UInt8]
    do {
      bytes =
        if needsOrder {
          try batch.renumbered(compression: target, level: rules.compression.level, limit: rules.decompressedLimit)
        } else {
          try batch.recompressed(target, level: rules.compression.level, limit: rules.decompressedLimit)
        }
    } catch { throw ProduceRejection(error) }
    guard bytes.count <= rules.maxMessageBytes else {
      throw ProduceRejection(
        .messageTooLarge,
        """
        Stored with the topic's compression.type, the record batch has \(bytes.count) bytes; max.message.bytes allows \
        \(rules.maxMessageBytes).
        """)
    }
    return (bytes.withUnsafeBytes { BatchHeader(unchecked: $0) }, bytes)
  }

  /// What is wrong with which records of a batch that breaks a rule.
  private static func rejection(
    of batch: BatchView, needsKeys: Bool, _ times: ClosedRange<Int64>, limit: Int
  ) throws(ProduceRejection) -> ProduceRejection {
    var kind = ProduceRejection.Kind.invalidRecord
    var errors: [ProduceRejection.RecordError] = []
    var count = 0
    func note(_ index: Int32, _ message: @autoclosure () -> String) {
      count += 1
      guard errors.count < ProduceRejection.maximumRecordErrors else { return }
      errors.append(ProduceRejection.RecordError(batchIndex: index, message: message()))
    }
    do {
      var index: Int32 = 0
      try batch.forEachRecord(limit: limit) { record in
        if needsKeys, !record.hasKey {
          note(index, "A record of a compacted topic needs a key.")
        } else if record.timestamp != BatchHeader.noTimestamp, !times.contains(record.timestamp) {
          kind = .invalidTimestamp
          note(
            index, "The timestamp \(record.timestamp) is not within [\(times.lowerBound), \(times.upperBound)].")
        }
        index &+= 1
      }
    } catch { throw ProduceRejection(error) }
    let message =
      kind == .invalidTimestamp
      ? "One or more records have an invalid timestamp." : "\(count) records of the batch are invalid."
    return ProduceRejection(kind, message, recordErrors: errors)
  }
}
