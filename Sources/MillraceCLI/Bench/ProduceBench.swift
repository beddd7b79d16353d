// Sends records as fast as told and measures, as Kafka's kafka-producer-perf-test.sh does.
import MillraceClient

struct ProduceBench: Sendable {
  enum Payload: Sendable {
    /// Random capital letters.
    case random(bytes: Int)
    /// One of these.
    case choice([[UInt8]])
    /// The number of the record.
    case counter
  }

  var topic: String
  var count: Int64
  var payload: Payload
  /// Records a second; nil for as many as possible.
  var throughput: Double?
  var warmup: Int64 = 0
  var reportingIntervalMs: Int64 = 5000

  /// Random payloads are taken in turn from so many, so that making them costs nothing of what is measured.
  private static let randomPayloads = 256

  private struct State: Sendable {
    var all: ProduceStatistics
    var steady: ProduceStatistics?
    var failed = 0
    var firstError: KafkaError?
  }

  struct Failure: Error, CustomStringConvertible { let description: String }

  func run(_ configuration: ProducerConfiguration) async throws {
    let payloads = makePayloads()
    let start = ContinuousClock.now
    let clock: @Sendable () -> Int64 = { (ContinuousClock.now - start).microseconds }
    let state = Guarded(State(all: ProduceStatistics(startMs: 0, reportingIntervalMs: reportingIntervalMs)))
    let size = payloadSize
    let warmup = warmup
    // A token is the time of sending in microseconds, above it a bit for records behind the warm-up.
    let steadyBit: UInt64 = 1 << 62
    let producer = try await Producer(configuration) { report in
      let now = clock()
      let line = state.change { state -> String? in
        if let error = report.error {
          state.failed += report.recordCount
          state.firstError = state.firstError ?? error
          return nil
        }
        for token in report.tokens {
          let latency = now - Int64(token & (steadyBit - 1))
          state.all.add(latencyMicroseconds: latency, bytes: size)
          if token & steadyBit != 0 { state.steady?.add(latencyMicroseconds: latency, bytes: size) }
        }
        return state.all.windowLine(nowMs: now / 1000)
      }
      if let line {
        try? Output.standard.line(line)
        try? Output.standard.flush()
      }
    }
    do {
      try await Interruption.watch {
        var number: Int64 = 0
        while number < count {
          let isSteady = warmup > 0 && number >= warmup
          if isSteady, number == warmup {
            state.change { $0.steady = ProduceStatistics(startMs: clock() / 1000, reportingIntervalMs: .max) }
          }
          let token = UInt64(clock()) | (isSteady ? steadyBit : 0)
          if let fixed = payloads {
            try await send(producer, fixed[Int(number % Int64(fixed.count))], token)
          } else {
            try await send(producer, Array("\(number)".utf8), token)
          }
          number += 1
          try await throttle(number, clock)
        }
        try await producer.flush()
      }
    } catch {
      await producer.close()
      throw error
    }
    await producer.close()
    let now = clock() / 1000
    let end = state.value
    try Output.standard.line(end.all.totalLine(nowMs: now))
    if let steady = end.steady { try Output.standard.line(steady.totalLine(nowMs: now, isSteadyState: true)) }
    if let error = end.firstError { throw Failure(description: "\(end.failed) records were not written: \(error)") }
  }

  private func send(_ producer: Producer, _ payload: [UInt8], _ token: UInt64) async throws {
    let taken = payload.withUnsafeBytes { producer.tryEnqueue(topic: topic, key: nil, value: $0, token: token) }
    if !taken {
      try await producer.enqueue(OutgoingRecord(value: payload).producerRecord(topic: topic), token: token)
    }
  }

  private func throttle(_ sent: Int64, _ clock: () -> Int64) async throws {
    if sent & 0xFF == 0 { try Task.checkCancellation() }
    guard let throughput else { return }
    let ahead = Double(sent) / throughput * 1_000_000 - Double(clock())
    if ahead > 1000 { try await Task.sleep(for: .microseconds(ahead)) }
  }

  private var payloadSize: Int64 {
    switch payload {
    case .random(let bytes): Int64(bytes)
    case .choice(let payloads): Int64(payloads.map(\.count).reduce(0, +) / max(1, payloads.count))
    case .counter: Int64("\(count)".utf8.count)
    }
  }

  private func makePayloads() -> [[UInt8]]? {
    switch payload {
    case .random(let bytes):
      (0..<Self.randomPayloads).map { _ in Self.randomLetters(bytes) }
    case .choice(let payloads): payloads
    case .counter: nil
    }
  }

  /// Thirteen letters to a random number, since each of those is a system call.
  private static func randomLetters(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      var word: UInt64 = 0
      for index in 0..<count {
        if index % 13 == 0 { word = .random(in: 0 ... .max) }
        buffer[index] = UInt8(ascii: "A") + UInt8(word % 26)
        word /= 26
      }
      initializedCount = count
    }
  }
}

extension Duration {
  var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}
