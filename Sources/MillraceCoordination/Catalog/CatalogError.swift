// Why a decision was no: the code that goes on the wire and a sentence for a person.

import MillraceProtocol

package struct CatalogError: Error, Sendable, Equatable {
  package let code: ErrorCode
  package let message: String

  package init(_ code: ErrorCode, _ message: String) {
    self.code = code
    self.message = message
  }

  package init(_ error: ConfigError) {
    self.init(.invalidConfig, error.message)
  }
}

/// What was decided: the facts to journal as one batch, and the answer to give once they are durable. No facts: the
/// answer can go at once.
package struct CatalogDecision<Answer: Sendable>: Sendable {
  package var records: [MetadataRecord]
  package var answer: Answer

  package init(_ records: [MetadataRecord] = [], answer: Answer) {
    self.records = records
    self.answer = answer
  }
}
