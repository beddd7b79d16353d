// What a producer takes from Kafka's keys.
import MillraceClient

extension ClientProperties {
  func producer() throws -> ProducerConfiguration {
    var producer = ProducerConfiguration(try client())
    if let setting = settings["transactional.id"] {
      throw failure("transactional.id", setting, "this program does not produce in transactions")
    }
    try choice("acks", ["0": .none, "1": .leader, "-1": .all, "all": .all]) { producer.acks = $0 }
    try boolean("enable.idempotence") { producer.isIdempotent = $0 }
    try choice("compression.type", Dictionary(uniqueKeysWithValues: Compression.allCases.map { ($0.rawValue, $0) })) {
      producer.compression = $0
    }
    for compression in ["gzip", "lz4", "zstd"] where producer.compression.rawValue == compression {
      try integer("compression.\(compression).level", -131_072...22) { producer.compressionLevel = $0 }
    }
    try integer("batch.size", 0...Int(Int32.max)) { producer.batchBytes = $0 }
    try duration("linger.ms") { producer.linger = $0 }
    try integer("buffer.memory", 1...Int.max) { producer.bufferBytes = $0 }
    try integer("max.request.size", 1...Int(Int32.max)) { producer.maxRequestBytes = $0 }
    try integer("max.in.flight.requests.per.connection", 1...1_000_000) { producer.maxInFlight = $0 }
    try duration("delivery.timeout.ms") { producer.deliveryTimeout = $0 }
    try duration("max.block.ms") { producer.maxBlock = $0 }
    return producer
  }
}
