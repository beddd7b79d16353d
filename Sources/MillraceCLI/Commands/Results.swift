// Outcomes of one request for several things: each is told, failures on standard error, and any failure makes the
// command end with 1.
import MillraceClient

enum Results {
  static func tell<Key: Hashable, Value>(
    _ keys: [Key], _ results: [Key: Result<Value, KafkaError>], _ done: (Key, Value) -> String,
    forgive: (KafkaError) -> Bool = { _ in false }
  ) throws {
    var failed = false
    for key in keys {
      switch results[key] {
      case .success(let value)?: try Output.standard.line(done(key, value))
      case .failure(let error)? where forgive(error): break
      case .failure(let error)?:
        failed = true
        try Output.standard.flush()
        note("Error: \(error)")
      case nil:
        failed = true
        note("Error: \(key): the broker did not say what became of it")
      }
    }
    if failed { throw SomeFailed() }
  }
}
