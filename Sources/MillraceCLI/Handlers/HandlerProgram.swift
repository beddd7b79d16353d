// A program as the handler of records: one run a record. How it ends is what it says of the record.
import MillraceClient
import NIOCore
import Subprocess

struct HandlerProgram: Sendable {
  /// What the program reads on standard input.
  enum Payload: Sendable {
    /// The value, byte for byte; nothing for null.
    case value
    /// The whole record in a line of JSON.
    case json
  }

  /// The exit code of a program that will never be able to process the record: EX_DATAERR of sysexits(3).
  static let rejection: Int32 = 65
  /// What a shell ends with when it finds no such program, and when it may not run it.
  static let notRunnable: ClosedRange<Int32> = 126...127

  private let process: ChildProcess
  private let payload: Payload
  private let group: String
  private let inherited = HandlerVariables.inherited(Surroundings.environment())

  init(_ command: String, timeout: Duration?, payload: Payload, group: String) {
    process = ChildProcess(command: command, timeout: timeout) { bytes in
      try? Output.error.write(bytes: bytes)
      try? await Output.error.flushAside()
    }
    self.payload = payload
    self.group = group
  }

  /// Runs the program for a record.
  func handle(_ delivery: RecordDelivery) async throws {
    let outcome: ChildProcess.Outcome
    do {
      outcome = try await process.run(environment: inherited + variables(delivery), input: input(delivery))
    } catch let error as SubprocessError {
      throw HandlerFailure(.stop, exceptionClass: "spawn", message: "the handler cannot be run: \(error)")
    }
    if let failure = Self.failure(outcome) { throw failure }
  }

  private func input(_ delivery: RecordDelivery) -> [UInt8] {
    switch payload {
    case .value: return delivery.value.map { Array($0.readableBytesView) } ?? []
    case .json:
      var bytes: [UInt8] = []
      JSONRecord.append(
        delivery.origin.topicPartition, offset: delivery.origin.offset, timestamp: delivery.origin.timestamp,
        key: delivery.key, value: delivery.value, headers: delivery.headers, to: &bytes)
      return bytes
    }
  }

  private func variables(_ delivery: RecordDelivery) -> [[UInt8]] {
    let origin = delivery.origin
    return HandlerVariables(
      origin.topicPartition, offset: origin.offset, timestamp: origin.timestamp, key: delivery.key,
      valueIsNull: delivery.value == nil, headers: delivery.headers, attempt: delivery.attempt, group: group
    ).variables
  }

  // MARK: How it ended

  /// Nil when the record is processed.
  static func failure(_ outcome: ChildProcess.Outcome) -> HandlerFailure? {
    let said = text(outcome.errorTail)
    func failure(_ verdict: HandlerFailure.Verdict, _ kind: String, _ otherwise: String) -> HandlerFailure {
      HandlerFailure(verdict, exceptionClass: kind, message: said.isEmpty ? otherwise : said)
    }
    switch outcome.ending {
    case .exit(0): return nil
    case .exit(rejection): return failure(.reject, "exit-\(rejection)", "the handler rejected the record")
    case .exit(let code) where notRunnable.contains(code):
      return failure(.stop, "exit-\(code)", "the handler cannot be run: the shell ended with \(code)")
    case .exit(let code): return failure(.retry, "exit-\(code)", "the handler ended with exit code \(code)")
    case .signal(let number): return failure(.retry, "signal-\(number)", "the handler was killed by signal \(number)")
    case .timedOut: return failure(.retry, "timeout", "the handler took too long")
    }
  }

  /// The end of what it wrote, as text: what is cut at its beginning or is no UTF-8 is replaced, and the whole stays
  /// within what a dead letter's header keeps.
  static func text(_ tail: [UInt8]) -> String {
    let isContinuation = { (byte: UInt8) in byte & 0xC0 == 0x80 }
    let whole = tail.drop { isContinuation($0) }
    var text = String(decoding: whole, as: UTF8.self)[...]
    while let last = text.last, last.isWhitespace { text.removeLast() }
    while let first = text.first, first.isNewline { text.removeFirst() }
    // Replacements are longer than what they stand for.
    while text.utf8.count > ChildProcess.errorTailBytes { text.removeFirst() }
    return String(text)
  }
}
