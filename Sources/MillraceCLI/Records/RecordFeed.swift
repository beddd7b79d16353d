// Records from standard input or files, one after the other.

struct RecordFeed: Sendable {
  enum Format: Sendable {
    case lines(LineFormat)
    case json
    /// Each input is the value of one record.
    case whole
  }

  let format: Format
  let inputs: [Input]
  /// Called before each line that a person is asked for.
  var prompt: (@Sendable () throws -> Void)?

  /// Hands over one record after the other. Errors in a line name the input if there are several.
  func read(_ body: (OutgoingRecord) async throws -> Void) async throws {
    for input in inputs {
      var number = 0
      func record(_ line: [UInt8]) throws -> OutgoingRecord? {
        number += 1
        do {
          switch format {
          case .lines(let lines): return try lines.record(line: line, number: number)
          case .json:
            return line.allSatisfy { $0 == 0x20 || $0 == 0x09 } ? nil : try JSONRecord.parse(line, number: number)
          case .whole: return OutgoingRecord(value: line)
          }
        } catch {
          guard inputs.count > 1 else { throw error }
          throw RecordFailure(description: "\(input.name): \(error)")
        }
      }
      if case .whole = format {
        var value: [UInt8] = []
        while case let chunk = try await input.chunk(), !chunk.isEmpty { value += chunk }
        if let record = try record(value) { try await body(record) }
        continue
      }
      var splitter = LineSplitter()
      try prompt?()
      while case let chunk = try await input.chunk(), !chunk.isEmpty {
        var lines: [[UInt8]] = []
        splitter.push(chunk) { lines.append($0) }
        for line in lines {
          if let record = try record(line) { try await body(record) }
          try prompt?()
        }
      }
      if let line = splitter.finish(), let record = try record(line) { try await body(record) }
    }
  }
}
