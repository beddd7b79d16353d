// Producer ids for InitProducerId (KIP-98). The journal gives them out in blocks, so that most cost nothing; what is
// left of a block when the broker stops is never used.

import MillraceCoordination

extension CatalogRuntime {
  private static let blockSize: Int64 = 1000

  /// Calls `done` once, on any thread, with an id that nobody ever had.
  package func allocateProducerId(_ done: @escaping @Sendable (Result<Int64, CatalogError>) -> Void) {
    let outstanding = Outstanding()
    let step: (id: Int64, journal: Journal, end: Int64)
    do throws(CatalogError) {
      step = try state.withLock { (state) throws(CatalogError) in
        if state.producerIds.isEmpty {
          let decision = state.catalog.decideProducerIdBlock(count: Self.blockSize)
          guard let block = decision.answer else {
            throw CatalogError(.unknownServerError, "All producer ids have been given out.")
          }
          _ = try append(decision.records, to: &state, outstanding)
          state.producerIds = block
        }
        let id = state.producerIds.lowerBound
        state.producerIds = (id + 1)..<state.producerIds.upperBound
        return (id, try journal(of: state), state.journalEnd)
      }
    } catch {
      return done(.failure(error))
    }
    step.journal.log.whenDurable(through: step.end) { result in
      done(result.map { step.id }.mapError { CatalogError($0) })
    }
  }
}
