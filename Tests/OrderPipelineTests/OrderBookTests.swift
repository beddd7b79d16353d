import MillraceClient
import NIOCore
import Testing

@testable import OrderPipeline

@Suite("The orders")
struct OrderBookTests {
  private func book(malformed: Double) -> OrderBook {
    var settings = Settings()
    settings.malformed = malformed
    return OrderBook(settings)
  }

  @Test func `the same seed and number give the same order`() throws {
    for number in 0..<20 {
      let first = try book(malformed: 0.5).record(number, placedAt: 1, to: "orders")
      let second = try book(malformed: 0.5).record(number, placedAt: 1, to: "orders")
      #expect(first.key == second.key)
      // The order of JSON's members is not given.
      #expect(first.value?.readableBytes == second.value?.readableBytes)
    }
  }

  @Test func `an order is its event again`() throws {
    let order = book(malformed: 0).order(41, placedAt: 1_700_000_000_000)
    #expect(order.orderId == "o-0000042")
    let record = try order.record(to: "orders")
    #expect(record.key == ByteBuffer(string: "o-0000042"))
    #expect(try OrderPlaced(json: try #require(record.value)) == order)
  }

  @Test func `the share of orders that make no sense is what was asked for`() throws {
    let chance = Chance(seed: 3)
    let count = (0..<10_000).count { chance.draw("malformed", OrderBook.id($0)) < 0.02 }
    // With this seed always the same.
    #expect((150...250).contains(count), "\(count)")
  }

  @Test func `numbers are drawn evenly`() {
    let chance = Chance(seed: 1)
    var bins = [Int](repeating: 0, count: 10)
    for number in 0..<10_000 { bins[Int(chance.draw("bin", OrderBook.id(number)) * 10)] += 1 }
    #expect(bins.allSatisfy { (850...1150).contains($0) }, "\(bins)")
  }
}
