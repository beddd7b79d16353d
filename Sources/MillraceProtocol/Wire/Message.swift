// What every message is: a plain value for all versions; the version matters only on the way in and out.

import NIOCore

public protocol Message: Sendable, Equatable {
  /// Reads one value and leaves the reader behind it. Any bytes at all may be tried.
  init(from reader: inout MessageReader, version: Int16) throws(ProtocolError)

  /// Appends the value. After an error the writer holds a part of it and must be dropped.
  func write(to writer: inout MessageWriter, version: Int16) throws(ProtocolError)
}

/// A message with versions of its own, as opposed to a struct inside one.
public protocol VersionedMessage: Message {
  static var validVersions: ClosedRange<Int16> { get }
  /// The versions with compact lengths and tagged fields (KIP-482).
  static var flexibleVersions: ClosedRange<Int16>? { get }
}

public protocol Request: VersionedMessage {
  associatedtype Response: ResponseMessage
  static var apiKey: ApiKey { get }
  /// Whether the last version is still in the making, so that a broker does not offer it by default.
  static var latestVersionIsUnstable: Bool { get }
}

public protocol ResponseMessage: VersionedMessage {
  static var apiKey: ApiKey { get }
}

/// The key or value of a record in an internal topic.
public protocol RecordMessage: VersionedMessage {
  /// The record type: what the first two bytes of a coordinator's key, or the frame of a metadata record, say.
  static var apiKey: Int16 { get }
}

extension VersionedMessage {
  static func check(_ version: Int16) throws(ProtocolError) {
    guard validVersions.contains(version) else {
      throw ProtocolError.unsupportedVersion(version, of: "\(Self.self)")
    }
  }

  public static func isFlexible(_ version: Int16) -> Bool {
    flexibleVersions?.contains(version) ?? false
  }
}
