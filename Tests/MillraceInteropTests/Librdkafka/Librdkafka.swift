// What the tests use of librdkafka. Its functions wait for its own threads, so each call here is made on a thread that is
// none of Swift's.

import CLibrdkafka
import NIOPosix

struct LibrdkafkaError: Error {
  let call: String
  let reason: String

  init(_ call: String, _ reason: String) {
    self.call = call
    self.reason = reason
  }

  init(_ call: String, _ code: rd_kafka_resp_err_t) {
    self.init(call, String(cString: rd_kafka_err2str(code)))
  }
}

/// A client of librdkafka. Its functions may be called from any thread.
final class Librdkafka: @unchecked Sendable {
  /// How long a call may take before the test has failed.
  private static let patienceMs: Int32 = 120_000

  let handle: OpaquePointer

  init(_ kind: rd_kafka_type_t, _ settings: [String: String] = [:]) throws {
    var reason = [CChar](repeating: 0, count: 512)
    let configuration = rd_kafka_conf_new()
    rd_kafka_conf_set_log_cb(configuration, nil)
    for (name, value) in settings {
      guard rd_kafka_conf_set(configuration, name, value, &reason, reason.count) == RD_KAFKA_CONF_OK else {
        rd_kafka_conf_destroy(configuration)
        throw LibrdkafkaError("rd_kafka_conf_set", Self.text(reason))
      }
    }
    guard let handle = rd_kafka_new(kind, configuration, &reason, reason.count) else {
      rd_kafka_conf_destroy(configuration)
      throw LibrdkafkaError("rd_kafka_new", Self.text(reason))
    }
    self.handle = handle
  }

  /// Has to be called, and nothing after it.
  func close() { rd_kafka_destroy(handle) }

  private static func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  static func onThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await NIOThreadPool.singleton.runIfActive(body)
  }

  // MARK: Consumer

  /// The values in partition 0 of a topic, as a reader of its own sees them.
  static func values(of topic: String, isolation: String, bootstrap: String) async throws -> [String] {
    try await onThread {
      let consumer = try Librdkafka(
        RD_KAFKA_CONSUMER,
        [
          "bootstrap.servers": bootstrap, "group.id": "none", "isolation.level": isolation,
          "enable.auto.commit": "false", "enable.partition.eof": "true",
        ])
      defer { consumer.close() }
      rd_kafka_poll_set_consumer(consumer.handle)
      let partitions = rd_kafka_topic_partition_list_new(1)
      defer { rd_kafka_topic_partition_list_destroy(partitions) }
      rd_kafka_topic_partition_list_add(partitions, topic, 0).pointee.offset = 0
      let assigned = rd_kafka_assign(consumer.handle, partitions)
      guard assigned == RD_KAFKA_RESP_ERR_NO_ERROR else { throw LibrdkafkaError("rd_kafka_assign", assigned) }
      defer { rd_kafka_consumer_close(consumer.handle) }
      var values: [String] = []
      while true {
        guard let message = rd_kafka_consumer_poll(consumer.handle, patienceMs) else {
          throw LibrdkafkaError("rd_kafka_consumer_poll", "there was nothing to read")
        }
        defer { rd_kafka_message_destroy(message) }
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
          let value = UnsafeRawBufferPointer(start: message.pointee.payload, count: message.pointee.len)
          values.append(String(decoding: value, as: UTF8.self))
        case RD_KAFKA_RESP_ERR__PARTITION_EOF: return values
        case let code: throw LibrdkafkaError("rd_kafka_consumer_poll", code)
        }
      }
    }
  }

  /// The offset that a group committed for partition 0 of a topic; negative for none.
  static func committed(_ group: String, _ topic: String, bootstrap: String) async throws -> Int64 {
    try await onThread {
      let consumer = try Librdkafka(RD_KAFKA_CONSUMER, ["bootstrap.servers": bootstrap, "group.id": group])
      defer { consumer.close() }
      let partitions = rd_kafka_topic_partition_list_new(1)
      defer { rd_kafka_topic_partition_list_destroy(partitions) }
      let partition = rd_kafka_topic_partition_list_add(partitions, topic, 0)
      let code = rd_kafka_committed(consumer.handle, partitions, patienceMs)
      guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw LibrdkafkaError("rd_kafka_committed", code) }
      return partition?.pointee.offset ?? -1
    }
  }

  // MARK: Transactional producer

  func initTransactions() throws {
    try check("rd_kafka_init_transactions", rd_kafka_init_transactions(handle, Self.patienceMs))
  }

  func beginTransaction() throws { try check("rd_kafka_begin_transaction", rd_kafka_begin_transaction(handle)) }

  func commitTransaction() throws {
    try check("rd_kafka_commit_transaction", rd_kafka_commit_transaction(handle, Self.patienceMs))
  }

  func abortTransaction() throws {
    try check("rd_kafka_abort_transaction", rd_kafka_abort_transaction(handle, Self.patienceMs))
  }

  /// Writes values to partition 0 of a topic, and waits until they are there.
  func produce(_ values: [String], to topic: String) throws {
    guard let destination = rd_kafka_topic_new(handle, topic, nil) else {
      throw LibrdkafkaError("rd_kafka_topic_new", rd_kafka_last_error())
    }
    defer { rd_kafka_topic_destroy(destination) }
    for var value in values {
      let result = value.withUTF8 { bytes in
        rd_kafka_produce(
          destination, 0, RD_KAFKA_MSG_F_COPY, UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count, nil,
          0, nil)
      }
      guard result == 0 else { throw LibrdkafkaError("rd_kafka_produce", rd_kafka_last_error()) }
    }
    let code = rd_kafka_flush(handle, Self.patienceMs)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw LibrdkafkaError("rd_kafka_flush", code) }
  }

  private func check(_ call: String, _ error: OpaquePointer?) throws {
    guard let error else { return }
    defer { rd_kafka_error_destroy(error) }
    throw LibrdkafkaError(call, String(cString: rd_kafka_error_string(error)))
  }
}
