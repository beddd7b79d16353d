"""kill -9 under load, again and again: what was acknowledged is there, once, in order, transactions are seen whole or
not at all, also by who reads all the time, and the producers carry on."""

import collections
import os
import random
import threading
import time

from confluent_kafka import Consumer, IsolationLevel, KafkaError, Producer, TopicPartition, OFFSET_BEGINNING

from test_transactions import PARTITIONS, TransactionLoad, create, end_offset, read


class Load:
    """An idempotent producer that never stops, and what was acknowledged to it, per partition in order."""

    def __init__(self, bootstrap, topic, padding=0, pause=0.002):
        self.acknowledged = [[] for _ in range(PARTITIONS)]
        self.failures = []
        self.sent = 0
        self.stopping = threading.Event()
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 2,
            "message.timeout.ms": 600_000, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200,
            "retry.backoff.ms": 20, "metadata.recovery.strategy": "none", "compression.type": "lz4",
            "queue.buffering.max.messages": 20_000})
        self.topic = topic
        self.padding = padding
        self.pause = pause
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def delivered(self, error, message):
        if error is None:
            self.acknowledged[message.partition()].append((message.offset(), int(message.value())))
        else:
            self.failures.append(str(error))

    def run(self):
        while not self.stopping.is_set():
            try:
                key = os.urandom(self.padding) if self.padding else None
                self.producer.produce(
                    self.topic, b"%d" % self.sent, key, partition=self.sent % PARTITIONS, on_delivery=self.delivered)
                self.sent += 1
            except BufferError:
                self.producer.poll(0.01)
            if self.sent % 200 == 0:
                self.producer.poll(0)
                time.sleep(self.pause)

    def stop(self):
        self.stopping.set()
        self.thread.join(60)
        assert self.producer.flush(600) == 0
        assert not self.failures, self.failures[:3]


def read_all(bootstrap, topic, partition):
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "reader", "enable.partition.eof": True, "check.crcs": True,
        "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    records = []
    while True:
        for message in consumer.consume(5000, 0.5):
            if message.error() is not None:
                assert message.error().name() == "_PARTITION_EOF", message.error()
                consumer.close()
                return records
            records.append((message.offset(), int(message.value())))


class Follower:
    """A read_committed consumer that reads all the time, whatever happens to the broker."""

    def __init__(self, bootstrap, topic):
        self.values = [[] for _ in range(PARTITIONS)]
        self.errors = []
        self.stopping = threading.Event()
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": "follower", "isolation.level": "read_committed",
            "enable.auto.commit": False, "check.crcs": True, "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200, "metadata.recovery.strategy": "none", "auto.offset.reset": "error"})
        self.consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            for message in self.consumer.consume(1000, 0.2):
                if message.error() is None:
                    self.values[message.partition()].append(message.value().decode())
                elif message.error().code() not in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                    self.errors.append(message.error())
        self.consumer.close()

    def stop(self):
        self.stopping.set()
        self.thread.join(60)
        assert not self.thread.is_alive(), "the consumer does not end"
        assert not self.errors, self.errors[:3]


def test_nothing_is_lost_doubled_or_seen_in_part_by_kill_9(new_broker, topic, full, seed):
    rounds = 300 if full else 20
    chance = random.Random(seed)
    broker = new_broker(**{
        "log.segment.bytes": 1 << 20, "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500})
    transactions = f"{topic}-transactions"
    create(broker, topic, transactions)
    load = Load(broker.bootstrap, topic, pause=0.02)
    transactional = TransactionLoad(broker, transactions, seed)
    follower = Follower(broker.bootstrap, transactions)
    slowest = 0
    began = time.monotonic()
    try:
        for number in range(rounds):
            time.sleep(chance.uniform(0.2, 1.2))
            broker.kill()
            if number % 20 == 0:
                verified = broker.cli("log", "verify", str(broker.directory / "data"), check=False)
                assert verified.returncode in (0, 1), verified.stdout + verified.stderr
            broker.start(timeout=120)
            slowest = max(slowest, broker.startup_seconds)
        took = time.monotonic() - began
        load.stop()
        transactional.stop()
        check_acknowledged(broker, topic, load)
        check_transactions(broker, transactions, transactional, follower)
    finally:
        for thread in (load, transactional, follower):
            thread.stopping.set()
    follower.stop()
    print(f"{rounds} kills in {took:.0f} s, up again within {slowest:.2f} s; {load.sent} records; "
          f"{len(transactional.committed)} transactions committed, {len(transactional.aborted)} aborted, "
          f"{len(transactional.unknown)} not known")
    broker.stop()
    broker.cli("log", "verify", str(broker.directory / "data"))


def check_acknowledged(broker, topic, load):
    acknowledged = sum(map(len, load.acknowledged))
    assert acknowledged == load.sent
    for partition in range(PARTITIONS):
        records = read_all(broker.bootstrap, topic, partition)
        assert [offset for offset, _ in records] == list(range(len(records))), "offsets are dense"
        assert [value for _, value in records] == list(range(partition, load.sent, PARTITIONS)), \
            "each value once and in order"
        assert records == load.acknowledged[partition], "at the acknowledged offsets"


def check_transactions(broker, topic, load, follower):
    # Whatever a life left open ends with its successor or its time-out.
    deadline = time.monotonic() + 90
    while any(
            end_offset(broker, topic, partition, IsolationLevel.READ_COMMITTED)
            != end_offset(broker, topic, partition, IsolationLevel.READ_UNCOMMITTED)
            for partition in range(PARTITIONS)):
        assert time.monotonic() < deadline, "a transaction hangs"
        time.sleep(0.2)
    values = read(broker, topic)
    while list(map(len, follower.values)) != list(map(len, values)):
        assert time.monotonic() < deadline, "the consumer that reads all the time does not see what a new one does"
        time.sleep(0.2)
    assert follower.values == values
    counts = collections.Counter(value for partition in values for value in partition)
    assert max(counts.values()) == 1, [value for value, count in counts.items() if count > 1][:5]
    seen = collections.Counter(int(value.split("-")[0]) for value in counts)
    halves = {number: count for number, count in seen.items() if count != 6}
    assert not halves, f"seen in part: {halves}"
    assert load.committed <= set(seen), f"lost: {sorted(load.committed - set(seen))[:5]}"
    assert not load.aborted & set(seen), f"aborted and seen: {sorted(load.aborted & set(seen))[:5]}"
    assert load.committed
