// The program: a broker, and the service that works with it, in one group. At SIGTERM or Ctrl-C HTTP ends first and the
// broker last, so everything in between can finish what it has begun.
//
//   PORT=8080 DATA=orders-data swift run
//   curl -X POST localhost:8080/orders --data '{"item": "mill wheel", "quantity": 2}'
//   curl localhost:8080/orders/ID
//
// Without DATA the orders are in memory, and gone when the program ends.

import Hummingbird
import Millrace
import ServiceLifecycle

@main struct OrderService {
  static func main() async throws {
    let environment = Environment()
    let broker = Broker(.init(storage: environment.get("DATA").map { .directory($0) } ?? .memory()))
    try await broker.start()

    let port = environment.get("PORT", as: Int.self) ?? 8080
    let app = try await orderApplication(broker.clientConfiguration, port: port)
    try await ServiceGroup(
      services: [broker, app], gracefulShutdownSignals: [.sigterm, .sigint], logger: app.logger
    ).run()
  }
}
