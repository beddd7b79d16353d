// A connection against a broker that says what each test wants it to say.

import MillraceProtocol
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MillraceClient

/// Answers each frame with what a closure makes of it; nil closes the connection.
final class ScriptedBroker: Sendable {
  typealias Script =
    @Sendable (_ apiKey: ApiKey, _ version: Int16, _ correlationId: Int32, _ number: Int) -> ByteBuffer?
  /// The same for a script that reads the requests.
  typealias FrameScript =
    @Sendable (_ frame: ByteBuffer, _ apiKey: ApiKey, _ version: Int16, _ correlationId: Int32) -> ByteBuffer?

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let script: FrameScript
    private var frames = FrameReader(limit: 1 << 20)

    init(_ script: @escaping FrameScript) {
      self.script = script
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      frames.receive(unwrapInboundIn(data))
      while true {
        let next: ByteBuffer?
        do { next = try frames.next() } catch { return context.close(promise: nil) }
        guard let frame = next else { return }
        let key = ApiKey(rawValue: frame.getInteger(at: frame.readerIndex) ?? -1)
        let version: Int16 = frame.getInteger(at: frame.readerIndex + 2) ?? -1
        let answer = script(frame, key, version, frame.getInteger(at: frame.readerIndex + 4) ?? -1)
        guard let answer else { return context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
      }
    }
  }

  private let channel: any Channel

  convenience init(_ script: @escaping Script) async throws {
    try await self.init(makingScripts: {
      let count = Atomic(0)
      return { _, key, version, id in script(key, version, id, count.add(1, ordering: .relaxed).oldValue) }
    })
  }

  /// - Parameters:
  ///   - makingScripts: makes the script of each connection.
  ///   - secure: what comes between the socket and Kafka's protocol.
  init(
    makingScripts: @escaping @Sendable () -> FrameScript,
    secure: @escaping @Sendable (any Channel) throws -> Void = { _ in }
  ) async throws {
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try secure(channel)
          try channel.pipeline.syncOperations.addHandler(Handler(makingScripts()))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  var configuration: ClientConfiguration {
    var configuration = ClientConfiguration(
      bootstrapServers: [BrokerAddress(host: "127.0.0.1", port: channel.localAddress?.port ?? 0)])
    configuration.requestTimeout = .seconds(60)
    return configuration
  }

  func stop() async { try? await channel.close() }

  static let versions = ApiVersionsResponse(
    apiKeys: [
      .init(apiKey: ApiKey.apiVersions.rawValue, minVersion: 0, maxVersion: 4),
      .init(apiKey: ApiKey.metadata.rawValue, minVersion: 0, maxVersion: 12),
    ])

  static func encode(_ response: some ResponseMessage, _ version: Int16, _ correlationId: Int32) -> ByteBuffer {
    (try? encodeResponse(response, version: version, correlationId: correlationId).buffer) ?? ByteBuffer()
  }
}

@Suite struct ConnectionTests {
  private func connect(_ broker: ScriptedBroker, timeout: Duration = .seconds(60)) async throws(KafkaError)
    -> Connection
  {
    var configuration = broker.configuration
    configuration.requestTimeout = timeout
    return try await Connection.open(to: configuration.bootstrapServers[0], configuration)
  }

  @Test func `versions are negotiated`() async throws {
    let broker = try await ScriptedBroker { _, version, id, _ in
      ScriptedBroker.encode(ScriptedBroker.versions, version, id)
    }
    let connection = try await connect(broker)
    #expect(try connection.version(of: MetadataRequest.self) == 12)
    let error = #expect(throws: KafkaError.self) { try connection.version(of: ProduceRequest.self) }
    #expect(error?.code == .unsupportedVersion)
    connection.close()
    await broker.stop()
  }

  @Test func `a broker that does not know the version of the question is asked again in one that it knows`()
    async throws
  {
    let broker = try await ScriptedBroker { _, version, id, _ in
      guard version > 2 else { return ScriptedBroker.encode(ScriptedBroker.versions, version, id) }
      let refusal = ApiVersionsResponse(
        errorCode: ErrorCode.unsupportedVersion.rawValue,
        apiKeys: [.init(apiKey: ApiKey.apiVersions.rawValue, minVersion: 0, maxVersion: 2)])
      return ScriptedBroker.encode(refusal, 0, id)
    }
    let connection = try await connect(broker)
    #expect(try connection.version(of: MetadataRequest.self) == 12)
    connection.close()
    await broker.stop()
  }

  @Test func `requests are pipelined and each gets its own answer`() async throws {
    let broker = try await ScriptedBroker { key, version, id, number in
      key == .apiVersions
        ? ScriptedBroker.encode(ScriptedBroker.versions, version, id)
        : ScriptedBroker.encode(MetadataResponse(controllerId: Int32(number)), version, id)
    }
    let connection = try await connect(broker)
    try await withThrowingTaskGroup(of: Int32.self) { group in
      for _ in 0..<100 {
        group.addTask { try await connection.send(MetadataRequest(), version: 12).controllerId }
      }
      var controllers: Set<Int32> = []
      for try await controller in group { controllers.insert(controller) }
      #expect(controllers == Set(1...100))
    }
    connection.close()
    await broker.stop()
  }

  @Test func `a connection that the broker closes fails all that wait, and that may be tried again`() async throws {
    let broker = try await ScriptedBroker { key, version, id, _ in
      key == .apiVersions ? ScriptedBroker.encode(ScriptedBroker.versions, version, id) : nil
    }
    let connection = try await connect(broker)
    let error = await #expect(throws: KafkaError.self) { try await connection.send(MetadataRequest(), version: 12) }
    #expect(error?.code == .connectionFailed)
    #expect(error?.isRetriable == true)
    await broker.stop()
  }

  @Test func `an answer that does not come is a time-out, and the connection is given up`() async throws {
    let broker = try await ScriptedBroker { key, version, id, _ in
      key == .apiVersions ? ScriptedBroker.encode(ScriptedBroker.versions, version, id) : ByteBuffer()
    }
    let connection = try await connect(broker, timeout: .seconds(60))
    let error = await #expect(throws: KafkaError.self) {
      try await connection.send(MetadataRequest(), version: 12, timeout: .milliseconds(100))
    }
    #expect(error?.code == .timedOut)
    await broker.stop()
  }

  @Test func `cancelling ends the wait and leaves the connection usable`() async throws {
    let broker = try await ScriptedBroker { key, version, id, number in
      if key == .apiVersions { return ScriptedBroker.encode(ScriptedBroker.versions, version, id) }
      // The first answer waits for the second request.
      if number == 1 { return ByteBuffer() }
      var both = ScriptedBroker.encode(MetadataResponse(controllerId: 1), version, id - 1)
      both.writeImmutableBuffer(ScriptedBroker.encode(MetadataResponse(controllerId: 2), version, id))
      return both
    }
    let connection = try await connect(broker)
    let waiting = Task { () throws(KafkaError) in try await connection.send(MetadataRequest(), version: 12) }
    try await Task.sleep(for: .milliseconds(50))
    waiting.cancel()
    let error = await #expect(throws: KafkaError.self) { try await waiting.value }
    #expect(error?.code == .cancelled)
    #expect(try await connection.send(MetadataRequest(), version: 12).controllerId == 2)
    connection.close()
    await broker.stop()
  }

  @Test func `random bytes for an answer end in an error`() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    for round in 0..<200 {
      var generator = SplitMix64(seed: seed &+ UInt64(round))
      let bytes = (0..<Int.random(in: 1...200, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      let broker = try await ScriptedBroker { _, _, id, _ in
        // A frame with the right id but any body, or anything at all.
        guard round % 2 == 0 else { return ByteBuffer(bytes: bytes) }
        var frame = ByteBuffer(integer: Int32(bytes.count + 4))
        frame.writeInteger(id)
        frame.writeBytes(bytes)
        return frame
      }
      await #expect(throws: KafkaError.self, "seed \(seed)") {
        let connection = try await connect(broker, timeout: .milliseconds(50))
        connection.close()
        // Some bodies are a valid answer by chance.
        throw KafkaError.closed("the connection")
      }
      await broker.stop()
    }
  }

  @Test func `a port where nobody listens is an error that says what to do`() async throws {
    let broker = try await ScriptedBroker { _, _, _, _ in nil }
    let configuration = broker.configuration
    await broker.stop()
    let error = await #expect(throws: KafkaError.self) { try await Cluster.connect(configuration) }
    #expect(error?.code == .connectionFailed)
    #expect(error?.message.contains("connection refused; is the broker running?") == true)
  }
}
