// Treats a connection at random, and holds it to a model that is too simple to be wrong: the frames that were sent, in
// order, answered in order, within the limits.

import MillraceBroker
import NIOCore
import Testing

@testable import MillraceServer

@Suite struct ConnectionModelTests {
  @Test func `whatever happens in whatever order, every request is answered once and in order`() {
    for round in 0..<200 {
      var model = Model(seed: UInt64.random(in: 0...UInt64.max))
      model.run()
      if model.problem != nil { Issue.record("\(model.problem!), seed \(model.seed), round \(round)") }
    }
  }

  @Test func `any bytes end in a close or in waiting for more`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = Seeded(state: seed)
    for _ in 0..<5000 {
      var t = Transcript(maxInFlight: 1000, maxFrameBytes: 300)
      var bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      // Small lengths are as likely as large ones.
      for index in bytes.indices.dropLast(3) where Int.random(in: 0...5, using: &random) == 0 {
        bytes.replaceSubrange(index..<(index + 3), with: [0, 0, 0])
      }
      let lines = t.receive(bytes: bytes)
      #expect(lines.allSatisfy { $0.hasPrefix("take up") || $0.hasPrefix("close") }, "seed \(seed)")
      #expect(t.machine.wantsRead || t.machine.unansweredCount > 0 || lines.last?.hasPrefix("close") == true)
    }
  }

  private struct Model {
    let seed: UInt64
    var problem: String?

    private var random: Seeded
    private let maxInFlight: Int
    private let memoryLimit: Int
    private var machine: ConnectionMachine
    private var input = ByteBuffer()
    private var unsent: ArraySlice<UInt8> = []
    private var frames: [Int] = []
    private var taken: [(RequestNumber, Int)] = []
    private var open: [Int] = []
    private var answered = 0
    private var memory = 0
    private var arrivingMemory = 0
    private var isAwaitingMemory = false
    private var isFinished = false

    init(seed: UInt64) {
      self.seed = seed
      random = Seeded(state: seed)
      maxInFlight = Int.random(in: 1...8, using: &random)
      memoryLimit = Int.random(in: 1...200_000, using: &random)
      machine = ConnectionMachine(
        limits: ConnectionMachine.Limits(
          framing: Framing(maxFrameBytes: 200_000), maxInFlight: maxInFlight,
          maxReadyBytes: Int.random(in: 1...100, using: &random)))
    }

    mutating func run() {
      for _ in 0..<Int.random(in: 1...30, using: &random) {
        // Mostly small; now and then one whose memory is reserved before it has arrived.
        let limit = [50, 50, 5000, 5000, 90_000].randomElement(using: &random)!
        let size = Int.random(in: 0...limit, using: &random)
        frames.append(size)
        unsent += TestSocket.frame([UInt8](repeating: UInt8(truncatingIfNeeded: frames.count), count: size))
      }
      var steps = 0
      while !isFinished, problem == nil, steps < 1_000_000 {
        steps += 1
        happen()
        drive()
      }
      if problem == nil, answered != frames.count { problem = "\(answered) of \(frames.count) were answered" }
      if problem == nil, memory - machine.end() != 0 { problem = "memory is not all given back" }
      if problem == nil, arrivingMemory - machine.takeArrivedBytes() != 0 {
        problem = "arriving memory is not given back"
      }
    }

    private mutating func happen() {
      switch Int.random(in: 0...4, using: &random) {
      case 0, 1:
        guard machine.wantsRead else { return }
        let most = Bool.random(using: &random) ? 100 : 50_000
        let count = min(unsent.count, Int.random(in: 1...most, using: &random))
        input.writeBytes(unsent.prefix(count))
        unsent = unsent.dropFirst(count)
        if unsent.isEmpty { machine.inputClosed() }
      case 2, 3:
        guard let index = open.indices.randomElement(using: &random) else { return }
        let request = open.remove(at: index)
        let text = ByteBuffer(integer: Int64(request))
        memory -= machine.fulfil(taken[request].0, with: .respond(OutgoingResponse(bytes: text)))
        if isAwaitingMemory, memory < memoryLimit {
          isAwaitingMemory = false
          machine.memoryMayBeAvailable()
        }
      default: machine.isWritable.toggle()
      }
      if !machine.isWritable, Bool.random(using: &random) { machine.isWritable = true }
    }

    private mutating func drive() {
      while problem == nil {
        var memory = memory
        var arriving = arrivingMemory
        let step = machine.next(&input) { [memoryLimit] use, bytes in
          switch use {
          case .requests:
            guard memory < memoryLimit else { return false }
            memory += bytes
          case .arriving: arriving += bytes
          }
          return true
        }
        self.memory = memory
        arrivingMemory = arriving - machine.takeArrivedBytes()
        switch step {
        case .dispatch(let frame, let number):
          if frame.readableBytes != frames[taken.count] { problem = "frame \(taken.count) has another size" }
          let mark = UInt8(truncatingIfNeeded: taken.count + 1)
          if frame != ByteBuffer(repeating: mark, count: frames[taken.count]) {
            problem = "frame \(taken.count) has other bytes"
          }
          open.append(taken.count)
          taken.append((number, frame.readableBytes))
          if taken.count - answered > maxInFlight { problem = "too much is in flight" }
        case .send(var response):
          if response.bytes.readInteger() != Int64(answered) { problem = "answer \(answered) is another one" }
          answered += 1
          if !machine.isWritable { problem = "sent to a socket that takes nothing" }
        case .awaitMemory: isAwaitingMemory = true
        case .finish: isFinished = true
        case .close(let reason): problem = "closed: \(reason)"
        case .rest: return
        }
      }
    }
  }
}
