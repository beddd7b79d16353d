// What every operation of the client throws. The message is a whole sentence for a person: what happened, to what, and
// what to do about it; the codes are for programs.

import MillraceProtocol

/// Why an operation on a Kafka cluster did not succeed.
///
/// ```swift
/// do {
///   try await producer.send(ProducerRecord(topic: "orders", value: "…"))
/// } catch where error.isRetriable {
///   // The same call may succeed later.
/// }
/// ```
public struct KafkaError: Error, Sendable, Equatable {
  /// The kind of failure.
  public let code: Code
  /// The error code in the broker's answer, when `code` is `.broker`, or another and the broker gave one.
  public let brokerCode: ErrorCode?
  /// Whether the same call may succeed later without any change to it.
  public let isRetriable: Bool
  /// What happened, to what, and what to do about it.
  public let message: String

  /// An error of this kind.
  ///
  /// - Parameters:
  ///   - code: the kind of failure.
  ///   - message: what happened, to what, and what to do about it.
  ///   - brokerCode: what the broker answered, if it did.
  ///   - isRetriable: whether the same call may succeed later; nil for what is usual of the kind.
  public init(_ code: Code, _ message: String, brokerCode: ErrorCode? = nil, isRetriable: Bool? = nil) {
    self.code = code
    self.message = message
    self.brokerCode = brokerCode
    self.isRetriable = isRetriable ?? code.isUsuallyRetriable
  }
}

extension KafkaError: CustomStringConvertible {
  public var description: String { message }
}

extension KafkaError {
  /// The kinds of failure. More may be added.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    private enum Kind: String {
      case aborted, authenticationFailed, broker, cancelled, closed, configuration, connectionFailed, corruptRecords
      case fenced, invalidArgument, invalidResponse, noOffset, recordTooLarge, timedOut, undecodable, unsupportedVersion
    }

    private let kind: Kind

    /// The transaction that it belonged to was aborted.
    public static let aborted = Self(kind: .aborted)
    /// The broker did not accept who the client is, or the client who the broker is.
    public static let authenticationFailed = Self(kind: .authenticationFailed)
    /// The broker answered with an error code, which is in `brokerCode`.
    public static let broker = Self(kind: .broker)
    /// The task that waited for the operation was cancelled.
    public static let cancelled = Self(kind: .cancelled)
    /// The connection or the client was closed before the operation ended.
    public static let closed = Self(kind: .closed)
    /// The configuration cannot work.
    public static let configuration = Self(kind: .configuration)
    /// No connection to a broker could be made.
    public static let connectionFailed = Self(kind: .connectionFailed)
    /// Record bytes failed their checksum or do not follow the format.
    public static let corruptRecords = Self(kind: .corruptRecords)
    /// Another instance took this one's place in its group or as its producer.
    public static let fenced = Self(kind: .fenced)
    /// An argument of the call cannot work.
    public static let invalidArgument = Self(kind: .invalidArgument)
    /// A broker sent bytes that are not a valid answer.
    public static let invalidResponse = Self(kind: .invalidResponse)
    /// A partition has no position to start from and the reset policy is to have none.
    public static let noOffset = Self(kind: .noOffset)
    /// A record exceeds the largest size that the producer sends.
    public static let recordTooLarge = Self(kind: .recordTooLarge)
    /// The operation took longer than it may.
    public static let timedOut = Self(kind: .timedOut)
    /// A record's key or value is not what it was read as.
    public static let undecodable = Self(kind: .undecodable)
    /// The broker does not speak a version of the API that this client speaks.
    public static let unsupportedVersion = Self(kind: .unsupportedVersion)

    public var description: String { kind.rawValue }

    var isUsuallyRetriable: Bool {
      switch kind {
      case .connectionFailed, .timedOut, .invalidResponse: true
      case .aborted, .authenticationFailed, .broker, .cancelled, .closed, .configuration, .corruptRecords, .fenced,
        .invalidArgument, .noOffset, .recordTooLarge, .undecodable, .unsupportedVersion:
        false
      }
    }
  }
}

extension KafkaError {
  static let cancelled = KafkaError(.cancelled, "the operation was cancelled")

  static func closed(_ what: String) -> KafkaError {
    KafkaError(.closed, "\(what) is closed")
  }

  /// The same error with what else there is to say about it.
  func adding(_ remark: String) -> KafkaError {
    KafkaError(code, "\(message) (\(remark))", brokerCode: brokerCode, isRetriable: isRetriable)
  }
}
