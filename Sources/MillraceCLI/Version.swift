/// The version of Millrace, and of the Kafka whose protocol and behaviour it follows.
enum Version {
  static let current = "0.1.0"
  static let kafka = "4.2.0"
  /// Kafka's name for the metadata version of that release.
  static let kafkaMetadata = "4.2-IV1"
}
