// How to test a service with its broker: each test has a broker and a server of its own, which takes milliseconds.

import Foundation
import FoundationNetworking
import Hummingbird
import MillraceClient
import MillraceTesting
import ServiceLifecycle
import Testing

@testable import OrderService

@Suite(.timeLimit(.minutes(10))) struct OrderServiceTests {
  @Test func `an order is packed, and known after a restart`() async throws {
    try await withBroker { broker in
      var id = ""
      try await withService(broker) { service in
        id = try await service.place().id
        #expect(try await eventually { try await service.state(of: id) == .packed })
      }
      try await withService(broker) { service in
        let state = try await service.state(of: id)
        #expect(state == .packed)
      }
    }
  }

  @Test func `an order is written once, though the answer to that was lost`() async throws {
    try await withBroker { broker in
      try await withService(broker) { service in
        broker.network.inject(.lostAnswer, into: .produce)
        let order = try await service.place()
        #expect(broker.network.struckCount == 1)
        #expect(try await eventually { try await service.state(of: order.id) == .packed })
        let records = try await broker.records(in: "orders", count: 2)
        #expect(try records.map { try Order.topic.decode($0).value.state } == [.placed, .packed])
      }
    }
  }

  @Test func `what is no order is refused`() async throws {
    try await withBroker { broker in
      try await withService(broker) { service in
        for body in ["{}", #"{"item": "mill wheel", "quantity": 0}"#] {
          let status = try await service.send("POST", "orders", body).status
          #expect(status == 400)
        }
        let state = try await service.state(of: "o-1")
        #expect(state == nil)
      }
    }
  }
}

/// Runs the service on a port of its own until `body` returns, and shuts it down gracefully.
private func withService(_ broker: EphemeralBroker, _ body: (HTTPClient) async throws -> Void) async throws {
  let (ports, found) = AsyncStream.makeStream(of: Int?.self)
  let app = try await orderApplication(broker.clientConfiguration, port: 0) { found.yield($0) }
  let group = ServiceGroup(services: [app], logger: app.logger)
  async let running: Void = {
    defer { found.finish() }
    try await group.run()
  }()
  if let port = await ports.first(where: { _ in true }) ?? nil { try await body(HTTPClient(port: port)) }
  await group.triggerGracefulShutdown()
  try await running
}

private struct HTTPClient {
  let port: Int

  func send(_ method: String, _ path: String, _ body: String? = nil) async throws -> (status: Int?, body: Data) {
    var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:\(port)/\(path)")))
    request.httpMethod = method
    request.httpBody = body.map { Data($0.utf8) }
    let (data, response) = try await URLSession.shared.data(for: request)
    return ((response as? HTTPURLResponse)?.statusCode, data)
  }

  func place() async throws -> Order {
    let answer = try await send("POST", "orders", #"{"item": "mill wheel", "quantity": 2}"#)
    #expect(answer.status == 202)
    return try JSONDecoder().decode(Order.self, from: answer.body)
  }

  /// What has become of an order; nil when the service does not know it.
  func state(of id: String) async throws -> Order.State? {
    let answer = try await send("GET", "orders/\(id)")
    guard answer.status == 200 else {
      #expect(answer.status == 404)
      return nil
    }
    return try JSONDecoder().decode(Order.self, from: answer.body).state
  }
}
