"""Old segments go, compacted topics keep the last value of each key, and readers of what is gone are told so."""

import random
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

QUICK = {
    "log.retention.check.interval.ms": 200, "log.initial.task.delay.ms": 0, "log.cleaner.backoff.ms": 100,
    "log.segment.delete.delay.ms": 0}


def create(admin, topic, **config):
    admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result(30)


def alter(admin, topic, **config):
    entries = [ConfigEntry(key.replace("_", "."), str(value), incremental_operation=AlterConfigOpType.SET)
               for key, value in config.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([resource])[resource].result(30)


def consumer(bootstrap, **settings):
    return Consumer({
        "bootstrap.servers": bootstrap, "group.id": "retention", "enable.partition.eof": True, "check.crcs": True,
        "enable.auto.commit": False, **settings})


def read(bootstrap, topic, offset=OFFSET_BEGINNING, **settings):
    reader = consumer(bootstrap, **settings)
    reader.assign([TopicPartition(topic, 0, offset)])
    found = []
    try:
        while True:
            for message in reader.consume(5000, 10):
                if message.error() is None:
                    found.append((message.offset(), message.key(), message.value()))
                elif message.error().name() == "_PARTITION_EOF":
                    return found
                else:
                    raise KafkaException(message.error())
    finally:
        reader.close()


def low(bootstrap, topic):
    reader = consumer(bootstrap)
    try:
        return reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[0]
    finally:
        reader.close()


def eventually(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)


def test_retention_bytes_takes_the_beginning_and_readers_start_again(new_broker, topic):
    broker = new_broker(**QUICK)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    create(admin, topic, **{"segment.bytes": str(1 << 20)})
    producer = Producer({"bootstrap.servers": broker.bootstrap, "compression.type": "none", "linger.ms": 5})
    value = random.Random(1).randbytes(10_000)
    for number in range(600):
        producer.produce(topic, value, key=b"%d" % number)
    assert producer.flush(60) == 0
    time.sleep(0.5)
    assert low(broker.bootstrap, topic) == 0
    alter(admin, topic, retention_bytes=2 << 20)
    eventually(lambda: low(broker.bootstrap, topic) > 0)
    start = low(broker.bootstrap, topic)
    assert start < 600
    files = broker.directory / "data" / f"{topic}-0"
    eventually(lambda: not list(files.glob("*.deleted")))
    assert sum(file.stat().st_size for file in files.glob("*.log")) <= 4 << 20
    # A reader at an offset that is gone begins where auto.offset.reset says.
    found = read(broker.bootstrap, topic, 0, **{"auto.offset.reset": "earliest"})
    assert [offset for offset, _, _ in found] == list(range(start, 600))
    assert read(broker.bootstrap, topic, 0, **{"auto.offset.reset": "latest"}) == []
    try:
        read(broker.bootstrap, topic, 0, **{"auto.offset.reset": "error"})
        raise AssertionError("the reader was not told")
    except KafkaException as problem:
        assert problem.args[0].name() in ("_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"), problem
    alter(admin, topic, retention_ms=1)
    eventually(lambda: low(broker.bootstrap, topic) == 600)
    broker.restart()
    assert low(broker.bootstrap, topic) == 600
    assert read(broker.bootstrap, topic) == []
    broker.cli("log", "verify", broker.directory / "data")


def test_a_compacted_topic_ends_with_the_last_value_of_each_key(new_broker, topic, full, seed):
    chance = random.Random(seed)
    broker = new_broker(**QUICK)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    create(admin, topic, **{
        "cleanup.policy": "compact", "segment.bytes": str(1 << 20), "min.cleanable.dirty.ratio": "0.01",
        "delete.retention.ms": "0"})
    last = {}
    producer = Producer({
        "bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "compression.type": "lz4", "linger.ms": 5,
        "queue.buffering.max.messages": 1_000_000})
    for number in range(1_000_000 if full else 60_000):
        key = b"key-%d" % chance.randrange(2_000)
        value = None if chance.random() < 0.05 else b"%d-" % number + chance.randbytes(60)
        last[key] = value
        producer.produce(topic, value, key=key)
        if number % 1000 == 0:
            producer.poll(0)
    # The active segment is never compacted: something else fills it.
    for number in range(40):
        producer.produce(topic, chance.randbytes(100_000), key=b"filler")
        producer.flush(30)
    assert producer.flush(120) == 0
    expected = {key: value for key, value in last.items() if value is not None}

    def settled():
        found = [(key, value) for _, key, value in read(broker.bootstrap, topic) if key != b"filler"]
        assert dict(found) | {key: None for key, value in found if value is None} == {
            key: last[key] for key, _ in found}, "a key ends with another value"
        return len(found) <= len(expected) + len(last) and len(found) == len(set(key for key, _ in found))

    eventually(settled, 60)
    # Tombstones go with a later pass, which new records bring about.
    for _ in range(4):
        for number in range(25):
            producer.produce(topic, chance.randbytes(100_000), key=b"filler")
            producer.flush(30)
        time.sleep(1)

    def without_tombstones():
        found = [(key, value) for _, key, value in read(broker.bootstrap, topic) if key != b"filler"]
        return len(found) == len(expected) and dict(found) == expected

    eventually(without_tombstones, 60)
    before = read(broker.bootstrap, topic)
    broker.kill()
    broker.start()
    assert read(broker.bootstrap, topic)[:len(expected)] == before[:len(expected)]
    broker.stop()
    broker.cli("log", "verify", broker.directory / "data")


def test_committed_offsets_survive_the_compaction_of_their_topic(new_broker, topic):
    broker = new_broker(**QUICK, **{
        "offsets.topic.segment.bytes": 1 << 20, "offsets.topic.num.partitions": 1,
        "log.cleaner.min.cleanable.ratio": 0.01})
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    create(admin, topic)
    reader = consumer(broker.bootstrap)
    metadata = "m" * 4000
    for number in range(800):
        reader.commit(offsets=[TopicPartition(topic, 0, number, metadata)], asynchronous=False)
    files = broker.directory / "data" / "__consumer_offsets-0"
    eventually(lambda: (broker.directory / "data" / "cleaner-offset-checkpoint").exists())
    eventually(lambda: sum(file.stat().st_size for file in files.glob("*.log")) < 2 << 20)
    for restart in (broker.restart, lambda: (broker.kill(), broker.start())):
        restart()
        committed = reader.committed([TopicPartition(topic, 0)], timeout=30)[0]
        assert (committed.offset, committed.metadata) == (799, metadata)
    reader.close()
