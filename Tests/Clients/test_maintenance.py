"""Retention, DeleteRecords and compaction while producers write and readers jump to any offset, also to such as are
gone: every record is at its offset with its value, and no error but what Kafka answers."""

import random
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.admin import AdminClient, NewTopic

QUICK = {
    "log.retention.check.interval.ms": 200, "log.initial.task.delay.ms": 0, "log.cleaner.backoff.ms": 50,
    "log.segment.delete.delay.ms": 0}
DEADLINE = 180


class Written:
    """One producer's records to one partition. Nothing fails, so the number of a record is its offset."""

    def __init__(self, bootstrap, topic, seed, size):
        self.topic, self.size = topic, size
        self.chance = random.Random(seed)
        self.keys, self.values = [], []
        self.last = {}
        self.acknowledged = 0
        self.problems = []
        self.padding = self.chance.randbytes(1 << 16)
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "none", "linger.ms": 5,
            "queue.buffering.max.messages": 100_000})

    def delivered(self, error, message):
        if error is not None:
            self.problems.append(f"{self.topic}: {error}")
        elif message.offset() != self.acknowledged:
            self.problems.append(f"{self.topic}: offset {message.offset()}, not {self.acknowledged}")
        self.acknowledged += 1

    def put(self, key, is_removal=False, size=None):
        number = len(self.keys)
        size = size or self.size
        start = number % 1000
        value = None if is_removal else b"%d " % number + self.padding[start:start + size]
        self.keys.append(key)
        self.values.append(value)
        self.last[key] = number
        while True:
            try:
                return self.producer.produce(self.topic, value, key, 0, on_delivery=self.delivered)
            except BufferError:
                self.producer.poll(0.05)

    def flush(self):
        assert self.producer.flush(DEADLINE) == 0
        assert not self.problems, self.problems[:3]

    def write(self, count, key_count, pause):
        """Updates of random keys, some of them removals."""
        for number in range(count):
            self.put(b"key-%d" % self.chance.randrange(key_count), self.chance.random() < 0.1)
            if number % 200 == 0:
                self.producer.poll(0)
                time.sleep(pause)
        self.flush()

    def fill(self):
        """Enough for the cleaner to find everything before it in segments that are not written any more."""
        for _ in range(30):
            self.put(b"filler", size=1 << 16)
            self.flush()


class Reader:
    """Jumps to an offset, reads on from there for a bit, checks, and jumps again."""

    def __init__(self, bootstrap, written, is_compacted, seed):
        self.written, self.is_compacted = written, is_compacted
        self.chance = random.Random(seed)
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": f"reader-{seed}", "enable.partition.eof": True,
            "check.crcs": True, "enable.auto.commit": False, "auto.offset.reset": "error",
            "fetch.message.max.bytes": 200_000, "fetch.error.backoff.ms": 20})
        self.jumps = self.read = self.refused = self.late = 0
        self.problems = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.jump(self.chance.randrange(self.written.acknowledged + 1))
        except Exception as error:  # noqa: BLE001: shown by stop()
            self.problems.append(repr(error))
        finally:
            self.consumer.close()

    def jump(self, start):
        self.jumps += 1
        self.consumer.assign([TopicPartition(self.written.topic, 0, start)])
        expected = start
        wanted = start + self.chance.randrange(1, 1000)
        deadline = time.monotonic() + DEADLINE
        while expected < wanted and not self.stopping.is_set():
            assert time.monotonic() < deadline, f"nothing comes from {expected} on"
            for message in self.consumer.consume(500, 0.5):
                error = message.error()
                if error is None:
                    self.check(message, expected)
                    expected = message.offset() + 1
                elif error.name() == "_PARTITION_EOF":
                    return
                elif error.name() in ("_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"):
                    if message.offset() != expected:
                        # Of the jump before: librdkafka does not take this error back with the assignment.
                        self.late += 1
                        continue
                    low, _ = self.consumer.get_watermark_offsets(
                        TopicPartition(self.written.topic, 0), timeout=DEADLINE)
                    assert expected < low, f"offset {expected} is refused, though the log begins at {low}: {error}"
                    self.refused += 1
                    return
                else:
                    # librdkafka's words for a batch whose records at the offset and behind it are gone.
                    assert error.name() == "MSG_SIZE_TOO_LARGE" and self.may_be_gone(expected), \
                        f"at {expected}: {error}"
                    return

    def check(self, message, expected):
        offset, written = message.offset(), self.written
        assert offset >= expected, f"offset {offset} comes after {expected - 1}"
        assert (message.key(), message.value()) == (written.keys[offset], written.values[offset]), \
            f"offset {offset} has {message.key()} and not {written.keys[offset]}"
        for missing in range(expected, offset):
            assert self.may_be_gone(missing), f"offset {missing} is missing"
        self.read += 1

    def may_be_gone(self, offset):
        """Compaction takes what has a later value, and removals."""
        written = self.written
        return self.is_compacted and (
            written.values[offset] is None or written.last[written.keys[offset]] > offset)

    def stop(self):
        self.stopping.set()
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive(), "a reader does not end"
        assert not self.problems, self.problems
        return self


def read(bootstrap, topic):
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "reader", "enable.partition.eof": True, "check.crcs": True,
        "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found = []
    deadline = time.monotonic() + DEADLINE
    while True:
        assert time.monotonic() < deadline, "the end does not come"
        for message in consumer.consume(10_000, 1):
            if message.error() is None:
                found.append((message.offset(), message.key(), message.value()))
            else:
                assert message.error().name() == "_PARTITION_EOF", message.error()
                consumer.close()
                return found


def eventually(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited {DEADLINE} s for {what}"
        time.sleep(0.2)


def begin(new_broker, topic, config):
    broker = new_broker(**QUICK)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    new = NewTopic(topic, 1, 1, config={"segment.bytes": str(1 << 20), **config})
    admin.create_topics([new])[topic].result(60)
    return broker, admin


def test_readers_anywhere_meet_retention_and_deletions_only_as_offsets_out_of_range(new_broker, topic, full, seed):
    broker, admin = begin(new_broker, topic, {"retention.bytes": str(3 << 20)})
    written = Written(broker.bootstrap, topic, seed, size=1500)
    readers = [Reader(broker.bootstrap, written, False, seed + number) for number in range(4)]
    chance = random.Random(seed)
    deletions = 0
    stopping = threading.Event()
    failures = []

    def delete():
        nonlocal deletions
        while not stopping.wait(0.3):
            end = written.acknowledged
            before = end - chance.randrange(1, 1500)
            if before <= 0:
                continue
            try:
                admin.delete_records([TopicPartition(topic, 0, before)])[TopicPartition(topic, 0)].result(DEADLINE)
                deletions += 1
            except Exception as error:  # noqa: BLE001
                # Retention may have come first.
                if "OFFSET_OUT_OF_RANGE" not in str(error):
                    failures.append(repr(error))

    deleter = threading.Thread(target=delete)
    deleter.start()
    try:
        written.write(1_000_000 if full else 25_000, 1000, pause=0.01 if full else 0.05)
    finally:
        stopping.set()
        deleter.join(DEADLINE)
        for reader in readers:
            reader.stopping.set()
    for reader in readers:
        reader.stop()
    assert not failures, failures[:3]
    names = ("jumps", "read", "refused", "late")
    jumps, records, refused, late = (sum(getattr(reader, name) for reader in readers) for name in names)
    print(f"{len(written.keys)} records, {jumps} jumps, {records} read, {refused} out of range, "
          f"{late} heard of late, {deletions} deletions")
    assert records > 0 and refused > 0 and deletions > 0
    files = broker.directory / "data" / f"{topic}-0"
    eventually(lambda: sum(file.stat().st_size for file in files.glob("*.log")) <= 5 << 20, "retention")
    found = read(broker.bootstrap, topic)
    assert [offset for offset, _, _ in found] == list(range(found[0][0], len(written.keys)))
    broker.restart()
    assert read(broker.bootstrap, topic) == found
    broker.stop()
    broker.cli("log", "verify", broker.directory / "data")


def test_readers_anywhere_see_compaction_only_by_what_is_superseded(new_broker, topic, full, seed):
    keys = 5000 if full else 500
    broker, _ = begin(new_broker, topic, {
        "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "1000"})
    written = Written(broker.bootstrap, topic, seed, size=100)
    readers = [Reader(broker.bootstrap, written, True, seed + number) for number in range(4)]
    try:
        written.write(1_000_000 if full else 60_000, keys, pause=0.01 if full else 0.02)
        written.fill()
    finally:
        for reader in readers:
            reader.stopping.set()
    for reader in readers:
        reader.stop()
    print(f"{len(written.keys)} updates, {sum(r.jumps for r in readers)} jumps, {sum(r.read for r in readers)} read")
    assert not any(reader.refused for reader in readers), "compaction takes no offset away"

    def content():
        found = [record for record in read(broker.bootstrap, topic) if record[1] != b"filler"]
        for offset, key, value in found:
            assert (key, value) == (written.keys[offset], written.values[offset]), f"at {offset}"
        return found

    latest = {key: number for key, number in written.last.items() if key != b"filler"}
    remaining = [(number, key, written.values[number]) for key, number in latest.items()
                 if written.values[number] is not None]
    remaining.sort()

    def is_settled():
        found = content()
        kept = [record for record in found if record[2] is not None]
        # Never less than the last value of each key; in the end, no more.
        assert set(remaining) <= set(kept), "a last value is gone"
        return kept == remaining and all(latest[key] == offset for offset, key, _ in found)

    eventually(is_settled, "one record a key")

    def is_without_removals():
        # A pass, which new records bring about, takes the removals that were there for long enough.
        written.fill()
        return content() == remaining

    eventually(is_without_removals, "the removals to go")
    broker.kill()
    broker.start(timeout=120)
    assert content() == remaining
    broker.stop()
    broker.cli("log", "verify", broker.directory / "data")
