// One partition as the request handlers see it: its log, its leader epoch, and the fetches that wait for records.

import MillraceLog
import Synchronization

package final class Partition: FetchPlace {
  package let index: Int32
  package let log: PartitionLog
  private let epoch: Atomic<Int32>
  private let waiterCount = Atomic<Int>(0)
  private let waiters = Mutex<[ObjectIdentifier: any FetchWaiter]>([:])

  package init(index: Int32, log: PartitionLog, leaderEpoch: Int32) {
    self.index = index
    self.log = log
    epoch = Atomic(leaderEpoch)
    log.onHighWatermark = { [weak self] _ in self?.wakeWaiters() }
  }

  package var leaderEpoch: Int32 {
    get { epoch.load(ordering: .relaxed) }
    set { epoch.store(newValue, ordering: .relaxed) }
  }

  func park(_ waiter: any FetchWaiter) {
    let isNew = waiters.withLock { $0.updateValue(waiter, forKey: ObjectIdentifier(waiter)) == nil }
    if isNew { waiterCount.wrappingAdd(1, ordering: .sequentiallyConsistent) }
  }

  func unpark(_ waiter: any FetchWaiter) {
    let wasParked = waiters.withLock { $0.removeValue(forKey: ObjectIdentifier(waiter)) != nil }
    if wasParked { waiterCount.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
  }

  /// Tells everyone who waits here to look again: the high watermark rose, or the partition went away.
  package func wakeWaiters() {
    guard waiterCount.load(ordering: .sequentiallyConsistent) > 0 else { return }
    for waiter in waiters.withLock({ Array($0.values) }) { waiter.wake() }
  }
}
