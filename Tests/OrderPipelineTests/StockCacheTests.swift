import Synchronization
import Testing

@testable import OrderPipeline

@Suite("The stock cache")
struct StockCacheTests {
  @Test func `a look-up is remembered until the stock changes`() async throws {
    let stock = Mutex(10)
    let cache = StockCache { _ in stock.withLock { $0 } }
    #expect(try await cache.level(of: "p-1") == 10)
    stock.withLock { $0 = 9 }
    #expect(try await cache.level(of: "p-1") == 10)
    cache.invalidate("p-1")
    #expect(try await cache.level(of: "p-1") == 9)
    #expect(cache.statistics == StockCache.Statistics(hits: 1, misses: 2, invalidations: 1))
  }

  @Test(arguments: [false, true])
  func `an answer that is older than an event is not remembered`(_ all: Bool) async throws {
    let box = Mutex<StockCache?>(nil)
    let cache = StockCache { product in
      // The stock changes after it was looked up and before the answer is here.
      box.withLock { all ? $0?.invalidateAll() : $0?.invalidate(product) }
      return 10
    }
    box.withLock { $0 = cache }
    #expect(try await cache.level(of: "p-1") == 10)
    #expect(cache.contents.isEmpty)
    box.withLock { $0 = nil }
    _ = try await cache.level(of: "p-1")
    #expect(cache.contents == ["p-1": 10])
  }

  @Test func `the warehouse takes an order off the shelf once`() {
    let warehouse = Warehouse()
    let before = warehouse.level(of: "p-1")
    warehouse.reserve(3, of: "p-1", for: "o-1")
    warehouse.reserve(3, of: "p-1", for: "o-1")
    warehouse.reserve(2, of: "p-1", for: "o-2")
    #expect(warehouse.level(of: "p-1") == before - 5)
  }
}
