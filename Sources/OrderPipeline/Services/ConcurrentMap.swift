// The elements of a batch, all at the same time.

import Synchronization

extension Sequence where Element: Sendable {
  /// Transforms all elements concurrently, and returns what came of them in their order.
  ///
  /// - Throws: the first error that an element's transform throws; the others are cancelled then.
  func concurrentMap<Result: Sendable>(
    _ transform: @escaping @Sendable (Element) async throws -> Result
  ) async throws -> [Result] {
    let results = Results<Result>()
    try await withThrowingDiscardingTaskGroup { group in
      for (index, element) in enumerated() {
        group.addTask { results.set(try await transform(element), at: index) }
      }
    }
    return results.inOrder
  }
}

private final class Results<Value: Sendable>: Sendable {
  private let values = Mutex<[(index: Int, value: Value)]>([])

  func set(_ value: Value, at index: Int) { values.withLock { $0.append((index, value)) } }

  var inOrder: [Value] { values.withLock { $0.sorted { $0.index < $1.index }.map(\.value) } }
}
