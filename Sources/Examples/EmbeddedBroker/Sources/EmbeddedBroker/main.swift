import Millrace
import MillraceClient

let broker = Broker.inMemory()
try await broker.start()

let producer = try await Producer(ProducerConfiguration(broker.clientConfiguration))
let written = try await producer.send(ProducerRecord(topic: "orders", key: "o-1", value: "12.50"))
print("order o-1 is at offset \(written.offset)")
await producer.close()

await broker.stop()
