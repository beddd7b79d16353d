// The company that charges the cards: somebody else's system, which no failure of ours takes down, and which does not
// always answer. It charges once for a key however often it is asked (an idempotency key: the order's id), and keeps a
// book of its own, which the audit reads.

import MillraceClient
import Synchronization

/// What the provider says when it answers.
enum ChargeAnswer: Sendable, Equatable {
  case charged(receipt: String)
  case declined(reason: String)
}

/// Why the provider gave no answer. Whether the card was charged is not known then.
enum ProviderError: Error, Equatable {
  case unavailable
  case timedOut
  /// Another request with the same key is under way.
  case inProgress
}

final class PaymentProvider: Sendable {
  /// Writes into the provider's book.
  typealias Book = @Sendable (ChargeBooked) async throws -> Void

  /// How often a payment that is flaky does not work.
  private static let failureShare = 0.6

  private enum Charge {
    case underWay
    case booked(receipt: String)
  }

  private struct State {
    var charges: [String: Charge] = [:]
    /// How often each flaky order was asked for.
    var calls: [String: Int] = [:]
    var isWell = false
  }

  private let chance: Chance
  private let flaky: Double
  private let declined: Double
  /// After how long a caller who gets no answer gives up.
  private let timeout: Duration
  private let book: Book
  private let state = Mutex(State())

  init(_ settings: Settings, timeout: Duration = .milliseconds(20), book: @escaping Book) {
    chance = Chance(seed: settings.seed)
    flaky = settings.flaky
    declined = settings.declined
    self.timeout = timeout
    self.book = book
  }

  /// Ends the provider's bad days.
  func recover() { state.withLock { $0.isWell = true } }

  /// Charges the customer's card, once for each key.
  ///
  /// - Throws: `ProviderError`; the same call may work later.
  func charge(key: String, cents: Int) async throws -> ChargeAnswer {
    guard chance.draw("declined", key) >= declined else { return .declined(reason: "card declined") }
    switch mood(for: key) {
    case .good: return .charged(receipt: try await charge(once: key, cents))
    case .refusing: throw ProviderError.unavailable
    case .silent:
      _ = try await charge(once: key, cents)
      try await Task.sleep(for: timeout)
      throw ProviderError.timedOut
    }
  }

  // MARK: Flakiness

  private enum Mood {
    case good, refusing
    /// Charges, but does not say so in time.
    case silent
  }

  private func mood(for key: String) -> Mood {
    guard chance.draw("flaky", key) < flaky else { return .good }
    let call: Int? = state.withLock { state in
      guard !state.isWell else { return nil }
      return state.calls[key, default: 0].increment()
    }
    guard let call else { return .good }
    let luck = chance.draw("mood", key, call)
    return luck >= Self.failureShare ? .good : luck >= Self.failureShare / 2 ? .silent : .refusing
  }

  // MARK: Idempotence

  private func charge(once key: String, _ cents: Int) async throws -> String {
    let known = state.withLock { state in
      let known = state.charges[key]
      if known == nil { state.charges[key] = .underWay }
      return known
    }
    switch known {
    case .booked(let receipt): return receipt
    case .underWay: throw ProviderError.inProgress
    case nil: break
    }
    let receipt = "r-\(key)"
    do {
      try await book(ChargeBooked(orderId: key, cents: cents, receipt: receipt))
    } catch {
      // What is not in the book was not charged.
      state.withLock { $0.charges[key] = nil }
      throw ProviderError.unavailable
    }
    state.withLock { $0.charges[key] = .booked(receipt: receipt) }
    return receipt
  }
}

extension Int {
  /// Adds one, and returns what it was before.
  fileprivate mutating func increment() -> Int {
    defer { self += 1 }
    return self
  }
}
