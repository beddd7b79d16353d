// Reads the letters of a topic from somewhere to an end that is set before: what comes later belongs to the next time.

package struct LetterReader {
  /// From where to where to read a partition.
  package struct Span: Sendable, Hashable {
    package var start: Int64
    package var end: Int64

    package var count: Int64 { max(0, end &- start) }

    package init(start: Int64, end: Int64) {
      self.start = start
      self.end = end
    }
  }

  let spans: [TopicPartition: Span]
  private let consumer: Consumer
  private var records: ConsumerRecords.AsyncIterator

  /// - Parameter spans: partitions of one topic or several. Those without anything to read are left out.
  init(_ client: ClientConfiguration, _ spans: [TopicPartition: Span]) async throws(KafkaError) {
    self.spans = spans.filter { $0.value.count > 0 }
    var configuration = ConsumerConfiguration(client)
    configuration.isolation = .readCommitted
    configuration.stopAtEnd = true
    configuration.autoOffsetReset = .earliest
    consumer = try await Consumer(configuration)
    do throws(KafkaError) {
      if !self.spans.isEmpty { try await consumer.assign(self.spans.mapValues { .offset($0.start) }) }
    } catch {
      await consumer.close()
      throw error
    }
    records = consumer.records.makeAsyncIterator()
  }

  /// The next letter; nil at the end.
  mutating func next() async throws(KafkaError) -> ConsumerRecord? {
    guard !spans.isEmpty else { return nil }
    while let record = try await records.next() {
      if let span = spans[record.topicPartition], record.offset < span.end { return record }
    }
    return nil
  }

  func close() async {
    await consumer.close()
  }

  /// Hands the letters over one by one, until there are no more or `body` says that it has enough.
  package static func each(
    of spans: [TopicPartition: Span], _ client: ClientConfiguration, _ body: (ConsumerRecord) async throws -> Bool
  ) async throws {
    var reader = try await LetterReader(client, spans)
    do {
      while let record = try await reader.next(), try await body(record) {}
    } catch {
      await reader.close()
      throw error
    }
    await reader.close()
  }
}

extension Admin {
  /// What there is to read of a topic: from these offsets, or from the beginning, to what is committed now.
  package func letterSpans(
    of topic: String, from starts: [TopicPartition: Int64] = [:]
  ) async throws(KafkaError) -> [TopicPartition: LetterReader.Span] {
    guard let description = try await describeTopics([topic])[topic] else {
      throw KafkaError(.invalidResponse, "the broker's answer leaves out topic '\(topic)'")
    }
    let partitions = try description.get().partitions.map { TopicPartition(topic, $0.index) }
    let first = try await offsets(of: partitions, .earliest)
    let last = try await offsets(of: partitions, .latest)
    var spans: [TopicPartition: LetterReader.Span] = [:]
    for partition in partitions {
      guard let begin = first[partition], let end = last[partition] else { continue }
      // What was purged since cannot be read, and a topic that was made anew begins anew.
      let start = starts[partition].map { $0 > end ? begin : max($0, begin) } ?? begin
      spans[partition] = LetterReader.Span(start: start, end: max(end, start))
    }
    return spans
  }

  private func offsets(
    of partitions: [TopicPartition], _ query: OffsetQuery
  ) async throws(KafkaError) -> [TopicPartition: Int64] {
    let queries = Dictionary(partitions.map { ($0, query) }, uniquingKeysWith: { first, _ in first })
    var offsets: [TopicPartition: Int64] = [:]
    for (partition, result) in try await listOffsets(queries, isolation: .readCommitted) {
      offsets[partition] = try result.get().offset
    }
    return offsets
  }
}
