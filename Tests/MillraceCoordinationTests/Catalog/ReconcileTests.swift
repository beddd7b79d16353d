import MillraceCoordination
import MillraceProtocol
import Testing

@Suite struct ReconcileTests {
  private func directory(_ topic: String, _ partition: Int32, _ id: Uuid?) -> FoundPartition {
    FoundPartition(topic: topic, partition: partition, topicId: id)
  }

  /// Applies what was adopted.
  private func adopt(_ driver: inout CatalogDriver, _ found: [FoundPartition], removed: Set<Uuid> = [])
    -> Reconciliation
  {
    let result = driver.catalog.reconcile(with: found, removed: removed, random: &driver.random)
    driver.perform(CatalogDecision(result.adopted, answer: ()))
    return result
  }

  @Test func `directories that the journal knows need nothing`() throws {
    var driver = CatalogDriver()
    driver.make("orders", partitions: 2)
    let id = try #require(driver.catalog.topic(named: "orders")).id
    let found = [directory("orders", 0, id), directory("orders", 1, nil)]
    #expect(adopt(&driver, found) == Reconciliation())
  }

  @Test func `a topic that the journal does not know is adopted under its own id`() throws {
    var driver = CatalogDriver()
    let id = Uuid(high: 3, low: 4)
    let result = adopt(&driver, [directory("lost", 2, id), directory("lost", 0, id)])
    #expect(result.toSetAside.isEmpty && result.toDelete.isEmpty)
    let topic = try #require(driver.catalog.topic(named: "lost"))
    #expect(topic.id == id)
    #expect(topic.partitionCount == 3)
  }

  @Test func `an adopted internal topic stays compacted`() throws {
    var driver = CatalogDriver()
    _ = adopt(&driver, [directory("__consumer_offsets", 0, Uuid(high: 3, low: 4))])
    let topic = try #require(driver.catalog.topic(named: "__consumer_offsets"))
    #expect(driver.catalog.configuration(of: topic).isCompacted)
    #expect(!driver.catalog.configuration(of: topic).isDeleted)
  }

  @Test func `a partition whose fact was lost is adopted into its topic`() throws {
    var driver = CatalogDriver()
    driver.make("orders")
    let id = try #require(driver.catalog.topic(named: "orders")).id
    _ = adopt(&driver, [directory("orders", 0, id), directory("orders", 3, id)])
    #expect(driver.catalog.topic(named: "orders")?.partitionCount == 4)
  }

  @Test func `a deletion that the journal knows is finished`() throws {
    var driver = CatalogDriver()
    driver.make("orders")
    let id = try #require(driver.catalog.topic(named: "orders")).id
    _ = driver.delete("orders")
    let left = directory("orders", 0, id)
    #expect(adopt(&driver, [left], removed: [id]).toDelete == [left])
    driver.make("orders")
    #expect(adopt(&driver, [left], removed: [id]).toDelete == [left], "also when the name is in use again")
    #expect(driver.catalog.topics.count == 1)
  }

  @Test func `what contradicts the journal is set aside and never deleted`() throws {
    var driver = CatalogDriver()
    driver.make("orders")
    let id = try #require(driver.catalog.topic(named: "orders")).id
    let strange = [
      directory("a b", 0, nil), directory("orders", 0, Uuid(high: 9, low: 9)), directory("orders-copy", 0, id),
    ]
    let result = adopt(&driver, strange)
    #expect(Set(result.toSetAside) == Set(strange))
    #expect(result.toDelete.isEmpty && result.adopted.isEmpty)
  }

  @Test func `of two unknown incarnations the larger one is adopted and the other set aside`() throws {
    var driver = CatalogDriver()
    let large = Uuid(high: 1, low: 1)
    let small = Uuid(high: 2, low: 2)
    let result = adopt(
      &driver, [directory("t", 0, small), directory("t", 1, large), directory("t", 2, large), directory("t", 3, nil)])
    #expect(driver.catalog.topic(named: "t")?.id == large)
    #expect(result.toSetAside == [directory("t", 0, small)])
    #expect(driver.catalog.topic(named: "t")?.partitionCount == 4)
  }
}
