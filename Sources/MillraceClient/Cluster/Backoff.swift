// The pauses between retries: they double up to a limit, with jitter so that clients that failed together do not come
// back together (KIP-580).

struct Backoff {
  private static let jitter = 0.2

  private let limit: Duration
  private var step: Duration

  init(first: Duration, limit: Duration) {
    self.limit = limit
    step = min(first, limit)
  }

  init(_ configuration: ClientConfiguration) {
    self.init(first: configuration.retryBackoff, limit: configuration.retryBackoffMax)
  }

  mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
    defer { step = min(step * 2, limit) }
    return step * Double.random(in: (1 - Self.jitter)...(1 + Self.jitter), using: &generator)
  }

  mutating func next() -> Duration {
    var generator = SystemRandomNumberGenerator()
    return next(using: &generator)
  }
}
