"""Thousands of partitions, a thousand idle connections: still quick to start and small."""

import socket
import time

from confluent_kafka import Consumer, Producer, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.admin import AdminClient, NewTopic


def test_two_thousand_partitions_and_a_thousand_idle_connections(new_broker, tmp_path):
    broker = new_broker()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    topics = [f"wide-{n}" for n in range(20)]
    for future in admin.create_topics([NewTopic(t, 100, 1) for t in topics], operation_timeout=60).values():
        future.result(60)

    def write(value):
        failures = []
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        for topic in topics:
            for partition in range(100):
                producer.produce(topic, value, partition=partition,
                                 on_delivery=lambda e, m: failures.append(e) if e else None)
        assert producer.flush(60) == 0 and not failures

    write(b"one")
    broker.restart()
    graceful = broker.startup_seconds
    idle = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(1000)]
    write(b"two")
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "wide", "enable.auto.commit": False})
    consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t in topics for p in range(100)])
    count, end = 0, time.monotonic() + 60
    while count < 4000 and time.monotonic() < end:
        count += len(consumer.consume(4000, 0.5))
    consumer.close()
    assert count == 4000
    resident = broker.resident_mib
    for s in idle:
        s.close()
    broker.kill()
    broker.start()
    print(f"start {graceful * 1000:.0f} ms, after kill -9 {broker.startup_seconds * 1000:.0f} ms, "
          f"resident {resident:.0f} MiB")
    assert resident < 150
    broker.stop()
