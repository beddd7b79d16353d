// Where records go that name no partition, when neither Kafka's murmur2 nor the sticky partition is wanted.

/// Chooses a partition for a record that names none.
///
/// ```swift
/// var configuration = ProducerConfiguration(client)
/// // Customers of one region stay together.
/// configuration.partitioner = { record, partitionCount in
///   guard let region = record.headers.last(where: { $0.key == "region" })?.value else { return nil }
///   return Int32(region.readableBytesView.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF } % Int(partitionCount))
/// }
/// ```
///
/// It is given the record and how many partitions the topic has, and returns one of them, counted from 0, or nil to leave
/// the choice to the default. A partition that the topic does not have makes `send` and `enqueue` throw. It is called in
/// the task that sends, more than once if the record has to wait for room; the same record should get the same partition.
public typealias Partitioner = @Sendable (_ record: ProducerRecord, _ partitionCount: Int32) -> Int32?
