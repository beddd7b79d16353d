// What a connection does next, without a socket: which request to take up, which answer to send, when to read, when
// to wait, when to end. Whoever drives it performs one step after the other until it rests.
//
// Back-pressure: no request is taken up, and nothing is read, while
//   - `maxInFlight` requests are unanswered or their answers have not left,
//   - the answers that wait, or what the socket has not taken yet, exceed their bound (a slow or dead reader),
//   - the broker's memory for requests is used up.

import MillraceBroker
import NIOCore

struct ConnectionMachine {
  struct Limits: Sendable, Equatable {
    var framing: Framing
    /// Requests of one connection that are taken up and not answered, or answered and not sent.
    var maxInFlight = 100
    /// Answers of one connection that wait to be sent.
    var maxReadyBytes = 1 << 20
  }

  /// A frame up to this size is copied out of the receive buffer, so that a small part that somebody keeps does not
  /// keep a megabyte; a larger one is a slice of it.
  static let maxCopiedFrameBytes = 4 << 10
  /// The memory of a frame larger than this is reserved before the frame has arrived.
  static let maxUnreservedPartialBytes = 64 << 10

  enum Step {
    case dispatch(ByteBuffer, RequestNumber)
    case send(OutgoingResponse)
    /// Call `memoryMayBeAvailable()` when that memory of the broker may have room again.
    case awaitMemory(MemoryUse)
    /// All is answered and nothing more will come: close once everything is sent.
    case finish
    /// Close now. The reason is for the log.
    case close(reason: String)
    /// Nothing to do until the next event.
    case rest
  }

  /// What memory of the broker is for. Frames that arrive have a bound of their own: whoever announces much and sends
  /// little keeps no request of others from being taken up.
  enum MemoryUse: Sendable { case arriving, requests }

  private enum Phase {
    /// Requests are read, taken up and answered.
    case open
    /// The peer will send no more. What has arrived is still answered.
    case inputClosed
    /// No more requests are taken up. Those that were are still answered.
    case draining
    /// The last step was told, or the connection is gone.
    case ended
  }

  private let limits: Limits
  private var phase = Phase.open
  private var queue = ResponseQueue()
  private var isAwaitingMemory = false
  /// Reserved for the frame at the head of the input while it arrives.
  private var reservedBytes = 0
  /// Was reserved for frames that have arrived since.
  private var arrivedBytes = 0
  /// What the input has to hold before the next look at it.
  private(set) var wantedBytes = Framing.prefixBytes

  /// Whether the socket takes more.
  var isWritable = true

  init(limits: Limits) { self.limits = limits }

  var unansweredCount: Int { queue.unansweredCount }

  /// Whether more input is welcome.
  var wantsRead: Bool {
    phase == .open && !isAwaitingMemory && hasRoom
  }

  private var hasRoom: Bool {
    isWritable && queue.count < limits.maxInFlight && queue.readyBytes < limits.maxReadyBytes
  }

  // MARK: Events

  /// - Returns: request memory to give back.
  mutating func fulfil(_ number: RequestNumber, with outcome: consuming ResponseOutcome) -> Int {
    queue.fill(number, with: outcome) ?? 0
  }

  mutating func memoryMayBeAvailable() { isAwaitingMemory = false }

  mutating func inputClosed() {
    if phase == .open { phase = .inputClosed }
  }

  mutating func drain() {
    if phase == .open || phase == .inputClosed { phase = .draining }
  }

  /// The connection is gone. Later answers are ignored.
  /// - Returns: request memory to give back.
  mutating func end() -> Int {
    phase = .ended
    frameArrived()
    return queue.removeAll()
  }

  /// Memory for arriving frames to give back since this was last asked.
  mutating func takeArrivedBytes() -> Int {
    defer { arrivedBytes = 0 }
    return arrivedBytes
  }

  private mutating func frameArrived() {
    arrivedBytes += reservedBytes
    reservedBytes = 0
  }

  // MARK: Decision

  /// - Parameters:
  ///   - input: what has been received; frames are consumed from it.
  ///   - reserve: asks for that much of the broker's memory.
  mutating func next(_ input: inout ByteBuffer, reserve: (MemoryUse, Int) -> Bool) -> Step {
    guard phase != .ended else { return .rest }
    if phase != .draining, hasRoom, !isAwaitingMemory, let step = takeUp(&input, reserve) { return step }
    guard isWritable else { return .rest }
    switch queue.popReady() {
    case .response(let response): return .send(response)
    case .close(let reason): return ended(.close(reason: reason))
    case .none: break
    }
    guard queue.isEmpty, phase == .draining || (phase == .inputClosed && !isAwaitingMemory) else { return .rest }
    return ended(.finish)
  }

  /// The next request of the input, if a whole one is there.
  private mutating func takeUp(_ input: inout ByteBuffer, _ reserve: (MemoryUse, Int) -> Bool) -> Step? {
    switch limits.framing.head(of: input) {
    case .complete(let byteCount):
      guard reserve(.requests, byteCount) else { return awaitMemory(.requests) }
      frameArrived()
      wantedBytes = Framing.prefixBytes
      return .dispatch(Self.cut(byteCount, from: &input), queue.append(requestBytes: byteCount))
    case .partial(let wanted):
      wantedBytes = wanted
      let byteCount = wanted - Framing.prefixBytes
      if phase == .open, reservedBytes == 0, byteCount > Self.maxUnreservedPartialBytes {
        guard reserve(.arriving, byteCount) else { return awaitMemory(.arriving) }
        reservedBytes = byteCount
      }
      return nil
    case .invalid(let error):
      // What was asked before is still answered: the error takes its place in the order.
      input.clear()
      phase = .draining
      let number = queue.append(requestBytes: 0)
      _ = queue.fill(number, with: .close(reason: error.description))
      return nil
    }
  }

  private mutating func awaitMemory(_ use: MemoryUse) -> Step {
    isAwaitingMemory = true
    return .awaitMemory(use)
  }

  private mutating func ended(_ step: Step) -> Step {
    phase = .ended
    return step
  }

  private static func cut(_ byteCount: Int, from input: inout ByteBuffer) -> ByteBuffer {
    input.moveReaderIndex(forwardBy: Framing.prefixBytes)
    guard byteCount <= maxCopiedFrameBytes else { return input.readSlice(length: byteCount)! }
    var frame = ByteBufferAllocator().buffer(capacity: byteCount)
    input.withUnsafeReadableBytes { bytes in
      _ = frame.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[..<byteCount]))
    }
    input.moveReaderIndex(forwardBy: byteCount)
    return frame
  }
}
