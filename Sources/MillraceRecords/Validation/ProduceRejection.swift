// Why a produced batch is refused, in the words of the Produce response: a kind that the broker maps to Kafka's error
// code, a message, and the records at fault (KIP-467).

package struct ProduceRejection: Error, Sendable, Equatable {
  package enum Kind: Sendable, Hashable, CaseIterable {
    /// CORRUPT_MESSAGE
    case corruptMessage
    /// INVALID_RECORD
    case invalidRecord
    /// INVALID_TIMESTAMP
    case invalidTimestamp
    /// MESSAGE_TOO_LARGE
    case messageTooLarge
    /// UNSUPPORTED_COMPRESSION_TYPE
    case unsupportedCompressionType
  }

  package struct RecordError: Sendable, Equatable {
    /// The record's place in its batch, from 0.
    package var batchIndex: Int32
    package var message: String

    package init(batchIndex: Int32, message: String) {
      self.batchIndex = batchIndex
      self.message = message
    }
  }

  /// How many records a rejection names: a batch of a million bad records is answered with its first.
  package static let maximumRecordErrors = 100

  package var kind: Kind
  package var message: String
  package var recordErrors: [RecordError]

  package init(_ kind: Kind, _ message: String, recordErrors: [RecordError] = []) {
    self.kind = kind
    self.message = message
    self.recordErrors = recordErrors
  }
}

extension ProduceRejection {
  /// The rejection of a batch that is not one, or whose records are not records.
  init(_ error: BatchError) {
    switch error {
    case .truncated:
      self.init(.corruptMessage, "The record batch is shorter than its header says.")
    case .invalidLength(let length):
      self.init(.corruptMessage, "The record batch states the impossible length \(length).")
    case .unsupportedMagic(let magic):
      self.init(
        .invalidRecord, "Only record batches of format version 2 are accepted; this one has version \(magic).")
    case .corruptChecksum(let stored, let computed):
      self.init(
        .corruptMessage, "The record batch is corrupt: its checksum is \(stored), that of its bytes \(computed).")
    case .unknownCompression(let code):
      self.init(.unsupportedCompressionType, "The record batch has the unknown compression codec \(code).")
    case .compression(.limitExceeded(let limit)):
      self.init(.invalidRecord, "The records decompress to more than \(limit) bytes.")
    case .compression:
      self.init(.invalidRecord, "The records cannot be decompressed.")
    case .malformedRecord(let index):
      let message = "Record \(index) of the batch does not parse."
      self.init(.invalidRecord, message, recordErrors: [RecordError(batchIndex: index, message: message)])
    case .missingRecords(let declared, let found):
      self.init(.invalidRecord, "The record batch declares \(declared) records and holds \(found).")
    case .excessRecordBytes:
      self.init(.invalidRecord, "The record batch holds more than the records it declares.")
    }
  }
}
