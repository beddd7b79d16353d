// Programs as handlers: what they are told, what their end means, and that none outlives its welcome.
import Foundation
import MillraceClient
import NIOCore
import Synchronization
import Testing

@testable import MillraceCLI

@Suite("Programs as handlers", .serialized, .timeLimit(.minutes(5)))
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
    let environment = [
      "PATH=/bin", "MILLRACE_KEY=x", "MILLRACE_HEADER_A=x", "MILLRACE_BIN=m", "MILLRACE_TOPICS=t", "nothing", "1=2",
    ]
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
    _ command: String, _ input: [UInt8] = [], timeout: Duration? = nil,
    environment: [String] = ["A=b", "PATH=/usr/bin:/bin"], onError: @escaping @Sendable ([UInt8]) -> Void = { _ in }
  ) async throws -> ChildProcess.Outcome {
    try await ChildProcess(command: command, timeout: timeout, onError: onError)
      .run(environment: environment.map { Array($0.utf8) }, input: input)
  }

  /// Runs a program, interrupts it when it has said something, and returns what that was.
  private func interrupt(_ command: String) async throws -> String {
    let said = Guarded<[UInt8]>([])
    let running = Task { try await run(command, onError: { bytes in said.change { $0 += bytes } }) }
    while said.value.last != UInt8(ascii: "\n") { try await Task.sleep(for: .milliseconds(5)) }
    running.cancel()
    await #expect(throws: CancellationError.self) { try await running.value }
    return String(decoding: said.value.dropLast(), as: UTF8.self)
  }

  /// A process that has ended has no command any more, also before somebody asked for its status.
  private func waitForEnd(ofProcess id: String) async throws {
    while let command = FileManager.default.contents(atPath: "/proc/\(id)/cmdline"), !command.isEmpty {
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  @Test func `a program gets its input byte for byte, however long`() async throws {
    let input = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let path = NSTemporaryDirectory() + "/handler-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let outcome = try await run("cat > '\(path)'", input)
    #expect(outcome == ChildProcess.Outcome(ending: .exit(0), errorTail: []))
    #expect(try Array(Data(contentsOf: URL(filePath: path))) == input)
    #expect(try await run("test $(wc -c) = 0").ending == .exit(0), "nothing is an input, too")
  }

  @Test func `a program need not read its input`() async throws {
    let input = [UInt8](repeating: 1, count: 1_000_000)
    #expect(try await run("exit 3", input).ending == .exit(3))
    #expect(try await run("exec 0<&-; sleep 0.1; exit 4", input).ending == .exit(4))
  }

  @Test func `a program has its variables and default signals`() async throws {
    let outcome = try await run("echo $A $B >&2; grep -E 'SigIgn|SigBlk' /proc/self/status >&2")
    let said = String(decoding: outcome.errorTail, as: UTF8.self).split(separator: "\n")
    #expect(said.first == "b" && said.count == 3)
    for line in said.dropFirst() {
      let mask = UInt64(line.split(whereSeparator: \.isWhitespace).last ?? "", radix: 16)
      // SIGINT, SIGPIPE and SIGTERM are neither ignored nor held back.
      #expect(mask.map { $0 & (1 << 1 | 1 << 12 | 1 << 14) } == 0, "\(line)")
    }
  }

  @Test func `a program has three descriptors, whatever this process has open`() async throws {
    let inheritable = try FileHandle(forReadingFrom: URL(filePath: "/dev/null"))
    #expect(fcntl(inheritable.fileDescriptor, F_SETFD, 0) == 0)
    let outcome = try await run("ls /proc/self/fd >&2")
    #expect(String(decoding: outcome.errorTail, as: UTF8.self) == "0\n1\n2\n3\n", "the last is that of the directory")
    try inheritable.close()
  }

  @Test func `only the end of what a program says is kept`() async throws {
    let heard = Guarded(0)
    let outcome = try await run(
      "seq 1 100000 >&2; echo last >&2; exit 1", onError: { bytes in heard.change { $0 += bytes.count } })
    #expect(outcome.ending == .exit(1))
    #expect(outcome.errorTail.count == ChildProcess.errorTailBytes)
    #expect(String(decoding: outcome.errorTail, as: UTF8.self).hasSuffix("100000\nlast\n"))
    #expect(heard.value == 588_895 + 5, "and all of it is passed on")
  }

  @Test func `a signal is told from an exit`() async throws {
    #expect(try await run("kill -9 $$").ending == .signal(9))
    #expect(try await run("kill -15 $$").ending == .signal(15))
  }

  @Test func `a program that takes too long is ended`() async throws {
    #expect(try await run("sleep 600", timeout: .milliseconds(50)).ending == .timedOut)
    #expect(try await run("exec 2>&-; sleep 600", timeout: .milliseconds(50)).ending == .timedOut)
  }

  @Test func `a program that is not wanted any more is ended with all that it started`() async throws {
    try await waitForEnd(ofProcess: try await interrupt("sleep 600 & echo $! >&2; wait"))
  }

  @Test func `one that does not end when asked to is killed`() async throws {
    #expect(try await interrupt("trap '' TERM; echo deaf >&2; while :; do sleep 1; done") == "deaf")
  }

  @Test func `one that is about to end does not take half of its input for the whole`() async throws {
    let path = NSTemporaryDirectory() + "/handler-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let begun = Guarded(false)
    let running = Task {
      try await run(
        "trap 'test $(wc -c) = 1000000 || touch \(path); exit' TERM; echo >&2; while :; do sleep 0.01; done",
        [UInt8](repeating: 1, count: 1_000_000), onError: { _ in begun.change { $0 = true } })
    }
    while !begun.value { try await Task.sleep(for: .milliseconds(5)) }
    running.cancel()
    await #expect(throws: CancellationError.self) { try await running.value }
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func `what a program leaves behind is not waited for`() async throws {
    let outcome = try await run("sleep 600 & echo $! >&2; exit 0")
    #expect(outcome.ending == .exit(0))
    let left = try #require(Int32(String(decoding: outcome.errorTail.dropLast(), as: UTF8.self)))
    #expect(kill(left, SIGKILL) == 0)
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
    let named = try Consume.parse(["orders", "--group", "g", "--exec", "cat", "--dead-letters=dead", "--retries", "1"])
    #expect(named.handler.policy.deadLetterTopic == "dead")
    #expect(try Consume.parse(["orders", "--group", "g", "--exec", "cat"]).handler.deadLetters == nil)
  }

  @Test(arguments: [
    ["--retries", "1"], ["--backoff", "1s"], ["--backoff-max", "1s"], ["--retry-after", "1s"], ["--dead-letters"],
  ])
  func `the broker of a share group retries, so that options for it are refused by the names of its configs`(
    _ option: [String]
  ) throws {
    let command = ["mails", "--share", "--group", "mailers", "--exec", "cat", "--workers", "4", "--exec-timeout", "1s"]
    #expect(try Consume.parse(command).handler.workers == 4)
    do {
      _ = try Consume.parse(command + option)
      Issue.record("it is taken")
    } catch {
      let text = Consume.message(for: error)
      for config in [
        "share.delivery.count.limit", "millrace.share.retry.backoff.ms", "millrace.share.retry.backoff.max.ms",
        "errors.deadletterqueue.topic.name", "--group mailers",
      ] { #expect(text.contains(config), "\(text)") }
    }
  }

  @Test(arguments: [
    ["orders", "--exec", "cat"], ["orders", "--group", "g", "--exec", " "],
    ["orders", "--group", "g", "--exec", "cat", "--workers", "0"],
    ["orders", "--group", "g", "--exec", "cat", "--retries", "-1"],
    ["orders", "--group", "g", "--exec", "cat", "--backoff", "soon"],
    ["orders", "--group", "g", "--exec", "cat", "--format", "long"],
    ["orders", "--group", "g", "--dead-letters"], ["orders", "--group", "g", "--exec-timeout", "1s"],
    ["orders", "--group", "g", "--retries", "3"], ["orders", "--group", "g", "--share", "--backoff", "1s"],
  ])
  func `options that make no sense are refused`(_ arguments: [String]) {
    #expect(throws: (any Error).self) { try Consume.parse(arguments) }
  }
}
