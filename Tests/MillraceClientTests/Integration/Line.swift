// What is between a test's clients and its broker, and can be cut, held up and led to another broker.

import Millrace
import MillraceClient
import NIOCore
import Synchronization
import Testing

/// What carries the connections of a test.
enum Transport: String, CaseIterable {
  case tcp = "over TCP"
  case inProcess = "in process"

  /// That of the test that runs.
  @TaskLocal static var current = Transport.tcp
}

/// Runs every test of a suite on each transport.
struct EveryTransport: TestTrait, SuiteTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    for transport in Transport.allCases {
      // An issue says on which it came.
      let issues = IssueHandlingTrait.compactMapIssues { issue in
        var issue = issue
        issue.comments.append(Comment(rawValue: transport.rawValue))
        return issue
      }
      try await Transport.$current.withValue(transport) {
        try await issues.provideScope(for: test, testCase: testCase, performing: function)
      }
    }
  }
}

extension Trait where Self == EveryTransport {
  static var everyTransport: Self { EveryTransport() }
}

protocol Line: Sendable {
  /// The broker's, as its clients know it.
  var address: BrokerAddress { get }
  /// How clients connect; nil for TCP.
  var connector: (any Connector)? { get }

  /// Where new connections go; nil refuses them.
  func lead(to broker: Broker?)
  /// Cuts all connections, with whatever was under way on them.
  func cut()
  /// Lets no answer through for a while.
  func stall(_ isStalled: Bool) async throws
  func stop() async
}

/// Connections that never leave the process.
final class InProcessLine: Line, Connector {
  private struct State {
    var target: (any Connector)?
    var channels: [ObjectIdentifier: any Channel] = [:]
  }

  private let state = Mutex(State())

  let address = BrokerAddress(host: "in-process", port: 0)
  var connector: (any Connector)? { self }

  func lead(to broker: Broker?) { state.withLock { $0.target = broker?.clientConfiguration.connector } }

  func connect(
    to address: BrokerAddress, _ configuration: ClientConfiguration,
    handler: @escaping @Sendable (any Channel) -> any ChannelHandler
  ) -> EventLoopFuture<any Channel> {
    guard let target = state.withLock({ $0.target }) else {
      return configuration.eventLoopGroup.any().makeFailedFuture(ChannelError.connectTimeout(.zero))
    }
    return target.connect(to: address, configuration, handler: handler).map { channel in
      self.state.withLock { $0.channels[ObjectIdentifier(channel)] = channel }
      channel.closeFuture.whenComplete { _ in
        self.state.withLock { $0.channels[ObjectIdentifier(channel)] = nil }
      }
      return channel
    }
  }

  private var channels: [any Channel] { state.withLock { Array($0.channels.values) } }

  func cut() { for channel in channels { channel.close(promise: nil) } }

  func stall(_ isStalled: Bool) async throws {
    for channel in channels { try? await channel.setOption(.autoRead, value: !isStalled).get() }
  }

  func stop() async {
    lead(to: nil)
    cut()
  }
}
