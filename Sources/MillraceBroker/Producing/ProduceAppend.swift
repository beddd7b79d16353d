// One partition's part of a Produce request: validated, appended, or refused with Kafka's code and the reason.
//
// The batch stays a slice of the request's frame from the socket to the file; only a batch that has to be stored
// differently (another codec, a header that is wrong about its timestamps) is made anew.

import MillraceLog
import MillraceProtocol
import MillraceRecords
import NIOCore

enum ProduceAppend {
  /// - Parameter transaction: what a transactional batch has to stand to; without it, such a batch is refused.
  static func append(
    _ records: RecordData?, to partition: Partition, of topic: Topic, version: Int16,
    _ transaction: TransactionGuard?, nowMs: Int64
  ) throws(ProduceFailure) -> AppendResult {
    guard case .bytes(let buffer)? = records, buffer.readableBytes > 0 else {
      throw ProduceFailure(.invalidRecord, "A partition in a Produce request needs a record batch.")
    }
    var rules = topic.settings.produceRules
    rules.produceVersion = version
    // A rethrowing closure loses the error's type, so the outcome leaves it as a value.
    let outcome = buffer.withUnsafeReadableBytes { bytes -> Result<AppendResult, ProduceFailure> in
      do throws(ProduceRejection) {
        let valid = try ProduceValidation.validate(bytes, rules, nowMs: nowMs)
        return append(valid, bytes, to: partition, transaction, nowMs: nowMs)
      } catch {
        return .failure(ProduceFailure(error))
      }
    }
    return try outcome.get()
  }

  private static func append(
    _ valid: ValidatedBatch, _ sent: UnsafeRawBufferPointer, to partition: Partition,
    _ transaction: TransactionGuard?, nowMs: Int64
  ) -> Result<AppendResult, ProduceFailure> {
    guard !valid.header.isTransactional || transaction != nil else {
      return .failure(
        ProduceFailure(
          .transactionalIdAuthorizationFailed, "A transactional batch needs a transactional id and a producer id."))
    }
    func append(_ batch: UnsafeRawBufferPointer) -> Result<AppendResult, ProduceFailure> {
      do throws(LogError) {
        return .success(
          try partition.log.append(
            batch, header: valid.header, leaderEpoch: partition.leaderEpoch, nowMs: nowMs,
            transaction: transaction ?? .unchecked))
      } catch {
        return .failure(ProduceFailure(error))
      }
    }
    if var rewritten = valid.rewritten {
      return rewritten.withUnsafeMutableBytes { bytes in
        correctTimestamp(of: bytes, valid)
        return append(UnsafeRawBufferPointer(bytes))
      }
    }
    let batch = UnsafeRawBufferPointer(rebasing: sent[..<valid.header.sizeInBytes])
    guard valid.correctedMaxTimestamp != nil else { return append(batch) }
    var copy = [UInt8](batch)
    return copy.withUnsafeMutableBytes { bytes in
      correctTimestamp(of: bytes, valid)
      return append(UnsafeRawBufferPointer(bytes))
    }
  }

  private static func correctTimestamp(of batch: UnsafeMutableRawBufferPointer, _ valid: ValidatedBatch) {
    guard let maxTimestamp = valid.correctedMaxTimestamp else { return }
    BatchHeader.stamp(
      UnsafeRawBufferPointer(batch), into: batch, baseOffset: 0,
      partitionLeaderEpoch: BatchHeader.noPartitionLeaderEpoch, maxTimestamp: maxTimestamp)
  }
}

/// Why nothing was appended.
struct ProduceFailure: Error {
  var code: ErrorCode
  var message: String?
  var recordErrors: [ProduceRejection.RecordError] = []

  init(_ code: ErrorCode, _ message: String? = nil) {
    self.code = code
    self.message = message
  }

  init(_ error: LogError) { self.init(ErrorCode(error)) }

  init(_ rejection: ProduceRejection) {
    self.init(ErrorCode(rejection.kind), rejection.message)
    recordErrors = rejection.recordErrors
  }

  func answer(_ index: Int32) -> ProduceResponse.PartitionProduceResponse {
    var answer = ProduceResponse.PartitionProduceResponse.failed(index, code, message)
    answer.recordErrors = recordErrors.map {
      .init(batchIndex: $0.batchIndex, batchIndexErrorMessage: $0.message)
    }
    return answer
  }
}

extension ErrorCode {
  package init(_ kind: ProduceRejection.Kind) {
    self =
      switch kind {
      case .corruptMessage: .corruptMessage
      case .invalidRecord: .invalidRecord
      case .invalidTimestamp: .invalidTimestamp
      case .messageTooLarge: .messageTooLarge
      case .unsupportedCompressionType: .unsupportedCompressionType
      }
  }
}
