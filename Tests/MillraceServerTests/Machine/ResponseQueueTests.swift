import MillraceBroker
import NIOCore
import Testing

@testable import MillraceServer

@Suite struct ResponseQueueTests {
  @Test func `answers leave in the order of the requests, whatever the order they became ready in`() {
    var queue = ResponseQueue()
    let numbers = (0..<4).map { _ in queue.append(requestBytes: 10) }
    for index in [2, 0, 3] { _ = queue.fill(numbers[index], with: answer("\(index)")) }
    #expect(drain(&queue) == ["0"])
    _ = queue.fill(numbers[1], with: answer("1"))
    #expect(drain(&queue) == ["1", "2", "3"])
    #expect(queue.isEmpty)
  }

  @Test func `a request without a response holds nobody up`() {
    var queue = ResponseQueue()
    let numbers = (0..<3).map { _ in queue.append(requestBytes: 0) }
    _ = queue.fill(numbers[1], with: .nothing)
    _ = queue.fill(numbers[2], with: answer("2"))
    #expect(drain(&queue) == [])
    _ = queue.fill(numbers[0], with: .nothing)
    #expect(drain(&queue) == ["2"])
  }

  @Test func `a close comes after the answers before it`() {
    var queue = ResponseQueue()
    let numbers = (0..<2).map { _ in queue.append(requestBytes: 0) }
    _ = queue.fill(numbers[1], with: .close(reason: "bad"))
    #expect(drain(&queue) == [])
    _ = queue.fill(numbers[0], with: answer("0"))
    #expect(drain(&queue) == ["0", "close: bad"])
  }

  @Test func `a place is filled once`() {
    var queue = ResponseQueue()
    let number = queue.append(requestBytes: 7)
    #expect(queue.fill(number, with: answer("first")) == 7)
    #expect(queue.fill(number, with: answer("second")) == nil)
    #expect(drain(&queue) == ["first"])
    #expect(queue.fill(number, with: answer("third")) == nil)
    #expect(queue.fill(RequestNumber(value: 99), with: answer("nobody asked")) == nil)
    #expect(drain(&queue) == [])
  }

  @Test func `it knows what it holds`() {
    var queue = ResponseQueue()
    let first = queue.append(requestBytes: 10)
    let second = queue.append(requestBytes: 20)
    #expect(queue.unansweredBytes == 30 && queue.unansweredCount == 2 && queue.readyBytes == 0)
    _ = queue.fill(second, with: answer("four"))
    #expect(queue.unansweredBytes == 10 && queue.unansweredCount == 1 && queue.readyBytes == 4)
    _ = queue.fill(first, with: answer("one"))
    _ = drain(&queue)
    #expect(queue.unansweredBytes == 0 && queue.readyBytes == 0)
    _ = queue.append(requestBytes: 5)
    #expect(queue.removeAll() == 5)
    #expect(queue.isEmpty && queue.unansweredCount == 0)
  }

  @Test func `answers for places that were dropped are ignored`() {
    var queue = ResponseQueue()
    let dropped = queue.append(requestBytes: 1)
    _ = queue.removeAll()
    _ = queue.append(requestBytes: 1)
    #expect(queue.fill(dropped, with: answer("late")) == nil)
    #expect(drain(&queue) == [])
  }

  private func answer(_ text: String) -> ResponseOutcome { .respond(OutgoingResponse(bytes: ByteBuffer(string: text))) }

  private func drain(_ queue: inout ResponseQueue) -> [String] {
    var seen: [String] = []
    while true {
      switch queue.popReady() {
      case .response(let response): seen.append(String(buffer: response.bytes))
      case .close(let reason): seen.append("close: \(reason)")
      case .none: return seen
      }
    }
  }
}
