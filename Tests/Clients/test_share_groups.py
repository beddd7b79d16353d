"""Share groups (KIP-932) with confluent-kafka's ShareConsumer: members that crash, stall past their locks, release and
reject at random, and a broker that is killed on the way. Every message is accepted once or given up; none is lost, none
is stuck.

What counts as accepted is what the broker has confirmed to the member that had the record last. An acknowledgement
whose answer was lost with the broker may have taken effect or not: then the message must not come back, or come back
and be accepted."""

import collections
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

MEMBER = str(pathlib.Path(__file__).with_name("share_member.py"))
PARTITIONS = 4
MEMBERS = 8
PATIENCE = 240
LOCK_SECONDS = 2
DELIVERY_LIMIT = 10

SETTINGS = {
    "group.share.min.record.lock.duration.ms": 1000, "group.share.record.lock.duration.ms": LOCK_SECONDS * 1000,
    "group.share.delivery.count.limit": DELIVERY_LIMIT,
    # A crashed member keeps its assignment as long as its session.
    "group.share.min.session.timeout.ms": 6000, "group.share.session.timeout.ms": 6000,
    "group.share.min.heartbeat.interval.ms": 500, "group.share.heartbeat.interval.ms": 500}


class Records:
    """What is known of each record, from all members."""

    def __init__(self):
        self.lock = threading.Lock()
        self.deliveries = collections.Counter()
        # Of each record: when it was delivered and when it was confirmed to be done with, for the so-manieth time.
        self.delivered = collections.defaultdict(list)
        self.ended = collections.defaultdict(list)
        self.most = collections.Counter()
        self.tried = collections.defaultdict(set)
        self.confirmed = collections.defaultdict(list)
        self.newest = time.monotonic()

    def note(self, line):
        event, when, partition, offset, count, what = line.split()
        key = int(partition), int(offset)
        moment = float(when), int(count)
        with self.lock:
            self.newest = time.monotonic()
            if event == "d":
                self.deliveries[key] += 1
                self.delivered[key].append(moment)
                self.most[key] = max(self.most[key], int(count))
            elif event == "t":
                self.tried[key].add(what)
            else:
                self.confirmed[key].append(what)
                if what in ("accept", "reject"):
                    self.ended[key].append(moment)

    def is_settled(self, key):
        """The member meant this to be its end, or it has been delivered as often as it may be."""
        return bool(self.tried[key] & {"accept", "reject"}) or self.most[key] >= DELIVERY_LIMIT - 1

    @property
    def quiet_seconds(self):
        return time.monotonic() - self.newest


class Group:
    """Members that are replaced when they crash."""

    def __init__(self, bootstrap, name, topic, seed, behaving=False):
        self.arguments = (bootstrap, name, topic)
        self.seed = seed
        self.records = Records()
        self.crashes = 0
        self.stopping = False
        self.behaving = behaving
        self.members = {}
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(MEMBERS)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        life = 0
        while not self.stopping:
            process = subprocess.Popen(
                [sys.executable, MEMBER, *self.arguments, str(self.seed + number + life * MEMBERS), str(LOCK_SECONDS),
                 "calm" if self.behaving else "wild"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.members[number] = process
            for line in process.stdout:
                if line.endswith("\n"):
                    self.records.note(line)
            if process.wait() != 0:
                self.crashes += 1
            life += 1

    def crash_one(self, chance):
        chance.choice(list(self.members.values())).kill()

    def behave(self):
        self.behaving = True
        for process in list(self.members.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGUSR1)

    def stop(self):
        self.stopping = True
        for process in list(self.members.values()):
            if process.poll() is None:
                process.terminate()
        for thread in self.threads:
            thread.join(30)
        for process in self.members.values():
            if process.poll() is None:
                process.kill()


class Load:
    """Records to all partitions, each once whatever happens to the broker."""

    def __init__(self, bootstrap, topic, count):
        self.offsets = []
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5,
            "message.timeout.ms": 240_000, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200})
        self.topic, self.count = topic, count
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        for number in range(self.count):
            while True:
                try:
                    self.producer.produce(
                        self.topic, b"%d" % number, partition=number % PARTITIONS, on_delivery=self.delivered)
                    break
                except BufferError:
                    self.producer.poll(0.1)
            if number % 100 == 0:
                self.producer.poll(0)
                time.sleep(0.05)
        self.producer.flush(PATIENCE)

    def delivered(self, error, message):
        assert error is None, error
        self.offsets.append((message.partition(), message.offset()))

    def wait(self):
        self.thread.join(PATIENCE)
        assert len(self.offsets) == self.count
        return self.offsets


def wait_until(condition, what, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.2)
    raise AssertionError(what() if callable(what) else what)


def check_verdicts(records, offsets):
    """Accepted once or given up, each of them."""
    given_up = []
    for key in offsets:
        # Who is late is told that all is well when the record has long been done with, as by Kafka.
        for end, count in records.ended[key]:
            again = [d for d in records.delivered[key] if d[0] > end and d[1] > count]
            late = any(c > count and when < end for when, c in records.delivered[key])
            assert late or not again, f"{key} came back after {end} {count}: {records.delivered[key]}"
        assert records.deliveries[key] > 0 or records.most[key] > 0, f"{key} was never delivered"
        if not records.tried[key] & {"accept", "reject"}:
            given_up.append(key)
    for key in given_up:
        # Delivered as often as it may be, and given back each time.
        assert records.most[key] >= DELIVERY_LIMIT - 1, f"{key} is lost after {records.most[key]} deliveries"
    return given_up


@pytest.fixture
def broker(new_broker):
    return new_broker(**SETTINGS)


@pytest.fixture
def group_name(broker, topic):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS)])[topic].result(60)
    name = "g-" + topic
    broker.cli("configs", "alter", "--group", name, "--set", "share.auto.offset.reset=earliest",
               "--bootstrap-server", broker.bootstrap)
    return name


def test_every_message_is_accepted_once_or_given_up(broker, topic, group_name, seed, full):
    count, kills = (100_000, 10) if full else (5_000, 2)
    chance = random.Random(seed)
    group = Group(broker.bootstrap, group_name, topic, seed)
    load = Load(broker.bootstrap, topic, count)
    try:
        for kill in range(1, kills + 1):
            share = count * kill // (kills + 1)
            wait_until(lambda: len(group.records.confirmed) >= share,
                       lambda: f"{len(group.records.confirmed)} of {share}\n" + "\n".join(broker.output[-40:]))
            group.crash_one(chance)
            time.sleep(chance.random())
            broker.kill()
            broker.start()
        offsets = load.wait()
        wait_until(lambda: len(group.records.confirmed) >= count * 9 // 10, "the members do not come to an end")
        group.behave()

        def unsettled():
            return [key for key in offsets if not group.records.is_settled(key)]

        wait_until(lambda: not unsettled(), lambda: f"stuck: {unsettled()[:20]}")
        # Longer than a lock, so that whatever was not really ended has come back.
        wait_until(lambda: group.records.quiet_seconds > LOCK_SECONDS * 2 + 1, "messages come back for ever")
    finally:
        group.stop()
    given_up = check_verdicts(group.records, offsets)
    accepted = sum("accept" in confirmed for confirmed in group.records.confirmed.values())
    print(f"{count} messages: {accepted} confirmed as accepted, {len(given_up)} given up after too many deliveries, "
          f"{group.crashes} crashes of members, {kills} of the broker, "
          f"{sum(group.records.deliveries.values())} deliveries")
    assert group.crashes >= kills

    # It is all on disk: after one more crash nothing comes back.
    broker.kill()
    broker.start()
    late = Group(broker.bootstrap, group_name, topic, seed, behaving=True)
    try:
        time.sleep(LOCK_SECONDS * 2 + 8)
    finally:
        late.stop()
    assert not late.records.deliveries, f"delivered again: {list(late.records.deliveries)[:20]}"
