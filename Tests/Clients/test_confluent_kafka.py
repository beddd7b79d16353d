"""librdkafka through confluent-kafka: produce, consume, groups, admin."""

import json
import threading
import time

import pytest
from confluent_kafka import (
    Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition, OFFSET_BEGINNING, OFFSET_END)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType)


def produce_all(bootstrap, topic, messages, **config):
    failures = []
    producer = Producer({"bootstrap.servers": bootstrap, **config})
    for key, value in messages:
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=lambda e, m: failures.append(e) if e else None)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert not failures, failures[:3]


def consume(consumer, count, timeout=120):
    messages, end = [], time.monotonic() + timeout
    while len(messages) < count and time.monotonic() < end:
        for message in consumer.consume(min(1000, count - len(messages)), 0.5):
            assert message.error() is None, message.error()
            messages.append(message)
    assert len(messages) == count, f"{len(messages)} of {count} messages in {timeout} s"
    return messages


def group_consumer(bootstrap, group, **config):
    return Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "session.timeout.ms": 45_000, **config})


def create(bootstrap, topic, partitions=1, **config):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(60)
    return admin


def test_orders_resume_at_the_committed_offset_after_a_restart(new_broker, topic):
    broker = new_broker()
    create(broker.bootstrap, topic, 3)
    orders = [(f"customer-{n % 7}", json.dumps({"order": n, "amount": n * 3})) for n in range(300)]
    produce_all(broker.bootstrap, topic, orders)

    consumer = group_consumer(broker.bootstrap, "billing")
    consumer.subscribe([topic])
    first = consume(consumer, 120)
    for message in first:
        consumer.commit(message=message, asynchronous=False)
    consumer.close()

    broker.restart()

    consumer = group_consumer(broker.bootstrap, "billing")
    consumer.subscribe([topic])
    rest = consume(consumer, 180)
    consumer.close()
    assert len({(m.partition(), m.offset()) for m in first + rest}) == 300, "something was read twice"
    by_key = {}
    for message in first + rest:
        by_key.setdefault(message.key(), []).append(json.loads(message.value())["order"])
    assert sum(map(len, by_key.values())) == 300
    for numbers in by_key.values():
        assert numbers == sorted(numbers), "order per key"


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_arrives_byte_for_byte(shared_broker, topic, codec):
    create(shared_broker.bootstrap, topic)
    messages = [(b"k%d" % n if n % 5 else None, (b"v%d " % n) * (n % 50)) for n in range(5000)]
    produce_all(shared_broker.bootstrap, topic, messages, **{"compression.type": codec, "linger.ms": 20})
    consumer = group_consumer(shared_broker.bootstrap, topic)
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    received = [(m.key(), m.value()) for m in consume(consumer, 5000)]
    consumer.close()
    assert received == messages


def test_headers_nulls_and_timestamps_survive(shared_broker, topic):
    create(shared_broker.bootstrap, topic)
    producer = Producer({"bootstrap.servers": shared_broker.bootstrap})
    headers = [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None), ("bytes", bytes(range(256)))]
    producer.produce(topic, None, b"tombstone", timestamp=1_700_000_000_123, headers=headers)
    producer.produce(topic, b"", None, timestamp=1_700_000_000_124)
    assert producer.flush(60) == 0
    consumer = group_consumer(shared_broker.bootstrap, topic)
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    one, two = consume(consumer, 2)
    consumer.close()
    assert (one.key(), one.value(), one.headers(), one.timestamp()[1]) == (
        b"tombstone", None, headers, 1_700_000_000_123)
    assert (two.key(), two.value(), two.headers(), two.timestamp()[1]) == (None, b"", None, 1_700_000_000_124)


def test_a_large_message_is_delivered_and_one_too_large_is_refused(shared_broker, topic):
    create(shared_broker.bootstrap, topic, **{"max.message.bytes": "3000000"})
    produce_all(shared_broker.bootstrap, topic, [(None, b"x" * 2_900_000)], **{"message.max.bytes": 10_000_000})
    with pytest.raises(AssertionError, match="MSG_SIZE_TOO_LARGE"):
        produce_all(shared_broker.bootstrap, topic, [(None, b"x" * 3_100_000)], **{"message.max.bytes": 10_000_000})
    consumer = group_consumer(shared_broker.bootstrap, topic, **{"fetch.message.max.bytes": 1000})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    assert len(consume(consumer, 1)[0].value()) == 2_900_000
    consumer.close()


def test_offsets_by_timestamp_and_watermarks(shared_broker, topic):
    admin = create(shared_broker.bootstrap, topic)
    producer = Producer({"bootstrap.servers": shared_broker.bootstrap})
    for n in range(1000):
        producer.produce(topic, b"%d" % n, timestamp=1_700_000_000_000 + n * 1000)
        if n % 100 == 99:
            producer.flush(60)
    consumer = group_consumer(shared_broker.bootstrap, topic)
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), 60) == (0, 1000)
    for n in (0, 1, 499, 999):
        found = consumer.offsets_for_times([TopicPartition(topic, 0, 1_700_000_000_000 + n * 1000 - 500)], 60)
        assert found[0].offset == n
    assert consumer.offsets_for_times([TopicPartition(topic, 0, 1_800_000_000_000)], 60)[0].offset == OFFSET_END
    consumer.close()
    partition = TopicPartition(topic, 0)
    for spec, offset in ((OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 1000), (OffsetSpec.max_timestamp(), 999)):
        assert admin.list_offsets({partition: spec})[partition].result(60).offset == offset


def test_a_fetch_beyond_the_log_is_out_of_range_and_resets(shared_broker, topic):
    create(shared_broker.bootstrap, topic)
    produce_all(shared_broker.bootstrap, topic, [(None, b"only")])
    consumer = group_consumer(shared_broker.bootstrap, topic)
    consumer.assign([TopicPartition(topic, 0, 4711)])
    assert consume(consumer, 1)[0].value() == b"only"
    consumer.close()


def test_topics_are_created_on_first_use(shared_broker, topic):
    produce_all(shared_broker.bootstrap, topic, [(None, b"hello")])
    metadata = AdminClient({"bootstrap.servers": shared_broker.bootstrap}).list_topics(topic, 60)
    assert metadata.topics[topic].error is None
    assert len(metadata.topics[topic].partitions) == 1


def test_admin_creates_describes_grows_and_deletes(shared_broker, topic):
    admin = AdminClient({"bootstrap.servers": shared_broker.bootstrap})
    admin.create_topics([NewTopic(topic, 2, 1, config={"retention.ms": "60000"})])[topic].result(60)
    with pytest.raises(KafkaException) as caught:
        admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(60)
    assert caught.value.args[0].name() == "TOPIC_ALREADY_EXISTS"
    with pytest.raises(KafkaException) as caught:
        admin.create_topics([NewTopic(topic + "x", 2, 3)])[topic + "x"].result(60)
    assert caught.value.args[0].name() == "INVALID_REPLICATION_FACTOR"
    with pytest.raises(KafkaException) as caught:
        admin.create_topics([NewTopic("no/slash", 1, 1)])["no/slash"].result(60)
    assert caught.value.args[0].name() == "TOPIC_EXCEPTION"

    resource = ConfigResource(ResourceType.TOPIC, topic)
    described = admin.describe_configs([resource])[resource].result(60)
    assert described["retention.ms"].value == "60000"
    assert described["segment.bytes"].value == "1073741824"
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[
        ConfigEntry("retention.ms", "120000", incremental_operation=AlterConfigOpType.SET)])
    admin.incremental_alter_configs([change])[change].result(60)
    assert admin.describe_configs([resource])[resource].result(60)["retention.ms"].value == "120000"

    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(60)
    assert len(admin.list_topics(topic, 60).topics[topic].partitions) == 5
    described = admin.describe_topics(__import__("confluent_kafka").TopicCollection([topic]))[topic].result(60)
    assert len(described.partitions) == 5
    cluster = admin.describe_cluster().result(60)
    assert len(cluster.nodes) == 1 and cluster.cluster_id

    produce_all(shared_broker.bootstrap, topic, [(b"k", b"v")] * 100)
    partition = TopicPartition(topic, 0, OFFSET_END)
    admin.delete_records([partition])
    admin.delete_topics([topic])[topic].result(60)
    assert topic not in admin.list_topics(timeout=60).topics


def test_admin_lists_resets_and_deletes_group_offsets(shared_broker, topic):
    admin = create(shared_broker.bootstrap, topic, 2)
    group = "g-" + topic
    produce_all(shared_broker.bootstrap, topic, [(b"%d" % n, b"v") for n in range(100)])
    consumer = group_consumer(shared_broker.bootstrap, group)
    consumer.subscribe([topic])
    consume(consumer, 100)
    consumer.commit(asynchronous=False)
    described = admin.describe_consumer_groups([group])[group].result(60)
    assert described.state.name == "STABLE" and len(described.members) == 1
    assert len(described.members[0].assignment.topic_partitions) == 2
    consumer.close()
    listed = admin.list_consumer_groups().result(60)
    assert group in [g.group_id for g in listed.valid]
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(60)
    assert sum(p.offset for p in offsets.topic_partitions) == 100
    reset = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 1), TopicPartition(topic, 1, 2)])
    admin.alter_consumer_group_offsets([reset])[group].result(60)
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(60)
    assert sorted((p.partition, p.offset) for p in offsets.topic_partitions) == [(0, 1), (1, 2)]
    admin.delete_consumer_groups([group])[group].result(60)
    assert group not in [g.group_id for g in admin.list_consumer_groups().result(60).valid]


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_partitions_move_when_members_come_and_go(shared_broker, topic, strategy):
    create(shared_broker.bootstrap, topic, 6)
    config = {"partition.assignment.strategy": strategy, "heartbeat.interval.ms": 500}
    owned = [set(), set(), set()]
    stop = [threading.Event() for _ in owned]

    def run(index):
        consumer = group_consumer(shared_broker.bootstrap, "g-" + topic, **config)

        def assigned(consumer, partitions):
            owned[index].update(p.partition for p in partitions)
            (consumer.incremental_assign if strategy.startswith("coop") else consumer.assign)(partitions)

        def revoked(consumer, partitions):
            owned[index].difference_update(p.partition for p in partitions)
            (consumer.incremental_unassign(partitions) if strategy.startswith("coop") else consumer.unassign())

        consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
        while not stop[index].is_set():
            consumer.poll(0.1)
        consumer.close()

    def settled(members):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            shares = [set(owned[m]) for m in members]
            if set().union(*shares) == set(range(6)) and sum(map(len, shares)) == 6 and all(shares):
                return True
            time.sleep(0.1)
        return False

    threads = [threading.Thread(target=run, args=(index,)) for index in range(3)]
    try:
        threads[0].start()
        assert settled([0]), owned
        threads[1].start()
        threads[2].start()
        assert settled([0, 1, 2]), owned
        stop[1].set()
        threads[1].join(120)
        assert settled([0, 2]), owned
    finally:
        for event in stop:
            event.set()
        for thread in threads:
            if thread.ident:
                thread.join(60)


def test_a_static_member_returns_without_a_rebalance(shared_broker, topic):
    create(shared_broker.bootstrap, topic, 2)
    admin = AdminClient({"bootstrap.servers": shared_broker.bootstrap})
    group = "g-" + topic

    def member(name):
        assignments = []
        consumer = group_consumer(shared_broker.bootstrap, group, **{"group.instance.id": name})
        consumer.subscribe([topic], on_assign=lambda c, p: assignments.append([x.partition for x in p]))
        return consumer, assignments

    one, one_assigned = member("one")
    two, two_assigned = member("two")
    end = time.monotonic() + 120
    while time.monotonic() < end:
        one.poll(0.1)
        two.poll(0.1)
        if one_assigned and two_assigned and len(one_assigned[-1]) == len(two_assigned[-1]) == 1:
            break
    before = (len(one_assigned), two_assigned[-1])
    two.close()
    two, two_again = member("two")
    end = time.monotonic() + 120
    while time.monotonic() < end and not two_again:
        one.poll(0.1)
        two.poll(0.1)
    assert two_again and two_again[-1] == before[1], "the static member gets its partitions back"
    assert len(one_assigned) == before[0], "the other member saw no rebalance"
    described = admin.describe_consumer_groups([group])[group].result(60)
    assert {m.group_instance_id for m in described.members} == {"one", "two"}
    one.close()
    two.close()
