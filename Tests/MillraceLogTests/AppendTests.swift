import MillraceRecords
import Testing

@testable import MillraceLog

@Suite struct AppendTests {
  @Test func `appended records are read back with the offsets they were given`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store)
    #expect(try log.append(batch(["a", "b"])).baseOffset == 0)
    #expect(try log.append(batch(["c"])).lastOffset == 2)
    try log.settle()
    #expect(try log.values().map(\.value) == ["a", "b", "c"])
    #expect(try log.values(from: 1).map(\.offset) == [1, 2])
    store.close(nowMs: workspace.now)
    let again = try workspace.open()
    let reopened = try workspace.log(again)
    #expect(again.wasCleanlyStopped)
    #expect(try reopened.values().map(\.value) == ["a", "b", "c"])
    #expect(workspace.reports.all.isEmpty)
    again.close(nowMs: workspace.now)
  }
}
