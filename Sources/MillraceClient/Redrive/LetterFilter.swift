// Which dead letters are meant.

import NIOCore

/// Chooses dead letters by what is known of them. Everything that is set has to fit.
public struct LetterFilter: Sendable, Hashable {
  /// A header to look for.
  public struct Header: Sendable, Hashable {
    /// The header's name.
    public var name: String
    /// Nil for any value.
    public var value: ByteBuffer?

    /// A header of this name, with this value or any.
    public init(name: String, value: ByteBuffer? = nil) {
      self.name = name
      self.value = value
    }
  }

  /// One of these keys.
  public var keys: Set<ByteBuffer> = []
  /// Headers that the record has, each of them.
  public var headers: [Header] = []
  /// The type of the error, in full.
  public var exceptionClass: String?
  /// Something that the reason or the error's message contains.
  public var message: String?
  /// The record's timestamp, in milliseconds since 1970.
  public var timestamps: Range<Int64>?
  /// Where the letter lies; empty for all partitions.
  public var partitions: Set<Int32> = []
  /// Where the letter lies in its partition.
  public var offsets: Range<Int64>?
  /// The topic that the record came from.
  public var sourceTopic: String?
  /// The consumer group that could not process it.
  public var group: String?

  /// A filter that every letter fits.
  public init() {}

  /// Whether a record in a dead-letter topic is meant.
  ///
  /// - Parameters:
  ///   - record: the record in the dead-letter topic.
  ///   - letter: what its headers say; nil when they say nothing.
  public func matches(_ record: ConsumerRecord, _ letter: DeadLetter?) -> Bool {
    if !partitions.isEmpty, !partitions.contains(record.partition) { return false }
    if let offsets, !offsets.contains(record.offset) { return false }
    if let timestamps, !timestamps.contains(record.timestamp) { return false }
    if !keys.isEmpty {
      guard let key = record.key, keys.contains(key) else { return false }
    }
    if let exceptionClass, letter?.exceptionClass != exceptionClass { return false }
    if let message {
      let texts = [letter?.exceptionMessage, letter?.message].compactMap { $0 }
      guard texts.contains(where: { Self.contains($0, message) }) else { return false }
    }
    if let sourceTopic, letter?.topic != sourceTopic { return false }
    if let group, letter?.group != group { return false }
    guard !headers.isEmpty else { return true }
    let own = record.headers
    return headers.allSatisfy { wanted in
      own.contains { $0.key == wanted.name && (wanted.value == nil || $0.value == wanted.value) }
    }
  }

  /// By bytes, so that it costs what it looks like.
  private static func contains(_ text: String, _ part: String) -> Bool {
    let (text, part) = (Array(text.utf8), Array(part.utf8))
    guard let first = part.first else { return true }
    guard text.count >= part.count else { return false }
    return (0...(text.count - part.count)).contains { start in
      text[start] == first && text[start..<(start + part.count)].elementsEqual(part)
    }
  }
}
