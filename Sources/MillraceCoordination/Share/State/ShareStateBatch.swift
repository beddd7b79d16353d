// The state of a range of offsets in the form in which it is persisted: in WriteShareGroupState and ReadShareGroupState,
// and in the values of __share_group_state.
//
// Kafka's fields are the two offsets, the state and the delivery count. Two more travel in tagged fields, far above the
// tags that Kafka uses, so that a broker that does not know them passes over them:
//
//   tag 10932   int64   available not before this time (milliseconds since the epoch): delayed retry
//   tag 10933   int8    why the record is on its way to a dead letter: 0 rejected, 1 delivered too often

import MillraceProtocol
import NIOCore

package enum ShareRecordState: Int8, Sendable {
  case available = 0
  /// Held by a member. Never persisted: who held it is gone after a restart, and the record is available.
  case acquired = 1
  case acknowledged = 2
  /// Given up, and its dead letter not written yet (KIP-1191).
  case archiving = 3
  case archived = 4

  var isTerminal: Bool { self == .acknowledged || self == .archived }
}

package enum DeadLetterCause: Int8, Sendable {
  case rejected = 0
  case deliveryCountExceeded = 1

  /// The text of the header `__dlq.errors.message`.
  package var message: String {
    switch self {
    case .rejected: "Offset rejected by client."
    case .deliveryCountExceeded: "Offset delivery count exceeded the threshold."
    }
  }
}

package struct ShareStateBatch: Sendable, Equatable {
  package var firstOffset: Int64
  package var lastOffset: Int64
  package var state: ShareRecordState
  package var deliveryCount: Int16
  /// Wall-clock milliseconds before which an available record is not to be delivered.
  package var notBeforeMs: Int64?
  /// Set with `.archiving` only.
  package var cause: DeadLetterCause?

  package init(
    firstOffset: Int64, lastOffset: Int64, state: ShareRecordState, deliveryCount: Int16, notBeforeMs: Int64? = nil,
    cause: DeadLetterCause? = nil
  ) {
    self.firstOffset = firstOffset
    self.lastOffset = lastOffset
    self.state = state
    self.deliveryCount = deliveryCount
    self.notBeforeMs = notBeforeMs
    self.cause = cause
  }
}

// MARK: - As messages have it

/// The generated structs with these fields: four messages have one each.
package protocol ShareStateBatchMessage {
  init(
    firstOffset: Int64, lastOffset: Int64, deliveryState: Int8, deliveryCount: Int16, unknownTaggedFields: [TaggedField]
  )
  var firstOffset: Int64 { get }
  var lastOffset: Int64 { get }
  var deliveryState: Int8 { get }
  var deliveryCount: Int16 { get }
  var unknownTaggedFields: [TaggedField] { get }
}

extension WriteShareGroupStateRequest.StateBatch: ShareStateBatchMessage {}
extension ReadShareGroupStateResponse.StateBatch: ShareStateBatchMessage {}
extension ShareSnapshotValue.StateBatch: ShareStateBatchMessage {}
extension ShareUpdateValue.StateBatch: ShareStateBatchMessage {}

extension ShareStateBatch {
  private enum Tag {
    static let notBefore: UInt32 = 10_932
    static let cause: UInt32 = 10_933
  }

  /// Nil for a state that cannot be persisted, a range that is none, or a negative count.
  package init?(_ message: some ShareStateBatchMessage) {
    guard let state = ShareRecordState(rawValue: message.deliveryState), state != .acquired,
      message.firstOffset >= 0, message.firstOffset <= message.lastOffset, message.lastOffset < .max,
      message.deliveryCount >= 0
    else { return nil }
    self.init(
      firstOffset: message.firstOffset, lastOffset: message.lastOffset, state: state,
      deliveryCount: message.deliveryCount)
    for field in message.unknownTaggedFields {
      switch field.tag {
      case Tag.notBefore where state == .available:
        notBeforeMs = field.data.getInteger(at: field.data.readerIndex)
      case Tag.cause where state == .archiving:
        cause = field.data.getInteger(at: field.data.readerIndex).flatMap(DeadLetterCause.init(rawValue:))
      default: break
      }
    }
    if state == .archiving, cause == nil { cause = .rejected }
  }

  package func message<Message: ShareStateBatchMessage>(as type: Message.Type = Message.self) -> Message {
    var fields: [TaggedField] = []
    if let notBeforeMs { fields.append(TaggedField(tag: Tag.notBefore, data: ByteBuffer(integer: notBeforeMs))) }
    if let cause { fields.append(TaggedField(tag: Tag.cause, data: ByteBuffer(integer: cause.rawValue))) }
    return Message(
      firstOffset: firstOffset, lastOffset: lastOffset, deliveryState: state.rawValue, deliveryCount: deliveryCount,
      unknownTaggedFields: fields)
  }
}
