// The typed end of a response slot: encodes the answer in the version of the question.

import MillraceLog
import MillraceProtocol

package struct Reply<Response: ResponseMessage>: Sendable {
  let slot: any ResponseSlot
  let context: RequestContext

  /// Sends the response. A field `.splice(id: i, …)` stands for the batches of `plans[i]`.
  package func send(_ response: Response, splicing plans: [ReadPlan] = []) {
    do {
      let encoded = try encodeResponse(response, version: context.version, correlationId: context.correlationId)
      let splices = encoded.splices.map { OutgoingResponse.Splice(offset: $0.offset, plan: plans[$0.id]) }
      slot.fulfil(.respond(OutgoingResponse(bytes: encoded.buffer, splices: splices)))
    } catch {
      slot.fulfil(.close(reason: "cannot encode the response to \(context.apiKey) v\(context.version): \(error)"))
    }
  }

  /// For a produce with acks=0, which has no response.
  package func sendNothing() { slot.fulfil(.nothing) }

  package func closeConnection(because reason: String) { slot.fulfil(.close(reason: reason)) }
}
