"""Many records through every codec, read by a group whose members come, go and are killed."""

import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

MEMBER = str(pathlib.Path(__file__).with_name("group_member.py"))
PARTITIONS = 6


class Member:
    def __init__(self, broker, group, topic, directory, number, session=6000):
        self.path = directory / f"{group}-member-{number}"
        self.output = open(self.path, "w")
        self.process = subprocess.Popen(
            [sys.executable, MEMBER, broker.bootstrap, group, topic, str(session)], stdout=self.output)

    def lines(self):
        return [line for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def records(self):
        return [tuple(line.split()) for line in self.lines() if not line.startswith("#")]

    def partitions(self):
        """How many it has; None before it has begun."""
        changes = [int(line[1:]) for line in self.lines() if line.startswith("#")]
        return sum(changes) if changes else None

    def leave(self):
        until(lambda: self.partitions() is not None)
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0

    def kill(self):
        self.process.kill()
        self.process.wait(60)


def produce(broker, topic, codec, numbers):
    producer = Producer({
        "bootstrap.servers": broker.bootstrap, "compression.type": codec, "linger.ms": 20,
        "enable.idempotence": True, "queue.buffering.max.messages": 200_000})
    failures = []
    padding = b" " + b"payload " * 8
    for n in numbers:
        while True:
            try:
                producer.produce(
                    topic, b"%012d" % n + padding, b"%d" % (n % 1000),
                    on_delivery=lambda e, m: failures.append(e) if e else None)
                break
            except BufferError:
                producer.poll(0.1)
        if n % 1000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0 and not failures


def until(condition, timeout=120):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"it did not come to be in {timeout} s"
        time.sleep(0.2)


def wait_for(members, count, timeout):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if len({r[2] for m in members for r in m.records()}) >= count:
            return
        time.sleep(0.5)
    raise AssertionError(f"{len({r[2] for m in members for r in m.records()})} of {count} records in {timeout} s")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_record_arrives_while_members_come_and_go(shared_broker, topic, codec, full, tmp_path, seed):
    count = 1_000_000 if full else 30_000
    chance = random.Random(seed)
    admin = AdminClient({"bootstrap.servers": shared_broker.bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(60)
    group = "g-" + topic
    members = [Member(shared_broker, group, topic, tmp_path, n) for n in range(3)]
    try:
        produce(shared_broker, topic, codec, range(count // 2))
        running = list(members)
        for _ in range(3 if full else 1):
            victim = running.pop(chance.randrange(len(running)))
            chance.choice([victim.leave, victim.kill])()
            fresh = Member(shared_broker, group, topic, tmp_path, len(members))
            members.append(fresh)
            running.append(fresh)
            time.sleep(chance.uniform(0.5, 3))
        produce(shared_broker, topic, codec, range(count // 2, count))
        wait_for(members, count, 300 if full else 120)
        for member in running:
            member.leave()
    finally:
        for member in members:
            if member.process.poll() is None:
                member.kill()
    records = [r for m in members for r in m.records()]
    ids = {}
    for partition, offset, number in records:
        assert ids.setdefault((partition, offset), number) == number, "one offset, one record"
    assert len(ids) == len(set(ids.values())) == count
    by_key = {}
    for (partition, offset), number in sorted(ids.items(), key=lambda item: int(item[0][1])):
        by_key.setdefault(int(number) % 1000, []).append(int(number))
    assert all(numbers == sorted(numbers) for numbers in by_key.values()), "order per key"


def test_after_a_clean_hand_over_nothing_is_read_twice(shared_broker, topic, tmp_path):
    count = 20_000
    admin = AdminClient({"bootstrap.servers": shared_broker.bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(60)

    def begin(numbers):
        # Nobody joins while records are read: a rebalance may refuse a commit, and the records are read again.
        # Nor is anybody evicted.
        members = [Member(shared_broker, "g-" + topic, topic, tmp_path, n, session=45_000) for n in numbers]
        until(lambda: [member.partitions() for member in members] == [PARTITIONS // 3] * 3)
        return members

    first = begin(range(3))
    produce(shared_broker, topic, "lz4", range(count // 2))
    wait_for(first, count // 2, 120)
    for member in first:
        member.leave()
    second = begin(range(3, 6))
    produce(shared_broker, topic, "lz4", range(count // 2, count))
    wait_for(second, count // 2, 120)
    for member in second:
        member.leave()
    records = [(p, o) for m in first + second for p, o, _ in m.records()]
    assert len(records) == len(set(records)) == count
