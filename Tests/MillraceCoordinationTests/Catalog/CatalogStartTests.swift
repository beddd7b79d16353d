import MillraceCoordination
import MillraceProtocol
import Testing

@Suite struct CatalogStartTests {
  @Test func `a new cluster begins with the metadata version that is needed to read it`() {
    var driver = CatalogDriver()
    driver.start()
    guard case .featureLevel(let first) = driver.journal.first else {
      Issue.record("the journal does not begin with a feature level")
      return
    }
    #expect(first.name == "metadata.version" && first.featureLevel == 29)
    #expect(driver.catalog.features.finalized.map(\.maxVersionLevel) == [1, 29, 1, 2])
    #expect(driver.catalog.registration?.brokerEpoch == 4)
    driver.start()
    #expect(driver.journal.count == 6, "the second start registers only")
  }

  @Test func `an unclean start raises every leader epoch with one fact`() throws {
    var driver = CatalogDriver()
    driver.start()
    driver.make("old", partitions: 100)
    let length = driver.journal.count
    driver.start(clean: false)
    #expect(driver.journal.count == length + 2)
    driver.make("new")
    func epoch(_ name: String) throws -> Int32 {
      driver.catalog.leaderEpoch(try #require(driver.catalog.topic(named: name)), 0)
    }
    #expect(try epoch("old") == 1)
    #expect(try epoch("new") == 0)
    driver.start()
    #expect(try epoch("old") == 1, "a clean start raises nothing")
    driver.start(clean: false)
    #expect(try epoch("old") == 2)
    #expect(try epoch("new") == 1)
    #expect(driver.replayed() == driver.catalog)
  }

  @Test func `a first start is never unclean`() {
    var driver = CatalogDriver()
    driver.start(clean: false)
    #expect(driver.catalog.fencings == 0)
  }

  @Test func `producer ids come in blocks that never overlap, across restarts too`() {
    var driver = CatalogDriver()
    #expect(driver.perform(driver.catalog.decideProducerIdBlock(count: 1000)) == 0..<1000)
    #expect(driver.perform(driver.catalog.decideProducerIdBlock(count: 1000)) == 1000..<2000)
    driver.catalog = driver.replayed()
    #expect(driver.perform(driver.catalog.decideProducerIdBlock(count: 1000)) == 2000..<3000)
    #expect(driver.perform(driver.catalog.decideProducerIdBlock(count: .max)) == nil)
  }

  @Test func `records of unknown type, from the future, or without sense change nothing`() throws {
    var driver = CatalogDriver()
    driver.make("orders")
    let before = driver.catalog
    driver.catalog.apply(.other(type: 99, version: 0), at: 1)
    driver.catalog.apply(.noOp(NoOpRecord()), at: 2)
    driver.catalog.apply(.partition(PartitionRecord(partitionId: 0, topicId: Uuid(high: 9, low: 9))), at: 3)
    let id = try #require(driver.catalog.topic(named: "orders")).id
    driver.catalog.apply(.partition(PartitionRecord(partitionId: .max, topicId: id)), at: 4)
    driver.catalog.apply(.partition(PartitionRecord(partitionId: -1, topicId: id)), at: 5)
    driver.catalog.apply(.removeTopic(RemoveTopicRecord(topicId: Uuid(high: 9, low: 9))), at: 6)
    driver.catalog.apply(.config(ConfigRecord(resourceType: 77, resourceName: "x", name: "y", value: "z")), at: 7)
    #expect(driver.catalog == before)
  }

  @Test func `a record's frame is version, type, version, message`() throws {
    let record = MetadataRecord.featureLevel(FeatureLevelRecord(name: "metadata.version", featureLevel: 29))
    let bytes = try Array(record.encoded().readableBytesView)
    #expect(Array(bytes.prefix(4)) == [1, 12, 0, 17])
    #expect(bytes.count == 3 + 1 + 16 + 2 + 1)
    #expect(try MetadataRecord(from: record.encoded()) == record)
    #expect(try MetadataRecord(from: .init(bytes: [1, 23, 0, 0])) == .other(type: 23, version: 0))
    #expect(try MetadataRecord(from: .init(bytes: [1, 2, 5, 0])) == .other(type: 2, version: 5))
    #expect(throws: ProtocolError.self) { try MetadataRecord(from: .init(bytes: [1, 2, 0, 200, 1])) }
  }
}

@Suite struct UpdateFeaturesTests {
  private func update(
    _ driver: inout CatalogDriver, _ level: Int16, type: Int8, feature: String = "metadata.version"
  ) -> UpdateFeaturesResponse {
    let request = UpdateFeaturesRequest(featureUpdates: [
      .init(feature: feature, maxVersionLevel: level, upgradeType: type)
    ])
    return driver.perform(driver.catalog.decide(request, version: 1))
  }

  @Test func `the transaction version can be moved over its whole range`() {
    var driver = CatalogDriver()
    driver.start()
    #expect(driver.catalog.transactionVersion == 2)
    func move(_ level: Int16, type: Int8) -> ErrorCode {
      update(&driver, level, type: type, feature: "transaction.version").errorCode.code
    }
    #expect(move(0, type: 1) == .invalidUpdateVersion, "a downgrade has to be asked for as one")
    #expect(move(0, type: 2) == .none)
    #expect(driver.catalog.transactionVersion == 0)
    #expect(move(3, type: 1) == .invalidUpdateVersion)
    #expect(move(1, type: 1) == .none)
    #expect(driver.replayed().transactionVersion == 1)
  }

  @Test func `the metadata version goes down and up again where nothing stored is lost`() {
    var driver = CatalogDriver()
    driver.start()
    #expect(update(&driver, 27, type: 2).errorCode == 0)
    #expect(driver.catalog.featureLevels["metadata.version"] == 27)
    #expect(update(&driver, 29, type: 1).errorCode == 0)
    #expect(driver.catalog.featureLevels["metadata.version"] == 29)
    #expect(update(&driver, 29, type: 1).errorCode == 0, "the level it has")
    #expect(driver.replayed() == driver.catalog)
  }

  @Test func `levels out of range, the wrong direction and unknown features are refused`() {
    var driver = CatalogDriver()
    driver.start()
    let before = driver.catalog
    #expect(update(&driver, 30, type: 1).errorCode.code == .invalidUpdateVersion)
    #expect(update(&driver, 6, type: 2).errorCode.code == .invalidUpdateVersion)
    #expect(update(&driver, 27, type: 1).errorCode.code == .invalidUpdateVersion)
    #expect(update(&driver, 22, type: 2).errorCode.code == .invalidUpdateVersion)
    #expect(update(&driver, 27, type: 9).errorCode.code == .invalidRequest)
    #expect(update(&driver, 1, type: 1, feature: "no.such").errorCode.code == .invalidUpdateVersion)
    #expect(driver.catalog == before)
  }

  @Test func `one refused update refuses them all`() {
    var driver = CatalogDriver()
    driver.start()
    let request = UpdateFeaturesRequest(featureUpdates: [
      .init(feature: "metadata.version", maxVersionLevel: 27, upgradeType: 2),
      .init(feature: "no.such", maxVersionLevel: 1, upgradeType: 1),
    ])
    let response = driver.perform(driver.catalog.decide(request, version: 1))
    #expect(response.results.allSatisfy { $0.errorCode != 0 })
    #expect(driver.catalog.featureLevels["metadata.version"] == 29)
  }
}
