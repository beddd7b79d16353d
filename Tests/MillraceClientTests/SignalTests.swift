import NIOCore
import NIOPosix
import Testing

@testable import MillraceClient

@Suite struct SignalTests {
  private let signal = Signal(on: MultiThreadedEventLoopGroup.singleton.next())

  @Test func `one that is set before somebody waits wakes once`() async throws {
    signal.set()
    signal.set()
    try await signal.wait(until: nil)
    let start = NIODeadline.now()
    try await signal.wait(until: start + .milliseconds(20))
    #expect(NIODeadline.now() >= start + .milliseconds(20))
  }

  @Test(.timeLimit(.minutes(5)))
  func `one that is set after a wait whose time was up wakes the next`() async throws {
    try await signal.wait(until: .now())
    signal.set()
    try await signal.wait(until: nil)
  }

  @Test(.timeLimit(.minutes(5)))
  func `one that is set after a wait that was cancelled wakes the next`() async throws {
    let task = Task { [signal] in try await signal.wait(until: nil) }
    task.cancel()
    await #expect(throws: KafkaError.self) { try await task.value }
    signal.set()
    try await signal.wait(until: nil)
  }
}
