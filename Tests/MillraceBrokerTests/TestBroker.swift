import Foundation
import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import NIOCore
import Synchronization
import Testing

@testable import MillraceBroker

/// A broker on a directory of its own, without a transport. The directory goes with the last user.
final class TestBroker: Sendable {
  let directory: TemporaryDirectory
  let broker: Broker
  let connection: ConnectionInfo

  init(
    _ settings: [String: String] = [:], in directory: TemporaryDirectory = TemporaryDirectory(),
    on fileSystem: any FileSystem = PosixFileSystem(), flushPolicy: FlushPolicy = .automatic,
    clock: any BrokerClock = SystemClock()
  ) throws {
    self.directory = directory
    let entries = settings.map { ConfigEntry(name: $0.key, value: $0.value, origin: "test") }
    let configuration = try BrokerConfiguration(properties: entries)
    let store = try LogStore.open(
      StoreOptions(
        directories: [directory.path], fileSystem: fileSystem, clusterId: configuration.clusterId,
        brokerId: configuration.nodeId, flushPolicy: flushPolicy),
      nowMs: SystemClock().nowMs())
    var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    logger.logLevel = .critical
    broker = Broker(configuration: configuration, store: store, logger: logger, clock: clock)
    try broker.start()
    broker.advertised.set(.init(host: "localhost", port: 9092), for: "PLAINTEXT")
    connection = Self.connection(on: "PLAINTEXT")
  }

  static func connection(on listener: String) -> ConnectionInfo {
    ConnectionInfo(id: 1, clientHost: "/127.0.0.1", listener: listener) { $0() }
  }

  /// Sends a request as a client would, in the newest version served unless another is given.
  func send<R: Request>(
    _ request: R, version: Int16? = nil, on connection: ConnectionInfo? = nil
  ) async throws -> R.Response {
    let version = version ?? R.stableVersions.upperBound
    var frame = try encodeRequest(request, version: version, correlationId: 7, clientId: "test").buffer
    frame.moveReaderIndex(forwardBy: 4)
    let outcome = await withCheckedContinuation { continuation in
      broker.handle(frame, from: connection ?? self.connection, Slot(continuation))
    }
    guard case .respond(let response) = outcome else { throw UnexpectedOutcome("\(outcome)") }
    var bytes = try response.whole()
    bytes.moveReaderIndex(forwardBy: 4)
    let (correlationId, answer) = try decodeResponse(to: R.self, version: version, bytes)
    #expect(correlationId == 7)
    return answer
  }

  func stop() { broker.stop() }

  /// Ends the broker as `kill -9` does: nothing is written any more.
  func crash() {
    broker.housekeeping.stop()
    broker.timers.stop()
    broker.store.abandon()
    broker.transactions.stop()
    broker.catalog.stop()
  }

  struct UnexpectedOutcome: Error {
    let text: String
    init(_ text: String) { self.text = text }
  }

  private final class Slot: ResponseSlot {
    private let continuation: Mutex<CheckedContinuation<ResponseOutcome, Never>?>
    init(_ continuation: CheckedContinuation<ResponseOutcome, Never>) { self.continuation = Mutex(continuation) }

    func fulfil(_ outcome: ResponseOutcome) {
      let continuation = continuation.withLock { $0.take() }
      #expect(continuation != nil, "a slot is filled once")
      continuation?.resume(returning: outcome)
    }
  }
}

extension OutgoingResponse {
  /// As it goes over the wire, with the batches from the log in their places.
  func whole() throws -> ByteBuffer {
    var rest = bytes
    var whole = ByteBuffer()
    for splice in splices.sorted(by: { $0.offset < $1.offset }) {
      let done = bytes.readableBytes - rest.readableBytes
      if var head = rest.readSlice(length: splice.offset - done) { whole.writeBuffer(&head) }
      whole.writeBytes(try splice.plan.load())
    }
    whole.writeBuffer(&rest)
    return whole
  }
}

final class TemporaryDirectory: Sendable {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "millrace-test-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var names: Set<String> { Set((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []) }

  func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }

  func copy(_ name: String, to other: String) throws {
    try FileManager.default.copyItem(atPath: "\(path)/\(name)", toPath: "\(path)/\(other)")
  }
}

extension Int16 {
  var code: ErrorCode { ErrorCode(rawValue: self) }
}
