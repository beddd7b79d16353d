// Drives a ConnectionMachine by hand and writes down what it does, so that a test reads like the conversation.

import MillraceBroker
import NIOCore

@testable import MillraceServer

struct Transcript {
  var machine: ConnectionMachine
  var input = ByteBuffer()
  /// What is left of the broker's memory for requests, and for frames that arrive.
  var memory = Int.max
  var arrivingMemory = Int.max
  private(set) var numbers: [String: RequestNumber] = [:]

  init(maxInFlight: Int = 100, maxReadyBytes: Int = 1 << 20, maxFrameBytes: Int = 1 << 20) {
    machine = ConnectionMachine(
      limits: ConnectionMachine.Limits(
        framing: Framing(maxFrameBytes: maxFrameBytes), maxInFlight: maxInFlight, maxReadyBytes: maxReadyBytes))
  }

  /// One step after the other until the machine rests.
  mutating func run() -> [String] {
    var lines: [String] = []
    while true {
      var left = [ConnectionMachine.MemoryUse.requests: memory, .arriving: arrivingMemory]
      let step = machine.next(&input) { use, bytes in
        guard left[use]! > 0 else { return false }
        left[use]! -= bytes
        return true
      }
      memory = left[.requests]!
      arrivingMemory = left[.arriving]! + machine.takeArrivedBytes()
      switch step {
      case .dispatch(let frame, let number):
        let text = frame.readableBytes > 40 ? "\(frame.readableBytes) bytes" : String(buffer: frame)
        numbers[text] = number
        lines.append("take up \(text)")
      case .send(let response): lines.append("send \(String(buffer: response.bytes))")
      case .awaitMemory: lines.append("await memory")
      case .finish: lines.append("finish")
      case .close(let reason): lines.append("close: \(reason)")
      case .rest: return lines
      }
    }
  }

  mutating func receive(_ requests: String...) -> [String] {
    for request in requests {
      input.writeInteger(Int32(request.utf8.count))
      input.writeString(request)
    }
    return run()
  }

  mutating func receive(bytes: [UInt8]) -> [String] {
    input.writeBytes(bytes)
    return run()
  }

  /// Answers a request with its own text, or with `outcome`.
  mutating func answer(_ request: String, _ outcome: ResponseOutcome? = nil) -> [String] {
    fill(request, outcome)
    return run()
  }

  mutating func fill(_ request: String, _ outcome: ResponseOutcome? = nil) {
    let outcome = outcome ?? .respond(OutgoingResponse(bytes: ByteBuffer(string: request)))
    memory += machine.fulfil(numbers[request]!, with: outcome)
  }
}
