"""Transactions with other people's clients: all or nothing, exactly once, fenced zombies, time-outs, crashes."""

import collections
import pathlib
import random
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import (
    Consumer, KafkaError, KafkaException, Producer, TopicPartition, OFFSET_BEGINNING, IsolationLevel,
    ConsumerGroupTopicPartitions)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

PARTITIONS = 3


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    from broker import Broker
    broker = Broker(
        tmp_path_factory.mktemp("transactions"),
        **{"group.initial.rebalance.delay.ms": 0,
           "transaction.abort.timed.out.transaction.cleanup.interval.ms": 200}).start()
    yield broker
    assert broker.is_alive, "the broker died:\n" + "\n".join(broker.output[-50:])
    broker.stop()
    broker.cli("log", "verify", str(broker.directory / "data"))


def admin(broker):
    return AdminClient({"bootstrap.servers": broker.bootstrap})


def create(broker, *topics, partitions=PARTITIONS):
    client = admin(broker)
    for future in client.create_topics([NewTopic(topic, partitions, 1) for topic in topics]).values():
        future.result(60)


def transactional(broker, transactional_id, **settings):
    producer = Producer({
        "bootstrap.servers": broker.bootstrap, "transactional.id": transactional_id, "linger.ms": 0,
        "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "transaction.timeout.ms": 600_000, **settings})
    producer.init_transactions(60)
    return producer


def read(broker, topic, isolation="read_committed", partitions=PARTITIONS):
    """Everything up to the end of each partition as a new reader sees it, by partition."""
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": f"reader-{random.random()}",
        "isolation.level": isolation, "enable.partition.eof": True, "enable.auto.commit": False, "check.crcs": True})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    values = [[] for _ in range(partitions)]
    ended = set()
    deadline = time.monotonic() + 120
    while len(ended) < partitions:
        assert time.monotonic() < deadline, f"only {ended} of the partitions ended"
        for message in consumer.consume(1000, 1):
            if message.error() is None:
                values[message.partition()].append(message.value().decode())
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                ended.add(message.partition())
    consumer.close()
    return values


def flat(values):
    return sorted(value for partition in values for value in partition)


def end_offset(broker, topic, partition, isolation):
    query = {TopicPartition(topic, partition): OffsetSpec.latest()}
    client = admin(broker)
    return next(iter(client.list_offsets(query, isolation_level=isolation).values())).result(60).offset


def test_a_committed_transaction_is_seen_whole_and_an_aborted_one_not_at_all(broker, topic):
    create(broker, topic)
    producer = transactional(broker, topic)
    expected = []
    for number in range(20):
        producer.begin_transaction()
        values = [f"{number}-{index}" for index in range(10)]
        for index, value in enumerate(values):
            producer.produce(topic, value, partition=index % PARTITIONS)
        if number % 3 == 1:
            producer.flush(60)
            producer.abort_transaction(60)
        else:
            producer.commit_transaction(60)
            expected += values
    assert flat(read(broker, topic)) == sorted(expected)
    assert len(flat(read(broker, topic, "read_uncommitted"))) == 200


def test_nothing_of_an_open_transaction_is_seen_and_what_follows_it_waits(broker, topic):
    create(broker, topic, partitions=1)
    producer = transactional(broker, topic)
    producer.begin_transaction()
    producer.produce(topic, "open")
    producer.flush(60)
    plain = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0})
    plain.produce(topic, "plain")
    assert plain.flush(60) == 0
    assert flat(read(broker, topic, partitions=1)) == []
    assert flat(read(broker, topic, "read_uncommitted", partitions=1)) == ["open", "plain"]
    assert end_offset(broker, topic, 0, IsolationLevel.READ_COMMITTED) == 0
    assert end_offset(broker, topic, 0, IsolationLevel.READ_UNCOMMITTED) == 2
    producer.commit_transaction(60)
    assert read(broker, topic, partitions=1) == [["open", "plain"]]
    assert end_offset(broker, topic, 0, IsolationLevel.READ_COMMITTED) == 3


def test_a_parked_reader_is_woken_by_the_commit(broker, topic):
    create(broker, topic, partitions=1)
    producer = transactional(broker, topic)
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": topic, "isolation.level": "read_committed",
        "fetch.wait.max.ms": 120_000, "socket.timeout.ms": 180_000, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    assert consumer.poll(1) is None
    producer.begin_transaction()
    producer.produce(topic, "x")
    producer.flush(60)
    assert consumer.poll(0.5) is None
    producer.commit_transaction(60)
    began = time.monotonic()
    message = consumer.poll(100)
    assert message is not None and message.value() == b"x"
    assert time.monotonic() - began < 60, "the commit wakes the fetch, not its time-out"
    consumer.close()


def test_consume_transform_produce_is_exactly_once(broker, topic):
    source, target = f"{topic}-in", f"{topic}-out"
    create(broker, source, target)
    plain = Producer({"bootstrap.servers": broker.bootstrap})
    numbers = list(range(300))
    for number in numbers:
        plain.produce(source, str(number), partition=number % PARTITIONS)
    assert plain.flush(60) == 0
    chance = random.Random(7)
    group = f"{topic}-group"

    def run(crashes_after):
        """One life of the processor; ends without a word after some transactions."""
        producer = transactional(broker, f"{topic}-processor")
        consumer = Consumer({
            "bootstrap.servers": broker.bootstrap, "group.id": group, "isolation.level": "read_committed",
            "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 45_000})
        consumer.subscribe([source])
        done = 0
        try:
            while True:
                messages = [m for m in consumer.consume(20, 1.0) if m.error() is None]
                if not messages:
                    lag = sum(
                        consumer.get_watermark_offsets(p, timeout=60)[1] - max(p.offset, 0)
                        for p in consumer.committed(
                            [TopicPartition(source, i) for i in range(PARTITIONS)], timeout=60))
                    if lag == 0:
                        return True
                    continue
                producer.begin_transaction()
                for message in messages:
                    producer.produce(target, b"<" + message.value() + b">", partition=message.partition())
                producer.send_offsets_to_transaction(
                    consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 60)
                done += 1
                if done > crashes_after:
                    producer.flush(60)
                    return False
                if chance.random() < 0.3:
                    producer.abort_transaction(60)
                    for partition in consumer.committed(consumer.assignment(), timeout=60):
                        partition.offset = max(partition.offset, 0)
                        consumer.seek(partition)
                else:
                    producer.commit_transaction(60)
        finally:
            consumer.close()

    lives = 0
    while not run(crashes_after=chance.randint(2, 6)):
        lives += 1
        assert lives < 60, "no progress"
    assert lives > 0, "no life ended early: the test shows nothing"
    values = [value for partition in read(broker, target) for value in partition]
    doubles = [value for value, count in collections.Counter(values).items() if count > 1]
    assert not doubles, f"seen twice: {doubles[:5]}"
    assert sorted(values) == sorted(f"<{number}>" for number in numbers)


class Processing:
    """A stream of numbers, and processors that copy it one after the other until they are killed or fail."""

    def __init__(self, broker, topic):
        self.broker = broker
        self.source, self.target = f"{topic}-in", f"{topic}-out"
        create(broker, self.source, self.target)
        self.sent = 0
        self.undelivered = []
        self.stopping = threading.Event()
        self.process = None
        self.feeder = threading.Thread(target=self.feed)
        self.feeder.start()

    def feed(self):
        producer = Producer({
            "bootstrap.servers": self.broker.bootstrap, "enable.idempotence": True, "linger.ms": 5,
            "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200})
        while not self.stopping.is_set():
            producer.produce(
                self.source, str(self.sent), partition=self.sent % PARTITIONS,
                on_delivery=lambda error, _: self.undelivered.append(error) if error else None)
            self.sent += 1
            producer.poll(0)
            time.sleep(0.002)
        if producer.flush(60) > 0:
            self.undelivered.append("flush")

    def start(self):
        program = pathlib.Path(__file__).with_name("processor.py")
        deadline = time.monotonic() + 60
        while True:
            self.process = subprocess.Popen(
                [sys.executable, str(program), self.broker.bootstrap, self.source, self.target, str(PARTITIONS)],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            if self.process.stdout.readline() == "ready\n":
                return
            self.process.wait(60)
            assert time.monotonic() < deadline, "the processor does not begin"

    def kill(self):
        self.process.kill()
        self.process.wait(60)

    def finish(self):
        """Ends the stream, lets the last processor catch up, and checks that it was copied once and in order."""
        self.stop_feeding()
        assert not self.undelivered, self.undelivered[:3]
        deadline = time.monotonic() + 90
        while sum(map(len, read(self.broker, self.target))) < self.sent:
            assert time.monotonic() < deadline, "the processor does not get to the end"
            if self.process.poll() is not None:
                self.start()
        expected = [[str(n) for n in range(partition, self.sent, PARTITIONS)] for partition in range(PARTITIONS)]
        assert read(self.broker, self.target) == expected, "everything once and in order"

    def stop_feeding(self):
        self.stopping.set()
        self.feeder.join()

    def close(self):
        self.stop_feeding()
        if self.process is not None:
            self.kill()


def test_a_processor_that_is_killed_again_and_again_writes_everything_once(broker, topic, full, seed):
    kills = 100 if full else 8
    chance = random.Random(seed)
    processing = Processing(broker, topic)
    try:
        for _ in range(kills):
            processing.start()
            time.sleep(chance.uniform(0.05, 0.6))
            processing.kill()
        processing.start()
        processing.finish()
        print(f"{processing.sent} records, {kills} kills")
    finally:
        processing.close()


def test_processing_is_exactly_once_over_kill_9_of_the_broker(new_broker, topic, full, seed):
    kills = 40 if full else 4
    chance = random.Random(seed)
    # The broker's own topics roll and are compacted all the time.
    broker = new_broker(**{
        "log.roll.ms": 300, "log.cleaner.backoff.ms": 100, "log.cleaner.min.cleanable.ratio": 0.01,
        "transaction.state.log.num.partitions": 1, "offsets.topic.num.partitions": 1})
    processing = Processing(broker, topic)
    try:
        processing.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.3, 1.2))
            broker.kill()
            broker.start()
            if processing.process.poll() is not None:
                processing.start()
        processing.finish()
        print(f"{processing.sent} records, {kills} kills")
    finally:
        processing.close()
    broker.stop()
    broker.cli("log", "verify", str(broker.directory / "data"))


def test_kafka_python_commits_and_aborts(broker, topic):
    import kafka
    create(broker, topic, partitions=1)
    producer = kafka.KafkaProducer(
        bootstrap_servers=broker.bootstrap, transactional_id=topic, acks="all", enable_idempotence=True)
    producer.init_transactions()
    for number in range(6):
        producer.begin_transaction()
        producer.send(topic, b"%d" % number)
        if number % 2:
            producer.flush()
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    producer.close()
    consumer = kafka.KafkaConsumer(
        topic, bootstrap_servers=broker.bootstrap, isolation_level="read_committed", auto_offset_reset="earliest",
        consumer_timeout_ms=60_000)
    assert [next(consumer).value for _ in range(3)] == [b"0", b"2", b"4"]
    consumer.close()


def test_offsets_of_an_open_transaction_are_not_told_to_who_wants_stable_ones(broker, topic):
    create(broker, topic, partitions=1)
    producer = transactional(broker, topic)
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": topic, "auto.offset.reset": "earliest",
        "enable.auto.commit": False})
    consumer.subscribe([topic])
    deadline = time.monotonic() + 60
    while not consumer.assignment() and time.monotonic() < deadline:
        consumer.poll(0.2)
    metadata = consumer.consumer_group_metadata()

    def committed():
        groups = [ConsumerGroupTopicPartitions(topic, [TopicPartition(topic, 0)])]
        client = admin(broker)
        result = client.list_consumer_group_offsets(groups, require_stable=True, request_timeout=5)
        return next(iter(result.values())).result(60).topic_partitions[0]

    for commit, expected in ((True, 5), (False, 5), (True, 9)):
        producer.begin_transaction()
        offset = 5 if expected == 5 and commit else 9
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, offset)], metadata, 60)
        unstable = committed()
        assert unstable.error is not None and unstable.error.code() == KafkaError.UNSTABLE_OFFSET_COMMIT
        if commit:
            producer.commit_transaction(60)
        else:
            producer.abort_transaction(60)
        deadline = time.monotonic() + 60
        while committed().error is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert committed().offset == expected
    consumer.close()


def test_a_zombie_is_fenced_and_its_transaction_aborted(broker, topic):
    create(broker, topic)
    zombie = transactional(broker, topic)
    zombie.begin_transaction()
    zombie.produce(topic, "zombie", partition=0)
    zombie.flush(60)
    successor = transactional(broker, topic)
    zombie.produce(topic, "late", partition=1)
    with pytest.raises(KafkaException) as refused:
        zombie.commit_transaction(60)
    assert refused.value.args[0].fatal(), refused.value
    assert refused.value.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED), refused.value
    successor.begin_transaction()
    successor.produce(topic, "successor", partition=0)
    successor.commit_transaction(60)
    assert flat(read(broker, topic)) == ["successor"]


def test_a_transaction_left_open_is_aborted_after_its_time_out(broker, topic):
    create(broker, topic, partitions=1)
    producer = transactional(broker, topic, **{"transaction.timeout.ms": 4000})
    began = time.monotonic()
    producer.begin_transaction()
    producer.produce(topic, "never")
    producer.flush(60)
    plain = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0})
    plain.produce(topic, "behind it")
    assert plain.flush(60) == 0
    seen = flat(read(broker, topic, partitions=1))
    # A slow machine comes too late to see it open.
    assert seen == [] or time.monotonic() - began > 4
    deadline = time.monotonic() + 120
    while flat(read(broker, topic, partitions=1)) != ["behind it"]:
        assert time.monotonic() < deadline, "the time-out did not end the transaction"
        time.sleep(0.2)
    with pytest.raises(KafkaException):
        producer.commit_transaction(60)
    assert flat(read(broker, topic, partitions=1)) == ["behind it"]


class TransactionLoad:
    """A transactional producer that never stops: what it was told of every transaction's outcome."""

    def __init__(self, broker, topic, seed):
        self.broker, self.topic = broker, topic
        self.chance = random.Random(seed)
        self.committed, self.aborted, self.unknown = set(), set(), set()
        self.number = 0
        self.errors = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.live()
        except Exception as error:  # noqa: BLE001: shown by stop()
            self.errors.append(error)

    def live(self):
        """Until the producer is of no use any more; a successor goes on."""
        while True:
            try:
                producer = transactional(
                    self.broker, self.topic, **{
                        "transaction.timeout.ms": 10_000, "message.timeout.ms": 9_000,
                        "metadata.recovery.strategy": "none"})
                break
            except KafkaException as error:
                if self.stopping.is_set():
                    raise
                assert error.args[0].retriable(), error
        while not self.stopping.is_set():
            number = self.number
            self.number += 1
            commits = self.chance.random() < 0.7
            deciding = False
            try:
                producer.begin_transaction()
                for index in range(6):
                    producer.produce(self.topic, f"{number}-{index}", partition=index % PARTITIONS)
                if commits:
                    deciding = True
                    self.patiently(producer.commit_transaction)
                    self.committed.add(number)
                else:
                    producer.flush(10)
                    self.patiently(producer.abort_transaction)
                    self.aborted.add(number)
            except KafkaException as error:
                # What was not to be committed is not; whether a commit that was under way came through is not known.
                (self.unknown if deciding else self.aborted).add(number)
                if error.args[0].txn_requires_abort():
                    try:
                        self.patiently(producer.abort_transaction)
                        self.unknown.discard(number)
                        self.aborted.add(number)
                        continue
                    except KafkaException:
                        pass
                return

    @staticmethod
    def patiently(call):
        deadline = time.monotonic() + 30
        while True:
            try:
                return call(10)
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise

    def stop(self):
        self.stopping.set()
        self.thread.join(120)
        assert not self.thread.is_alive(), "the producer does not end"
        if self.errors:
            raise self.errors[0]


def test_an_outcome_is_there_after_an_immediate_kill_9(new_broker, topic):
    broker = new_broker()
    create(broker, topic)
    for number in range(4):
        producer = transactional(broker, topic)
        producer.begin_transaction()
        for index in range(PARTITIONS):
            producer.produce(topic, f"{number}-{index}", partition=index)
        producer.commit_transaction(60)
        broker.kill()
        broker.start()
        expected = sorted(f"{n}-{i}" for n in range(number + 1) for i in range(PARTITIONS))
        deadline = time.monotonic() + 60
        while flat(read(broker, topic)) != expected:
            assert time.monotonic() < deadline, flat(read(broker, topic))
            time.sleep(0.1)
        del producer
    broker.stop()
