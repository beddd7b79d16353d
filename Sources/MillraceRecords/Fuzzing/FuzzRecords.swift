// Everything that reads bytes from outside, on one input: the body of a fuzzing run, and of a short one in the tests. It
// must return for any bytes, having taken no more memory than its limits.

/// What an input may decompress to.
private let fuzzDecompressedLimit = 1 << 20

/// Returns a sum over what was read, so that the optimizer leaves nothing out.
@discardableResult
package func fuzzRecords(_ bytes: UnsafeRawBufferPointer) -> Int {
  var sum = fuzzBatches(bytes) &+ fuzzCodecs(bytes)
  // Most inputs would end at the checksum, so give the input the one it should have.
  guard bytes.count >= BatchHeader.byteCount else { return sum }
  var sealed = [UInt8](bytes)
  var header = BatchHeader(unchecked: bytes)
  header.magic = BatchHeader.currentMagic
  header.baseOffset = 0
  header.seal(&sealed)
  sum &+= sealed.withUnsafeBytes { fuzzBatches($0) }
  return sum
}

private func fuzzBatches(_ bytes: UnsafeRawBufferPointer) -> Int {
  var sum = 0
  var batches = BatchIterator(bytes, verifiesChecksums: bytes.first.map { $0 & 1 == 0 } ?? true)
  while true {
    do throws(BatchError) {
      guard let (batch, _) = try batches.next() else { break }
      try batch.forEachRecord(limit: fuzzDecompressedLimit) { record in
        sum &+= record.bytes.reduce(0) { $0 &+ Int($1) } &+ (EndTransactionMarker(record) == nil ? 0 : 1)
        for header in record.headers {
          let owned = header.owned
          sum &+= owned.key.utf8.count &+ (owned.value ?? []).reduce(0) { $0 &+ Int($1) }
        }
      }
      let stored = try batch.recompressed(.lz4, limit: fuzzDecompressedLimit)
      let ordered = try batch.renumbered(compression: .none, limit: fuzzDecompressedLimit)
      sum &+= Int(stored[17]) &+ Int(ordered[17])
    } catch { continue }
  }
  for depth in [ProduceRules.Depth.header, .records] {
    let rules = ProduceRules(
      depth: depth, timestampType: bytes.count % 3 == 0 ? .logAppendTime : .createTime,
      timestampBeforeMaxMs: 1000, isCompacted: bytes.count % 2 == 0,
      compression: bytes.count % 5 == 0 ? .codec(.zstd, level: 1) : .producer,
      decompressedLimit: fuzzDecompressedLimit)
    guard let valid = try? ProduceValidation.validate(bytes, rules, nowMs: 1_700_000_000_000) else { continue }
    let stamp = { (batch: UnsafeRawBufferPointer) in
      BatchHeader.stamped(
        batch, baseOffset: .max, partitionLeaderEpoch: 0, logAppendTime: valid.logAppendTime,
        maxTimestamp: valid.correctedMaxTimestamp)
    }
    let stamped = valid.rewritten?.withUnsafeBytes(stamp) ?? stamp(bytes)
    sum &+= Int(stamped[17])
  }
  return sum
}

private func fuzzCodecs(_ bytes: UnsafeRawBufferPointer) -> Int {
  guard let first = bytes.first, let type = CompressionType(rawValue: first % 5) else { return 0 }
  let section = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
  guard let output = try? Compression.decompress(type, section, limit: fuzzDecompressedLimit) else { return 0 }
  return output.reduce(0) { $0 &+ Int($1) }
}
