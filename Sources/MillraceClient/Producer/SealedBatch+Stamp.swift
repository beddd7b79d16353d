// Bytes of batches: sealing an open one, and stamping one again that is sent under another sequence or epoch.

import MillraceRecords
import NIOCore

extension SealedBatch {
  init(
    _ builder: consuming BatchBuilder, _ stamp: ProducerStamp, _ compression: CompressionType, level: Int32?,
    isTransactional: Bool = false
  ) throws(KafkaError) {
    var builder = builder
    let fields = BatchFields(
      producerId: stamp.producerId, producerEpoch: stamp.producerEpoch, baseSequence: stamp.baseSequence,
      isTransactional: isTransactional, compression: compression, compressionLevel: level)
    do throws(CompressionError) {
      self.init(bytes: ByteBuffer(bytes: try builder.build(fields)), stamp: stamp)
    } catch {
      throw KafkaError(.invalidArgument, "records could not be compressed with \(compression.name): \(error)")
    }
  }

  /// The same records under another stamp. The checksum covers the stamp.
  func stamped(_ stamp: ProducerStamp) -> SealedBatch {
    guard stamp != self.stamp else { return self }
    var batch = SealedBatch(bytes: bytes, stamp: stamp)
    batch.bytes.withUnsafeMutableReadableBytes { bytes in
      let whole = UnsafeRawBufferPointer(bytes)
      guard var header = try? BatchHeader(parsing: whole) else { return }
      header.producerId = stamp.producerId
      header.producerEpoch = stamp.producerEpoch
      header.baseSequence = stamp.baseSequence
      header.write(to: bytes)
      if let crc = try? BatchHeader.computeChecksum(of: whole) {
        header.crc = crc
        header.write(to: bytes)
      }
    }
    return batch
  }
}

extension OutgoingBatch {
  /// Makes the bytes to send. The builder is given up, so that its bytes need not be copied.
  mutating func seal(
    _ compression: CompressionType, level: Int32?, isTransactional: Bool = false
  ) throws(KafkaError) -> SealedBatch {
    if let builder = builder.take() {
      return try SealedBatch(builder, stamp, compression, level: level, isTransactional: isTransactional)
    }
    guard let sealed else { throw KafkaError(.invalidArgument, "a batch without records") }
    return sealed.stamped(stamp)
  }
}
