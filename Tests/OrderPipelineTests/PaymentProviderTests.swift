import Synchronization
import Testing

@testable import OrderPipeline

@Suite("The payment provider")
struct PaymentProviderTests {
  /// A provider with its book.
  private final class Office: Sendable {
    let charges = Mutex<[ChargeBooked]>([])

    func provider(_ settings: Settings) -> PaymentProvider {
      PaymentProvider(settings, timeout: .milliseconds(1)) { charge in self.charges.withLock { $0.append(charge) } }
    }

    var keys: [String] { charges.withLock { $0.map(\.orderId) } }
  }

  private func settings(flaky: Double = 0, declined: Double = 0) -> Settings {
    var settings = Settings()
    (settings.flaky, settings.declined) = (flaky, declined)
    return settings
  }

  @Test func `the same key is charged once and has the same receipt`() async throws {
    let office = Office()
    let provider = office.provider(settings())
    let first = try await provider.charge(key: "o-1", cents: 1250)
    let second = try await provider.charge(key: "o-1", cents: 1250)
    #expect(first == second)
    #expect(office.charges.withLock { $0.map(\.cents) } == [1250])
  }

  @Test func `however often a flaky payment is asked for, it is charged once`() async throws {
    let office = Office()
    let provider = office.provider(settings(flaky: 1))
    let keys = (0..<50).map { "o-\($0)" }
    var failures = 0
    for key in keys {
      while true {
        do {
          _ = try await provider.charge(key: key, cents: 100)
          break
        } catch {
          let error = try #require(error as? ProviderError)
          #expect(error == .timedOut || error == .unavailable)
          failures += 1
        }
      }
    }
    // By the seed, which is always the same.
    #expect(failures > keys.count / 2)
    #expect(office.keys.sorted() == keys.sorted())
  }

  @Test func `one that is asked for again while it is under way is not charged twice`() async throws {
    let (begun, beginning) = AsyncStream.makeStream(of: Void.self)
    let (release, releasing) = AsyncStream.makeStream(of: Void.self)
    let office = Office()
    let provider = PaymentProvider(settings()) { charge in
      beginning.yield()
      for await _ in release { break }
      office.charges.withLock { $0.append(charge) }
    }
    async let first = provider.charge(key: "o-1", cents: 100)
    for await _ in begun { break }
    await #expect(throws: ProviderError.inProgress) { try await provider.charge(key: "o-1", cents: 100) }
    releasing.yield()
    #expect(try await first == .charged(receipt: "r-o-1"))
    #expect(office.keys == ["o-1"])
  }

  @Test func `what could not be booked was not charged, and can be tried again`() async throws {
    struct PenBroken: Error {}
    let isBroken = Mutex(true)
    let office = Office()
    let provider = PaymentProvider(settings()) { charge in
      if isBroken.withLock({ $0 }) { throw PenBroken() }
      office.charges.withLock { $0.append(charge) }
    }
    await #expect(throws: ProviderError.unavailable) { try await provider.charge(key: "o-1", cents: 100) }
    isBroken.withLock { $0 = false }
    #expect(try await provider.charge(key: "o-1", cents: 100) == .charged(receipt: "r-o-1"))
    #expect(office.keys == ["o-1"])
  }

  @Test func `a declined card is not charged, whenever it is asked`() async throws {
    let office = Office()
    let provider = office.provider(settings(flaky: 1, declined: 1))
    for _ in 0..<3 {
      #expect(try await provider.charge(key: "o-1", cents: 100) == .declined(reason: "card declined"))
    }
    #expect(office.keys.isEmpty)
  }

  @Test func `a provider that has recovered answers`() async throws {
    let office = Office()
    let provider = office.provider(settings(flaky: 1))
    provider.recover()
    for number in 0..<20 { _ = try await provider.charge(key: "o-\(number)", cents: 100) }
    #expect(office.keys.count == 20)
  }
}
