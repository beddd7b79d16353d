// The cleaner's settings from the broker's configs, as they are at the moment, and what it reports to the log.

import Logging
import MillraceCoordination
import MillraceLog
import Synchronization

extension CatalogRuntime {
  var cleanerSettings: CleanerSettings { CleanerSettings(state.withLock { $0.catalog.resolver }) }
}

extension CleanerSettings {
  init(_ resolver: ConfigResolver) {
    func value(_ name: String) -> ConfigValue? { BrokerConfigs.definition(name).flatMap { resolver.broker($0).value } }
    func integer(_ name: String) -> Int64 {
      guard case .integer(let number)? = value(name) else { preconditionFailure("'\(name)' has no number") }
      return number
    }
    func double(_ name: String) -> Double {
      guard case .double(let number)? = value(name) else { preconditionFailure("'\(name)' has no number") }
      return number
    }
    self.init(
      threads: Int(integer("log.cleaner.threads")),
      dedupeBufferBytes: Int(clamping: integer("log.cleaner.dedupe.buffer.size")),
      ioBufferBytes: Int(integer("log.cleaner.io.buffer.size")),
      loadFactor: double("log.cleaner.io.buffer.load.factor"), backoffMs: integer("log.cleaner.backoff.ms"),
      maxBytesPerSecond: double("log.cleaner.io.max.bytes.per.second"))
  }
}

extension Logger {
  func report(_ report: CleanerReport) {
    switch report {
    case .cleaned(let id, let before, let after, let firstDirty):
      info(
        "compacted a partition",
        metadata: [
          "partition": "\(id)", "bytesBefore": "\(before)", "bytesAfter": "\(after)", "firstDirty": "\(firstDirty)",
        ])
    case .uncleanable(let id, let problem):
      error(
        "a partition is damaged and is not compacted any more",
        metadata: ["partition": "\(id)", "problem": "\(problem)"])
    case .failed(let id, let problem):
      warning("cannot compact a partition now", metadata: ["partition": "\(id)", "problem": "\(problem)"])
    case .abandoned(let id):
      debug("left off compacting a partition", metadata: ["partition": "\(id)"])
    }
  }
}
