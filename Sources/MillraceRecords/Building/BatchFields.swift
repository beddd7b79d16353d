// What a batch says beside its records.

package struct BatchFields: Sendable {
  package var baseOffset: Int64
  package var partitionLeaderEpoch: Int32
  package var producerId: Int64
  package var producerEpoch: Int16
  package var baseSequence: Int32
  package var isTransactional: Bool
  package var isControl: Bool
  package var compression: CompressionType
  /// Kafka's level for the codec; nil is its default.
  package var compressionLevel: Int32?
  /// The broker's time for all records, instead of their own (LogAppendTime).
  package var appendTime: Int64?
  /// The delta of the last offset that the batch covers, where that is more than its last record has: after compaction a
  /// batch keeps the offset range it had.
  package var lastOffsetDelta: Int32?
  /// After this time tombstones and markers of the batch may go (KIP-534). The builder must have been made with it as
  /// its base timestamp.
  package var deleteHorizonMs: Int64?

  package init(
    baseOffset: Int64 = 0, partitionLeaderEpoch: Int32 = BatchHeader.noPartitionLeaderEpoch,
    producerId: Int64 = BatchHeader.noProducerId, producerEpoch: Int16 = BatchHeader.noProducerEpoch,
    baseSequence: Int32 = BatchHeader.noSequence, isTransactional: Bool = false, isControl: Bool = false,
    compression: CompressionType = .none, compressionLevel: Int32? = nil, appendTime: Int64? = nil,
    lastOffsetDelta: Int32? = nil, deleteHorizonMs: Int64? = nil
  ) {
    self.baseOffset = baseOffset
    self.partitionLeaderEpoch = partitionLeaderEpoch
    self.producerId = producerId
    self.producerEpoch = producerEpoch
    self.baseSequence = baseSequence
    self.isTransactional = isTransactional
    self.isControl = isControl
    self.compression = compression
    self.compressionLevel = compressionLevel
    self.appendTime = appendTime
    self.lastOffsetDelta = lastOffsetDelta
    self.deleteHorizonMs = deleteHorizonMs
  }

  /// The fields of an existing batch, for building another in its place.
  package init(of header: BatchHeader) {
    self.init(
      baseOffset: header.baseOffset, partitionLeaderEpoch: header.partitionLeaderEpoch, producerId: header.producerId,
      producerEpoch: header.producerEpoch, baseSequence: header.baseSequence, isTransactional: header.isTransactional,
      isControl: header.isControl, compression: header.compression ?? .none,
      appendTime: header.timestampType == .logAppendTime ? header.maxTimestamp : nil,
      lastOffsetDelta: header.lastOffsetDelta, deleteHorizonMs: header.deleteHorizonMs)
  }
}
