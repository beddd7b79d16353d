// What a log writes into a batch before appending it. The batch itself is a slice of somebody's request and stays as it
// is: the stamped header is a copy, written to the file in front of the untouched rest of the batch.

extension BatchHeader {
  /// Writes into `destination` (61 bytes) the header of `batch` with the offset and epoch that the log assigns.
  ///
  /// Both lie outside the checksum. With `logAppendTime` the batch takes that time for all its records; with
  /// `maxTimestamp`, where the producer's header is wrong about it, the largest create time of its records. Either
  /// changes checksummed bytes; the checksum is then moved by what changed, without reading the records again, so that
  /// a batch whose records are damaged stays recognisable.
  ///
  /// Returns the header as stamped. `batch` must be a whole batch whose header was parsed before.
  @discardableResult
  package static func stamp(
    _ batch: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer, baseOffset: Int64,
    partitionLeaderEpoch: Int32, logAppendTime: Int64? = nil, maxTimestamp: Int64? = nil
  ) -> BatchHeader {
    precondition(batch.count >= byteCount && destination.count >= byteCount, "a batch header needs 61 bytes")
    let sent = BatchHeader(unchecked: batch)
    var header = sent
    header.baseOffset = baseOffset
    header.partitionLeaderEpoch = partitionLeaderEpoch
    if let logAppendTime {
      header.attributes.insert(.logAppendTime)
      header.maxTimestamp = logAppendTime
    } else if let maxTimestamp {
      header.attributes.remove(.logAppendTime)
      header.maxTimestamp = maxTimestamp
    }
    header.write(to: destination)
    if header.attributes != sent.attributes || header.maxTimestamp != sent.maxTimestamp {
      let before = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: batch[checksummedFrom..<byteCount]))
      let after = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: destination[checksummedFrom..<byteCount]))
      header.crc = sent.crc ^ CRC32C.shift(before ^ after, over: batch.count - byteCount)
      destination.storeBigEndian(header.crc, at: Field.crc)
    }
    return header
  }

  /// The same header as an array, where the caller has no buffer of its own.
  package static func stamped(
    _ batch: UnsafeRawBufferPointer, baseOffset: Int64, partitionLeaderEpoch: Int32, logAppendTime: Int64? = nil,
    maxTimestamp: Int64? = nil
  ) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      stamp(
        batch, into: UnsafeMutableRawBufferPointer(buffer), baseOffset: baseOffset,
        partitionLeaderEpoch: partitionLeaderEpoch, logAppendTime: logAppendTime, maxTimestamp: maxTimestamp)
      count = byteCount
    }
  }
}
