// Programs as handlers: what they are told, what their end means, and that none outlives its welcome.
import Foundation
import MillraceClient
import NIOCore
import Synchronization
import Testing

@testable import MillraceCLI

@Suite("Programs as handlers")
struct HandlerTests {
  // MARK: What they are told

  private func variables(
    key: ByteBuffer? = nil, valueIsNull: Bool = false, headers: [RecordHeader] = []
  ) -> [String: String] {
    let made = HandlerVariables(
      TopicPartition("orders", 3), offset: 42, timestamp: 1_700_000_000_000, key: key, valueIsNull: valueIsNull,
      headers: headers, attempt: 2, group: "billing")
    return Dictionary(
      uniqueKeysWithValues: made.variables.map { variable in
        let text = String(decoding: variable, as: UTF8.self)
        let equals = text.firstIndex(of: "=")!
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
      })
  }

  @Test func `a program is told where the record is from`() {
    #expect(
      variables() == [
        "MILLRACE_TOPIC": "orders", "MILLRACE_PARTITION": "3", "MILLRACE_OFFSET": "42",
        "MILLRACE_TIMESTAMP": "1700000000000", "MILLRACE_ATTEMPT": "2", "MILLRACE_GROUP": "billing",
      ])
  }

  @Test func `null is told apart from empty`() {
    #expect(variables(valueIsNull: true)["MILLRACE_VALUE_IS_NULL"] == "1")
    #expect(variables()["MILLRACE_KEY"] == nil)
    #expect(variables(key: ByteBuffer())["MILLRACE_KEY"] == "")
  }

  @Test func `headers come by name, the last of those that repeat, and all of them as JSON`() {
    let told = variables(headers: [
      RecordHeader(key: "trace-id", value: "1"), RecordHeader(key: "trace-id", value: "2"),
      RecordHeader(key: "gone", value: nil), RecordHeader(key: "ä", value: "x=y"),
    ])
    #expect(told["MILLRACE_HEADER_TRACE_ID"] == "2")
    #expect(told["MILLRACE_HEADER_GONE"] == nil)
    #expect(told["MILLRACE_HEADER___"] == "x=y")
    #expect(
      told["MILLRACE_HEADERS"]
        == #"[{"name":"trace-id","value":"1"},{"name":"trace-id","value":"2"},{"name":"gone","value":null},{"name":"ä","value":"x=y"}]"#
    )
  }

  @Test func `what a variable cannot hold comes in Base64, what is too long is named`() {
    let zero = ByteBuffer(bytes: [1, 0, 2])
    let told = variables(key: zero, headers: [RecordHeader(key: "h", value: zero)])
    #expect(told["MILLRACE_KEY"] == nil && told["MILLRACE_KEY_BASE64"] == "AQAC")
    #expect(told["MILLRACE_HEADER_H"] == nil && told["MILLRACE_HEADER_H_BASE64"] == "AQAC")
    let long = ByteBuffer(repeating: 0x61, count: HandlerVariables.limit + 1)
    let less = variables(key: long, headers: [RecordHeader(key: "h", value: long)])
    #expect(less["MILLRACE_KEY"] == nil && less["MILLRACE_HEADER_H"] == nil && less["MILLRACE_HEADERS"] == nil)
    #expect(less["MILLRACE_OMITTED"] == "KEY,HEADERS,HEADER_H")
    let many = (0..<100).map { RecordHeader(key: "h\($0)", value: ByteBuffer(repeating: 0x61, count: 90_000)) }
    #expect(variables(headers: many).values.map(\.utf8.count).reduce(0, +) < HandlerVariables.headersLimit + 10_000)
  }

  @Test func `inherited variables cannot pass for the record's`() {
    let environment = ["PATH=/bin", "MILLRACE_KEY=x", "MILLRACE_HEADER_A=x", "MILLRACE_BIN=m", "MILLRACE_TOPICS=t"]
    #expect(
      HandlerVariables.inherited(environment.map { Array($0.utf8) }).map { String(decoding: $0, as: UTF8.self) }
        == ["PATH=/bin", "MILLRACE_BIN=m", "MILLRACE_TOPICS=t"])
  }

  // MARK: What their end means

  private func failure(_ ending: ChildProcess.Ending, _ said: String = "") -> HandlerFailure? {
    HandlerProgram.failure(ChildProcess.Outcome(ending: ending, errorTail: Array(said.utf8)))
  }

  @Test func `an exit code is an answer`() {
    #expect(failure(.exit(0), "just talk") == nil)
    #expect(failure(.exit(1), "no such customer\n")?.verdict == .retry)
    #expect(failure(.exit(1), "no such customer\n")?.message == "no such customer")
    #expect(failure(.exit(1))?.message == "the handler ended with exit code 1")
    #expect(failure(.exit(1))?.exceptionClass == "exit-1")
    #expect(failure(.exit(65))?.verdict == .reject)
    #expect(failure(.exit(126))?.verdict == .stop)
    #expect(failure(.exit(127), "sh: 1: bil: not found")?.verdict == .stop)
    #expect(failure(.signal(9))?.verdict == .retry)
    #expect(failure(.signal(9))?.exceptionClass == "signal-9")
    #expect(failure(.timedOut)?.exceptionClass == "timeout")
  }

  @Test func `what was said is text within bounds, whatever the bytes`() {
    #expect(HandlerProgram.text(Array("\n a\n\n".utf8)) == " a")
    #expect(HandlerProgram.text([0xA4] + Array("x".utf8)) == "x", "half a character at the cut")
    let noise = HandlerProgram.text([UInt8](repeating: 0xFF, count: 4096) + Array("the end".utf8))
    #expect(noise.utf8.count <= ChildProcess.errorTailBytes && noise.hasSuffix("the end"))
    #expect(HandlerProgram.text([]).isEmpty)
  }

  // MARK: Running them

  /// A program that does not read its input must not end this process by a signal, as in the program itself.
  init() { Output.ignoreBrokenPipes() }

  private func run(
    _ command: String, _ input: [UInt8] = [], timeout: Duration? = .seconds(20), environment: [String] = ["A=b"],
    isCancelled: () -> Bool = { false }
  ) throws -> ChildProcess.Outcome {
    try ChildProcess(command: command, timeout: timeout) { _ in }
      .run(environment: environment.map { Array($0.utf8) }, input: input, isCancelled: isCancelled)
  }

  @Test func `a program gets its input byte for byte, however long`() throws {
    let input = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let path = NSTemporaryDirectory() + "/handler-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let outcome = try run("cat > '\(path)'", input)
    #expect(outcome == ChildProcess.Outcome(ending: .exit(0), errorTail: []))
    #expect(try Array(Data(contentsOf: URL(filePath: path))) == input)
  }

  @Test func `a program need not read its input`() throws {
    #expect(try run("exit 3", Array(repeating: 1, count: 1_000_000)).ending == .exit(3))
    #expect(try run("exec 0<&-; sleep 0.1; exit 4", Array(repeating: 1, count: 1_000_000)).ending == .exit(4))
  }

  @Test func `a program has its variables and default signals`() throws {
    let outcome = try run(
      "echo $A $B >&2; grep -E 'SigIgn|SigBlk' /proc/self/status >&2", environment: ["A=b", "PATH=/usr/bin:/bin"])
    let said = String(decoding: outcome.errorTail, as: UTF8.self).split(separator: "\n")
    #expect(said.first == "b" && said.count == 3)
    for line in said.dropFirst() {
      let mask = UInt64(line.split(whereSeparator: \.isWhitespace).last ?? "", radix: 16)
      // SIGINT, SIGPIPE and SIGTERM are neither ignored nor held back.
      #expect(mask.map { $0 & (1 << 1 | 1 << 12 | 1 << 14) } == 0, "\(line)")
    }
  }

  @Test func `a program has no descriptors of others that run at the same time`() async throws {
    func descriptors() throws -> Int? {
      let outcome = try run("ls /proc/self/fd | wc -l >&2", environment: ["PATH=/usr/bin:/bin"])
      return Int(String(decoding: outcome.errorTail, as: UTF8.self).filter(\.isNumber))
    }
    let alone = try #require(try descriptors())
    let isEnough = Guarded(false)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<3 {
        group.addTask {
          _ = try self.run("sleep 30", [1], isCancelled: { isEnough.value })
        }
      }
      try await Task.sleep(for: .milliseconds(200))
      #expect(try descriptors() == alone)
      isEnough.change { $0 = true }
      try await group.waitForAll()
    }
  }

  @Test func `only the end of what a program says is kept`() throws {
    let outcome = try run("seq 1 100000 >&2; echo last >&2; exit 1")
    #expect(outcome.errorTail.count == ChildProcess.errorTailBytes)
    #expect(String(decoding: outcome.errorTail, as: UTF8.self).hasSuffix("100000\nlast\n"))
  }

  @Test func `a signal is told from an exit`() throws {
    #expect(try run("kill -9 $$").ending == .signal(9))
    #expect(try run("kill -15 $$").ending == .signal(15))
  }

  @Test func `a program that takes too long is ended with all that it started`() throws {
    let path = NSTemporaryDirectory() + "/handler-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let began = ContinuousClock.now
    #expect(try run("(sleep 1; touch '\(path)') & sleep 30", timeout: .milliseconds(100)).ending == .timedOut)
    #expect(ContinuousClock.now - began < .seconds(5))
    Thread.sleep(forTimeInterval: 1.3)
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func `one that does not end when asked to is killed`() throws {
    let began = ContinuousClock.now
    #expect(try run("trap '' TERM; sleep 30 & wait; sleep 30", timeout: .milliseconds(100)).ending == .timedOut)
    #expect(ContinuousClock.now - began < .seconds(10))
  }

  @Test func `one that is not wanted any more is ended`() throws {
    let began = ContinuousClock.now
    #expect(try run("sleep 30", isCancelled: { began + .milliseconds(100) < .now }).ending == .cancelled)
    #expect(ContinuousClock.now - began < .seconds(5))
  }

  @Test func `what a program leaves behind is not waited for`() throws {
    let began = ContinuousClock.now
    #expect(try run("sleep 3 & echo said >&2; exit 0").ending == .exit(0))
    #expect(ContinuousClock.now - began < .seconds(2))
  }

  // MARK: Options

  @Test func `options make a policy`() throws {
    let command = try Consume.parse([
      "orders", "--group", "g", "--exec", "cat", "--retries", "5", "--backoff", "1s", "--backoff-max", "10s",
      "--retry-after", "1m", "--retry-after", "1h", "--dead-letters",
    ])
    let policy = command.handler.policy
    #expect(policy.maxAttempts == 6 && policy.deadLetterTopic == nil)
    #expect(policy.backoff == .exponential(from: .seconds(1), to: .seconds(10)))
    #expect(policy.retryTopicDelays == [.seconds(60), .seconds(3600)])
    let named = try Consume.parse(["orders", "--group", "g", "--exec", "cat", "--dead-letters=dead"])
    #expect(named.handler.policy.deadLetterTopic == "dead")
    #expect(try Consume.parse(["orders", "--group", "g", "--exec", "cat"]).handler.deadLetters == nil)
  }

  @Test(arguments: [
    ["orders", "--exec", "cat"], ["orders", "--group", "g", "--exec", " "],
    ["orders", "--group", "g", "--exec", "cat", "--workers", "0"],
    ["orders", "--group", "g", "--exec", "cat", "--retries", "-1"],
    ["orders", "--group", "g", "--exec", "cat", "--backoff", "soon"],
    ["orders", "--group", "g", "--exec", "cat", "--format", "long"],
    ["orders", "--group", "g", "--dead-letters"], ["orders", "--group", "g", "--exec-timeout", "1s"],
  ])
  func `options that make no sense are refused`(_ arguments: [String]) {
    #expect(throws: (any Error).self) { try Consume.parse(arguments) }
  }
}
