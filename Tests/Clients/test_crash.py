"""kill -9 under load: what was acknowledged is there, once, in order, and the idempotent producer carries on."""

import os
import random
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 3


class Load:
    """An idempotent producer that never stops, and what was acknowledged to it, per partition in order."""

    def __init__(self, bootstrap, topic, padding=0):
        self.acknowledged = [[] for _ in range(PARTITIONS)]
        self.failures = []
        self.sent = 0
        self.stopping = threading.Event()
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 2,
            "message.timeout.ms": 120_000, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200,
            "retry.backoff.ms": 20, "compression.type": "lz4", "queue.buffering.max.messages": 20_000})
        self.topic = topic
        self.padding = padding
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
                time.sleep(0.002)

    def stop(self):
        self.stopping.set()
        self.thread.join(30)
        assert self.producer.flush(120) == 0
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


def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(new_broker, topic, full, seed):
    rounds = 50 if full else 8
    chance = random.Random(seed)
    broker = new_broker(**{"log.segment.bytes": 1 << 20})
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    load = Load(broker.bootstrap, topic)
    try:
        for number in range(rounds):
            time.sleep(chance.uniform(0.2, 1.5))
            broker.kill()
            verified = broker.cli("log", "verify", str(broker.directory / "data"), check=False)
            assert verified.returncode in (0, 1), verified.stdout + verified.stderr
            broker.start()
            print(f"round {number}: up in {broker.startup_seconds * 1000:.0f} ms")
    finally:
        load.stop()
    acknowledged = sum(map(len, load.acknowledged))
    print(f"{acknowledged} of {load.sent} acknowledged")
    assert acknowledged == load.sent
    for partition in range(PARTITIONS):
        records = read_all(broker.bootstrap, topic, partition)
        assert [offset for offset, _ in records] == list(range(len(records))), "offsets are dense"
        assert [value for _, value in records] == list(range(partition, load.sent, PARTITIONS)), \
            "each value once and in order"
        assert records == load.acknowledged[partition], "at the acknowledged offsets"
    broker.stop()
    broker.cli("log", "verify", str(broker.directory / "data"))
