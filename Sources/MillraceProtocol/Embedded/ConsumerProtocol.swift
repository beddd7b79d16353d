// What classic consumers hand each other through the group coordinator: subscriptions in JoinGroup, assignments in
// SyncGroup. A member may be newer than we are. Versions only ever add fields at the end, so a version above the ones
// known is read as the highest known, and what follows is left alone.

import NIOCore

/// A message of the consumer protocol: `ConsumerProtocolSubscription`, `ConsumerProtocolAssignment`.
public protocol ConsumerProtocolMessage: VersionedMessage {}

extension ConsumerProtocolSubscription: ConsumerProtocolMessage {}
extension ConsumerProtocolAssignment: ConsumerProtocolMessage {}

public enum ConsumerProtocol {
  /// The `protocolType` of groups that speak it.
  public static let type = "consumer"

  /// With the version in front; by default the highest.
  public static func encode<M: ConsumerProtocolMessage>(
    _ message: M, version: Int16 = M.validVersions.upperBound
  ) throws(ProtocolError) -> ByteBuffer {
    try VersionPrefixed.encode(message, version: version)
  }

  public static func decode<M: ConsumerProtocolMessage>(
    _ message: M.Type, from bytes: ByteBuffer
  ) throws(ProtocolError) -> M {
    var reader = MessageReader(bytes)
    let version = try reader.readInt16()
    return try M(from: &reader, version: min(version, M.validVersions.upperBound))
  }
}
