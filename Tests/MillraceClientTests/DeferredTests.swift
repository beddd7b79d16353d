import Testing

@testable import MillraceClient

@Suite struct DeferredTests {
  @Test func `all who wait get the value, and so does who comes later`() async throws {
    let deferred = Deferred<Int>()
    try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<20 { group.addTask { try await deferred.value() } }
      try await Task.sleep(for: .milliseconds(10))
      deferred.fulfil(.success(7))
      deferred.fulfil(.success(8))
      for try await value in group { #expect(value == 7) }
    }
    #expect(try await deferred.value() == 7)
  }

  @Test func `cancelling one who waits leaves the others`() async throws {
    let deferred = Deferred<Int>()
    let cancelled = Task { () throws(KafkaError) in try await deferred.value() }
    let patient = Task { () throws(KafkaError) in try await deferred.value() }
    cancelled.cancel()
    let error = await #expect(throws: KafkaError.self) { try await cancelled.value }
    #expect(error?.code == .cancelled)
    deferred.fulfil(.success(1))
    #expect(try await patient.value == 1)
  }

  @Test func `a task that is cancelled already does not wait`() async throws {
    let deferred = Deferred<Int>()
    let task = Task { () throws(KafkaError) -> Int in
      while !Task.isCancelled { await Task.yield() }
      return try await deferred.value()
    }
    task.cancel()
    await #expect(throws: KafkaError.self) { try await task.value }
  }
}
