"""What becomes of messages that a share group cannot process, seen with confluent-kafka's ShareConsumer: they do not hold
up the others, come back after the configured delays, and end in the dead-letter topic as they were, also when that topic
is not there at first. How they fare under crashes is in test_share_groups.py."""

import collections
import os
import statistics
import time
import uuid

import pytest
from confluent_kafka import AcknowledgeType, Producer, ShareConsumer
from confluent_kafka.admin import AdminClient, NewTopic

from letters import DELIVERED_TOO_OFTEN, REJECTED, content, read_all, read_letters
from share_group import (
    DELIVERY_LIMIT, PARTITIONS, PATIENCE, SETTINGS, Group, Load, configure_group, is_done, lag, wait_until)

ACCEPT, RELEASE, REJECT = AcknowledgeType.ACCEPT, AcknowledgeType.RELEASE, AcknowledgeType.REJECT
# A machine that stands still for a while puts nobody out.
PATIENT = {**SETTINGS, "group.share.record.lock.duration.ms": 30_000, "group.share.session.timeout.ms": 45_000}
COMPLAINT = "dead letters cannot be written"


class Member:
    """The only member of its group: what it takes is for it to acknowledge."""

    def __init__(self, broker, group, topic):
        self.consumer = ShareConsumer({
            "bootstrap.servers": broker.bootstrap, "group.id": group, "share.acknowledgement.mode": "explicit",
            "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200})
        self.consumer.subscribe([topic])

    def poll(self, seconds):
        messages = self.consumer.poll(seconds)
        return [message for message in messages if message.error() is None]

    def acknowledge(self, verdicts):
        for message, verdict in verdicts:
            self.consumer.acknowledge(message, verdict)
        outcome = self.consumer.commit_sync(30.0)
        assert all(error is None for error in outcome.values()), outcome

    def judge(self, count, verdict):
        """Takes so many messages and acknowledges each as `verdict` says of its value."""
        taken = []
        deadline = time.monotonic() + PATIENCE
        while len(taken) < count:
            assert time.monotonic() < deadline, f"got {len(taken)} of {count} messages"
            if messages := self.poll(0.5):
                self.acknowledge([(message, verdict(message.value())) for message in messages])
                taken += messages
        return taken

    def close(self):
        self.consumer.close()


def create(broker, topic, partitions=1, **configs):
    """`a_b` stands for the config `a.b`."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    configs = {key.replace("_", "."): str(value) for key, value in configs.items()}

    def is_created():
        try:
            admin.create_topics([NewTopic(topic, partitions, config=configs)])[topic].result(60)
            return True
        except Exception as error:
            # It may take a moment until a topic of the same name is gone.
            assert "exists" in str(error), error
            return False

    wait_until(is_created, f"{topic} cannot be created")


def produce(broker, topic, values):
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(60) == 0


# Poison


def work_off(broker, count, poison, seed):
    """Has a group process a topic in which one of `poison` messages never can be, and says how many others it did a
    second."""
    topic = f"t-{uuid.uuid4().hex[:12]}"
    name, dead = "g-" + topic, "dlq." + topic
    create(broker, topic, PARTITIONS)
    configure_group(broker, name, errors_deadletterqueue_topic_name=dead)
    numbers = Load(broker.bootstrap, topic, count).wait()
    spoiled = {key for key, number in numbers.items() if poison and number % poison == 0}
    group = Group(broker.bootstrap, name, topic, seed, behaving=True, poison=poison)
    try:
        wait_until(lambda: len(group.records.confirmed) == count, "the members do not come to an end")
        wait_until(lambda: is_done(broker, name), lambda: f"stuck: {lag(broker, name)}")
    finally:
        group.stop()
    letters = read_letters(broker.bootstrap, dead)
    assert sorted(letter.origin for letter in letters) == sorted(spoiled)
    for letter in letters:
        is_rejected = numbers[letter.origin] // poison % 2 == 0
        expected = (REJECTED, 1) if is_rejected else (DELIVERED_TOO_OFTEN, DELIVERY_LIMIT)
        assert (letter.errors["message"], letter.delivery_count) == expected
    ends = [end for key in numbers.keys() - spoiled for end in group.records.ends(key)]
    assert len(ends) == count - len(spoiled) and {end.what for end in ends} == {"accept"}
    began = min(delivery.when for key in numbers for delivery in group.records.delivered[key])
    return len(ends) / (max(end.when for end in ends) - began)


def test_poison_does_not_hold_up_the_rest(new_broker, seed, full):
    broker = new_broker(**PATIENT)
    if not full:
        work_off(broker, 2_000, 200, seed)
        return
    rates = collections.defaultdict(list)
    for _ in range(11):
        for poison in (0, 1000):
            rates[poison].append(work_off(broker, 100_000, poison, seed))
    without, with_poison = (statistics.median(rates[poison]) for poison in (0, 1000))
    print(f"{without:.0f} messages/s without poison, {with_poison:.0f} with one in a thousand "
          f"({100 * with_poison / without:.1f} %); {dict(rates)}")


# Delayed retry


def test_released_messages_come_back_after_the_delay_also_over_a_crash(new_broker, topic, full):
    records, limit, first_ms, longest_ms = (200, 8, 500, 8000) if full else (20, 5, 300, 1200)
    broker = new_broker(**{**PATIENT, "group.share.delivery.count.limit": limit})
    create(broker, topic)
    name, dead = "g-" + topic, "dlq." + topic
    configure_group(broker, name, errors_deadletterqueue_topic_name=dead, **{
        "millrace_share_retry_backoff_ms": first_ms, "millrace_share_retry_backoff_max_ms": longest_ms})
    produce(broker, topic, [b"%d" % number for number in range(records)])
    member = Member(broker, name, topic)
    released, gaps, kills = {}, collections.defaultdict(list), 0
    deadline = time.monotonic() + PATIENCE
    while sum(map(len, gaps.values())) < records * (limit - 1) or len(released) < records:
        assert time.monotonic() < deadline, gaps
        messages = member.poll(0.2)
        now = time.monotonic()
        for message in messages:
            offset, count = message.offset(), message.delivery_count()
            before, when = released.get(offset, (0, None))
            assert count == before + 1, f"offset {offset}: delivery {count} after {before}"
            if when:
                gaps[before].append(now - when)
        for message in messages:
            released[message.offset()] = message.delivery_count(), time.monotonic()
        if messages:
            member.acknowledge([(message, RELEASE) for message in messages])
        # In the middle, while all that was delivered waits for its time.
        if kills == 0 and len(released) == records and all(count >= 3 for count, _ in released.values()):
            kills += 1
            broker.kill()
            broker.start()
    member.close()
    assert kills == 1
    for count in range(1, limit):
        term = min(longest_ms, first_ms << (count - 1)) / 1000
        measured = sorted(gaps[count])
        assert len(measured) == records
        print(f"after delivery {count}: {term:.1f} s by the configs, measured {measured[0]:.2f} to {measured[-1]:.2f} s, "
              f"median {statistics.median(measured):.2f} s" + (" (with a kill in between)" if count == 3 else ""))
        # The broker's clock counts whole milliseconds.
        assert measured[0] >= 0.8 * term - 0.01, f"delivery {count + 1} came too early"
    wait_until(lambda: len(read_letters(broker.bootstrap, dead)) == records, "the letters are not written")
    assert {letter.delivery_count for letter in read_letters(broker.bootstrap, dead)} == {limit}


# Trouble with the dead-letter topic


@pytest.fixture
def strict_broker(new_broker):
    """Makes no dead-letter topics."""
    return new_broker(**PATIENT, **{"errors.deadletterqueue.auto.create.topics.enable": "false"})


def expect_complaint(broker, reason):
    wait_until(lambda: any(COMPLAINT in line and reason in line for line in broker.output),
               lambda: f"nothing is said about {reason!r}:\n" + "\n".join(broker.output[-40:]))


def expect_letters(broker, dead, values):
    def found():
        return sorted(letter.content.value for letter in read_letters(broker.bootstrap, dead))
    wait_until(lambda: found() == sorted(values), lambda: f"{found()}\n" + "\n".join(broker.output[-40:]))


def test_letters_wait_for_their_topic_and_hold_up_nothing(strict_broker, topic):
    broker, name, dead = strict_broker, "g-" + topic, "dlq." + topic
    create(broker, topic)
    configure_group(broker, name, errors_deadletterqueue_topic_name=dead)
    member = Member(broker, name, topic)

    def judge(value):
        return REJECT if value.startswith(b"bad") else ACCEPT

    # There is no such topic.
    produce(broker, topic, [b"bad 1", b"good 1", b"good 2"])
    member.judge(3, judge)
    expect_complaint(broker, "does not exist")
    produce(broker, topic, [b"good 3"])
    assert [message.value() for message in member.judge(1, judge)] == [b"good 3"]
    assert lag(broker, name) == {(topic, 0): 1}
    in_flight = broker.cli("groups", "describe", name, "--in-flight", "--bootstrap-server", broker.bootstrap).stdout
    assert [name, topic, "0", "0", "0", "Archiving", "1"] in [line.split() for line in in_flight.splitlines()]
    assert read_letters(broker.bootstrap, dead) == []

    # Nor after a crash, until somebody makes it; nobody fetches meanwhile.
    member.close()
    broker.kill()
    broker.start()
    expect_complaint(broker, "does not exist")
    create(broker, dead, errors_deadletterqueue_group_enable="true")
    expect_letters(broker, dead, [b"bad 1"])
    wait_until(lambda: any("dead letters are written again" in line for line in broker.output), "nothing is said")
    wait_until(lambda: lag(broker, name) == {(topic, 0): 0}, lambda: f"{lag(broker, name)}")

    # It is deleted.
    broker.output.clear()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_topics([dead])[dead].result(60)
    member = Member(broker, name, topic)
    produce(broker, topic, [b"bad 2", b"good 4"])
    member.judge(2, judge)
    expect_complaint(broker, "does not exist")
    assert lag(broker, name) == {(topic, 0): 1}

    # It comes again, but is too small for one of the letters.
    create(broker, dead, errors_deadletterqueue_group_enable="true", max_message_bytes=2000)
    expect_letters(broker, dead, [b"bad 2"])
    large = b"bad 3 " + b"x" * 3000
    produce(broker, topic, [large, b"bad 4", b"good 5"])
    member.judge(3, judge)
    expect_letters(broker, dead, [b"bad 2", b"bad 4"])
    expect_complaint(broker, "offset 6")
    assert lag(broker, name) == {(topic, 0): 1}
    broker.cli("configs", "alter", "--topic", dead, "--set", "max.message.bytes=10000",
               "--bootstrap-server", broker.bootstrap)
    expect_letters(broker, dead, [b"bad 2", b"bad 4", large])
    wait_until(lambda: lag(broker, name) == {(topic, 0): 0}, lambda: f"{lag(broker, name)}")
    member.close()


# Odd records

ODD = {
    "tombstone": (b"key", None, []),
    "tombstone with headers": (b"key", None, [("h", b"1")]),
    "empty value": (b"key", b"", []),
    "empty key": (b"", b"value", []),
    "null key": (None, b"value", []),
    "nothing": (None, None, []),
    "repeated headers": (b"key", b"value", [("h", b"1"), ("g", b""), ("h", b"2"), ("h", None), ("h", b"1")]),
    "any bytes": (bytes(range(256)), bytes(reversed(range(256))), [("\u00e9", bytes(range(256)))]),
    "1 MiB": (b"large", os.urandom(1 << 20), [("h", b"1")]),
}


def test_odd_records_are_dead_lettered_byte_for_byte(new_broker, topic):
    broker = new_broker(**PATIENT)
    create(broker, topic, max_message_bytes=2 << 20)
    name, dead = "g-" + topic, "dlq." + topic
    configure_group(broker, name, errors_deadletterqueue_topic_name=dead)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        producer = Producer({
            "bootstrap.servers": broker.bootstrap, "compression.type": codec, "message.max.bytes": 2 << 20})
        for key, value, headers in ODD.values():
            producer.produce(topic, value, key, 0, headers=headers)
        assert producer.flush(60) == 0
    originals = {(message.partition(), message.offset()): content(message)
                 for message in read_all(broker.bootstrap, topic)}
    assert [original[:3] for original in originals.values()] == list(ODD.values()) * 5

    member = Member(broker, name, topic)
    taken = member.judge(len(originals), lambda value: REJECT)
    assert {(message.partition(), message.offset()): content(message) for message in taken} == originals
    wait_until(lambda: len(read_letters(broker.bootstrap, dead)) >= len(originals),
               lambda: f"{len(read_letters(broker.bootstrap, dead))} letters\n" + "\n".join(broker.output[-20:]))
    member.close()
    letters = read_letters(broker.bootstrap, dead)
    assert len(letters) == len(originals)
    assert {letter.origin: letter.content for letter in letters} == originals
