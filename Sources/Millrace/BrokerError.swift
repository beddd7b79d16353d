// Why a broker does not start, as a sentence for a person and a code for programs.

import MillraceBroker
import MillraceLog
import MillraceServer

/// Why a broker did not start.
public struct BrokerError: Error, Sendable, Equatable {
  /// The kind of failure. More may be added.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    private enum Kind: String { case configuration, listening, lifecycle, storage }

    private let kind: Kind

    /// A setting cannot work; the message names all that cannot.
    public static let configuration = Self(kind: .configuration)
    /// The address cannot be listened on: mostly another program has it.
    public static let listening = Self(kind: .listening)
    /// The broker was started or stopped before. A broker runs once.
    public static let lifecycle = Self(kind: .lifecycle)
    /// The data directory cannot be used: another broker has it, or the disk says no.
    public static let storage = Self(kind: .storage)

    public var description: String { kind.rawValue }
  }

  /// The kind of failure.
  public let code: Code
  /// What happened, to what, and what to do about it.
  public let message: String

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  init(starting error: any Error) {
    switch error {
    case let error as BrokerError: self = error
    case let error as ConfigurationError: self.init(.configuration, error.description)
    case let error as ServerError: self.init(.listening, error.description)
    default: self.init(.storage, "\(error)")
    }
  }
}

extension BrokerError: CustomStringConvertible {
  public var description: String { message }
}
