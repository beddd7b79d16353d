// What a log writes into a batch before appending it. The batch itself is a slice of somebody's request and stays as it
// is: the stamped header is a copy, written to the file in front of the untouched rest of the batch.

extension BatchHeader {
  /// Writes into `destination` (61 bytes) the header of `batch` with the offset and epoch that the log assigns.
  ///
  /// Both lie outside the checksum. With `logAppendTime` the batch also takes that time for all its records, which
  /// changes checksummed bytes, so the checksum is computed again.
  ///
  /// Returns the header as stamped. `batch` must be a whole batch whose header was parsed before.
  @discardableResult
  package static func stamp(
    _ batch: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer, baseOffset: Int64,
    partitionLeaderEpoch: Int32, logAppendTime: Int64? = nil
  ) -> BatchHeader {
    precondition(batch.count >= byteCount && destination.count >= byteCount, "a batch header needs 61 bytes")
    var header = BatchHeader(unchecked: batch)
    header.baseOffset = baseOffset
    header.partitionLeaderEpoch = partitionLeaderEpoch
    if let logAppendTime {
      header.attributes.insert(.logAppendTime)
      header.maxTimestamp = logAppendTime
    }
    header.write(to: destination)
    if logAppendTime != nil {
      let stamped = UnsafeRawBufferPointer(rebasing: destination[checksummedFrom..<byteCount])
      header.crc = CRC32C.update(
        CRC32C.checksum(stamped), UnsafeRawBufferPointer(rebasing: batch[byteCount...]))
      destination.storeBigEndian(header.crc, at: Field.crc)
    }
    return header
  }

  /// The same header as an array, where the caller has no buffer of its own.
  package static func stamped(
    _ batch: UnsafeRawBufferPointer, baseOffset: Int64, partitionLeaderEpoch: Int32, logAppendTime: Int64? = nil
  ) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      stamp(
        batch, into: UnsafeMutableRawBufferPointer(buffer), baseOffset: baseOffset,
        partitionLeaderEpoch: partitionLeaderEpoch, logAppendTime: logAppendTime)
      count = byteCount
    }
  }
}
