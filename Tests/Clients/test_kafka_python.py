"""kafka-python: a client with a protocol stack of its own."""

import contextlib
import threading
import time

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic, OffsetSpec
from kafka.errors import CommitFailedError, RebalanceInProgressError
from kafka.structs import OffsetAndMetadata


def make_producer(broker, **config):
    return KafkaProducer(bootstrap_servers=broker.bootstrap, **config)


def make_consumer(broker, *topics, **config):
    config = {"auto_offset_reset": "earliest", "consumer_timeout_ms": 60_000, "enable_auto_commit": False, **config}
    return KafkaConsumer(*topics, bootstrap_servers=broker.bootstrap, **config)


def take(consumer, count):
    messages = []
    for message in consumer:
        messages.append(message)
        if len(messages) == count:
            break
    assert len(messages) == count, f"{len(messages)} of {count}"
    return messages


@pytest.fixture
def admin(shared_broker):
    client = KafkaAdminClient(bootstrap_servers=shared_broker.bootstrap)
    yield client
    client.close()


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_what_is_produced_is_consumed(shared_broker, admin, topic, codec):
    admin.create_topics([NewTopic(topic, 3, 1)])
    producer = make_producer(shared_broker, compression_type=codec, linger_ms=10)
    for n in range(3000):
        producer.send(topic, b"value-%d" % n, key=b"key-%d" % (n % 11), headers=[("n", b"%d" % n)])
    producer.flush(60)
    producer.close()
    consumer = make_consumer(shared_broker, topic)
    messages = take(consumer, 3000)
    consumer.close()
    assert {m.value for m in messages} == {b"value-%d" % n for n in range(3000)}
    for message in messages:
        assert message.headers == [("n", message.value[6:])]
    last = {}
    for message in messages:
        number = int(message.value[6:])
        assert last.get(message.key, -1) < number, "order per key"
        last[message.key] = number


def test_a_group_of_two_shares_the_partitions(shared_broker, admin, topic):
    admin.create_topics([NewTopic(topic, 4, 1)])
    counts, stop, lock = [0, 0], threading.Event(), threading.Lock()
    values = []

    def run(index):
        consumer = make_consumer(
            shared_broker, topic, group_id="g-" + topic, consumer_timeout_ms=500, session_timeout_ms=45_000,
            heartbeat_interval_ms=500)
        while not stop.is_set():
            for message in consumer:
                with lock:
                    values.append(message.value)
                    counts[index] += 1
                if stop.is_set():
                    break
            with contextlib.suppress(CommitFailedError, RebalanceInProgressError):  # while the other one joins
                consumer.commit()
        consumer.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            group = admin.describe_groups(["g-" + topic])["g-" + topic]
            if group["group_state"] == "Stable" and len(group["members"]) == 2:
                break
            time.sleep(0.3)
        producer = make_producer(shared_broker)
        for n in range(400):
            producer.send(topic, b"%d" % n, partition=n % 4)
        producer.flush(60)
        producer.close()
        end = time.monotonic() + 120
        while time.monotonic() < end and len(values) < 400:
            time.sleep(0.1)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert sorted(map(int, values)) == list(range(400))
    assert all(counts), f"both members work: {counts}"


def test_committed_offsets_are_kept_listed_reset_and_deleted(shared_broker, admin, topic):
    admin.create_topics([NewTopic(topic, 1, 1)])
    group = "g-" + topic
    producer = make_producer(shared_broker)
    for n in range(50):
        producer.send(topic, b"%d" % n)
    producer.flush(60)
    producer.close()
    consumer = make_consumer(shared_broker, topic, group_id=group)
    take(consumer, 20)
    partition = TopicPartition(topic, 0)
    consumer.commit({partition: OffsetAndMetadata(20, "twenty", -1)})
    consumer.close()

    consumer = make_consumer(shared_broker, topic, group_id=group)
    assert take(consumer, 1)[0].offset == 20
    consumer.close()
    committed = admin.list_group_offsets(group)[group][partition]
    assert (committed.offset, committed.metadata) == (20, "twenty")
    admin.alter_group_offsets(group, {partition: OffsetAndMetadata(5, "", -1)})
    assert admin.list_group_offsets(group)[group][partition].offset == 5
    assert admin.reset_group_offsets(group, {partition: OffsetSpec.LATEST})[partition]["offset"] == 50
    assert admin.list_group_offsets(group)[group][partition].offset == 50
    assert group in str(admin.list_groups())
    assert admin.delete_groups([group]) == {group: "OK"}
    assert group not in str(admin.list_groups())


def test_admin_creates_describes_configures_and_deletes(shared_broker, admin, topic):
    admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"cleanup.policy": "compact"})])
    assert topic in admin.list_topics()
    described = admin.describe_topics([topic])
    assert len(described[0]["partitions"]) == 2
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    assert "compact" in str(admin.describe_configs([resource]))
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "777000"})])
    assert "777000" in str(admin.describe_configs([resource]))
    admin.create_partitions({topic: NewPartitions(3)})
    assert len(admin.describe_topics([topic])[0]["partitions"]) == 3
    admin.delete_topics([topic])
    assert topic not in admin.list_topics()


def test_seek_position_and_beginning_and_end_offsets(shared_broker, admin, topic):
    admin.create_topics([NewTopic(topic, 1, 1)])
    producer = make_producer(shared_broker, acks="all")
    for n in range(100):
        producer.send(topic, b"%d" % n, timestamp_ms=1_700_000_000_000 + n)
    producer.flush(60)
    producer.close()
    partition = TopicPartition(topic, 0)
    consumer = make_consumer(shared_broker)
    consumer.assign([partition])
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.end_offsets([partition]) == {partition: 100}
    assert consumer.offsets_for_times({partition: 1_700_000_000_050})[partition].offset == 50
    consumer.seek(partition, 42)
    assert take(consumer, 1)[0].value == b"42"
    consumer.close()
