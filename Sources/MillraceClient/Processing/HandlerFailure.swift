// What a handler throws, and what any error that it throws amounts to.

/// Why a handler could not process a record, and what has to become of the record.
///
/// A handler may throw any error: the record is then tried again, as the ``RetryPolicy`` says. It throws this one to say
/// more than an error's type and description, or to have something else done.
///
/// ```swift
/// guard let order = Order(record.value) else {
///   throw HandlerFailure(.reject, exceptionClass: "NoOrder", message: "the payload is no order")
/// }
/// ```
public struct HandlerFailure: Error, Sendable, Hashable {
  /// What has to become of the record.
  public enum Verdict: Sendable, Hashable {
    /// The record may be tried again, if the policy has attempts left.
    case retry
    /// To try the record again is of no use: it goes to the dead-letter topic at once.
    case reject
    /// No record can be processed at the moment. The record is given back, and processing stops.
    case stop
  }

  /// What has to become of the record.
  public var verdict: Verdict
  /// The kind of failure, for people to count and filter by. Goes into the dead letter.
  public var exceptionClass: String
  /// What happened. Goes into the dead letter, cut after 4 KiB.
  public var message: String
  /// Where it happened. Goes into the dead letter, cut after 16 KiB.
  public var stackTrace: String?

  /// A failure of this verdict and kind; see the properties.
  public init(_ verdict: Verdict, exceptionClass: String, message: String, stackTrace: String? = nil) {
    self.verdict = verdict
    self.exceptionClass = exceptionClass
    self.message = message
    self.stackTrace = stackTrace
  }

  /// What `error` amounts to: itself, a record that is no good because it cannot be decoded, or something that may be
  /// tried again.
  public init(_ error: any Error) {
    let isUndecodable = (error as? KafkaError)?.code == .undecodable
    self =
      error as? HandlerFailure
      ?? HandlerFailure(
        isUndecodable ? .reject : .retry, exceptionClass: String(reflecting: type(of: error)),
        message: String(describing: error))
  }
}

extension HandlerFailure: CustomStringConvertible {
  public var description: String { message }
}
