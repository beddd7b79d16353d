"""Groups of the consumer protocol (KIP-848): no partition at two members, none left out, and no more moves than needed,
while members join, leave and die; and groups that change between the protocols while they run."""

import collections
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import Producer, TopicPartition, Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from broker import binary

MEMBER = str(pathlib.Path(__file__).with_name("consumer_member.py"))
PARTITIONS = 24
PATIENCE = 180

# Sessions short enough for a test; Kafka's bounds forbid them unless they are lowered too.
SETTINGS = {
    "group.consumer.min.session.timeout.ms": 20_000, "group.consumer.session.timeout.ms": 20_000,
    "group.consumer.min.heartbeat.interval.ms": 300, "group.consumer.heartbeat.interval.ms": 300}


class Member:
    def __init__(self, broker, group, topic, protocol):
        self.process = subprocess.Popen(
            [sys.executable, MEMBER, broker.bootstrap, group, topic, protocol],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.owned = {}
        # (partition, from, to), in the machine's monotonic time
        self.spans = []
        self.read = collections.defaultdict(set)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break
            moment, event, partition, *offset = line.split()
            moment, partition = float(moment), int(partition)
            if event == "+":
                self.owned = self.owned | {partition: moment}
            elif event == "-":
                owned = dict(self.owned)
                began = owned.pop(partition, None)
                if began is not None:
                    self.spans.append((partition, began, moment))
                self.owned = owned
            else:
                self.read[partition].add(int(offset[0]))

    def end(self, how):
        moment = time.monotonic()
        self.process.send_signal(how)
        status = self.process.wait(PATIENCE)
        self.thread.join(PATIENCE)
        if how == signal.SIGTERM:
            assert status == 0
            moment = time.monotonic()
        # What a killed member had, it had until then.
        self.spans += [(partition, began, moment) for partition, began in self.owned.items()]
        self.owned = {}


class Group:
    def __init__(self, broker, topic, name):
        self.broker, self.topic, self.name = broker, topic, name
        self.members, self.gone = [], []

    def join(self, protocol="consumer"):
        member = Member(self.broker, self.name, self.topic, protocol)
        self.members.append(member)
        return member

    def end(self, member, how):
        self.members.remove(member)
        self.gone.append(member)
        member.end(how)

    def is_complete(self):
        """Every partition at one member, and the members evenly loaded."""
        assignments = [set(member.owned) for member in self.members]
        sizes = [len(assignment) for assignment in assignments]
        return sum(sizes) == PARTITIONS and len(set().union(*assignments)) == PARTITIONS and max(sizes) - min(sizes) <= 1

    def settle(self, what):
        deadline = time.monotonic() + PATIENCE
        quiet_since = None
        while time.monotonic() < deadline:
            assert all(member.process.poll() is None for member in self.members), "a member has ended"
            if not self.is_complete():
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > 1.5:
                return
            time.sleep(0.1)
        raise AssertionError(f"{what}: {[sorted(member.owned) for member in self.members]}\n"
                             + "\n".join(self.broker.output[-40:]))

    def assignments(self):
        return {member: set(member.owned) for member in self.members}

    def check_spans(self):
        """No partition was at two members at the same time."""
        spans = collections.defaultdict(list)
        for member in self.members + self.gone:
            now = time.monotonic()
            for partition, began, ended in member.spans + [(p, b, now) for p, b in member.owned.items()]:
                spans[partition].append((began, ended))
        for partition, times in spans.items():
            times.sort()
            for (_, ended), (began, _) in zip(times, times[1:]):
                assert ended <= began, f"partition {partition} was at two members for {ended - began:.3f} s"

    def check_read(self, ends):
        """Every record was read by somebody."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            missing = {}
            for partition, end in ends.items():
                read = set().union(*(member.read[partition] for member in self.members + self.gone))
                if len(read) < end:
                    missing[partition] = end - len(read)
            if not missing:
                return
            time.sleep(0.2)
        raise AssertionError(f"records that nobody has read, by partition: {missing}")

    def type(self):
        lines = self.broker.cli("groups", "list", "--long", "--bootstrap-server", self.broker.bootstrap).stdout
        return next(line.split()[1].lower() for line in lines.splitlines() if line.split()[:1] == [self.name])

    def stop(self):
        for member in self.members:
            if member.process.poll() is None:
                member.process.kill()
                member.process.wait(60)


class Load:
    """Records to all partitions, all the time."""

    def __init__(self, bootstrap, topic):
        self.topic = topic
        self.counts = collections.Counter()
        self.producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "message.timeout.ms": 120_000})
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(0.02):
            for partition in range(PARTITIONS):
                self.producer.produce(self.topic, b"x" * 50, partition=partition)
                self.counts[partition] += 1
            self.producer.poll(0)

    def stop(self):
        self.stopping.set()
        self.thread.join(60)
        assert self.producer.flush(60) == 0
        return dict(self.counts)


@pytest.fixture
def broker(new_broker):
    return new_broker(**SETTINGS)


@pytest.fixture
def running(broker, topic):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS)])[topic].result(60)
    group = Group(broker, topic, "g-" + topic)
    load = Load(broker.bootstrap, topic)
    yield group, load
    load.stopping.set()
    group.stop()


def test_members_join_leave_and_die(running, seed, full):
    group, load = running
    chance = random.Random(seed)
    sizes = [1, 2, 4, 8, 7, 3, 4, 1]
    if full:
        sizes += [chance.randint(1, 8) for _ in range(20)]
    # Each that is killed costs its session.
    departures = sum(max(0, before - after) for before, after in zip(sizes, sizes[1:]))
    killed = set(chance.sample(range(departures), departures // 4))
    for size in sizes:
        while len(group.members) < size:
            before = group.assignments()
            newcomer = group.join()
            if len(group.members) < size and chance.random() < 0.7:
                continue  # several at once
            group.settle(f"{len(group.members)} members after a join")
            if before and len(before) + 1 == len(group.members) and all(before.values()):
                moved = sum(len(had - set(member.owned)) for member, had in before.items())
                assert moved == len(newcomer.owned), f"{moved} partitions moved for {len(newcomer.owned)}"
        while len(group.members) > size:
            leaving = chance.choice(group.members)
            before = {member: had for member, had in group.assignments().items() if member is not leaving}
            how = signal.SIGKILL if len(group.gone) in killed else signal.SIGTERM
            group.end(leaving, how)
            group.settle(f"{len(group.members)} members after a {how.name}")
            for member, had in before.items():
                assert had <= set(member.owned), "a member lost partitions because another one went"
        group.check_spans()
    group.check_read(load.stop())
    group.check_spans()


def test_a_restart_of_the_broker_moves_nothing(running):
    group, load = running
    for _ in range(3):
        group.join()
    group.settle("three members")
    before = group.assignments()
    group.broker.kill()
    group.broker.start()
    time.sleep(5)
    group.settle("three members after a restart")
    assert group.assignments() == before
    group.check_read(load.stop())


def test_a_group_changes_its_protocol_while_it_runs(running, full):
    group, load = running
    for _ in range(2):
        group.join("classic")
    group.settle("two classic members")
    for _ in range(3 if full else 1):
        assert group.type() == "classic"
        for protocol in ("consumer", "classic"):
            old = list(group.members)
            for member in old:
                group.join(protocol)
                group.settle("members of both kinds")
                assert group.type() == "consumer"
                group.end(member, signal.SIGTERM)
                group.settle(f"a member replaced by one of the {protocol} protocol")
            assert group.type() == protocol
    group.check_spans()
    group.check_read(load.stop())


def test_commands_show_consumer_groups(running):
    group, _ = running
    group.join()
    group.settle("one member")
    at = ("--bootstrap-server", group.broker.bootstrap)
    assert group.type() == "consumer"
    state = group.broker.cli("groups", "describe", group.name, "--state", *at).stdout
    assert "Stable" in state and "uniform" in state
    members = group.broker.cli("groups", "describe", group.name, "--members", "--verbose", *at).stdout
    assert group.topic in members
    offsets = group.broker.cli("groups", "describe", group.name, *at).stdout
    assert len([line for line in offsets.splitlines() if group.topic in line]) == PARTITIONS


def test_members_subscribe_by_regular_expression(broker, topic):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for name in (topic + "-a", "other-" + topic):
        admin.create_topics([NewTopic(name, 2)])[name].result(60)
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": "g-" + topic, "group.protocol": "consumer",
        "auto.offset.reset": "earliest"})
    consumer.subscribe([f"^{topic}-[a-z]"])

    def wait_for(expected):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            consumer.poll(0.2)
            if {TopicPartition(p.topic, p.partition) for p in consumer.assignment()} == expected:
                return
        raise AssertionError(f"{consumer.assignment()}\n" + "\n".join(broker.output[-40:]))

    try:
        expected = {TopicPartition(topic + "-a", partition) for partition in range(2)}
        wait_for(expected)
        admin.create_topics([NewTopic(topic + "-b", 1)])[topic + "-b"].result(60)
        wait_for(expected | {TopicPartition(topic + "-b", 0)})
    finally:
        consumer.close()


@pytest.mark.parametrize("settings", [
    {"partition.assignment.strategy": "cooperative-sticky"},
    {"group.protocol": "consumer"},
], ids=["cooperative-sticky", "consumer"])
def test_members_of_millrace_and_of_librdkafka_share_a_group(shared_broker, topic, settings):
    admin = AdminClient({"bootstrap.servers": shared_broker.bootstrap})
    admin.create_topics([NewTopic(topic, 6)])[topic].result(60)
    group = "g-" + topic
    theirs, ours = collections.defaultdict(set), collections.defaultdict(set)
    owned = set()
    stopping = threading.Event()
    written = 0

    def consume():
        consumer = Consumer({
            "bootstrap.servers": shared_broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest"} | settings)
        consumer.subscribe(
            [topic], on_assign=lambda _, found: owned.update(p.partition for p in found),
            on_revoke=lambda _, lost: owned.difference_update(p.partition for p in lost))
        while not stopping.is_set():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                theirs[message.partition()].add(int(message.value()))
        consumer.close()

    def listen(process):
        for line in process.stdout:
            partition, value = line.split()
            ours[int(partition.removeprefix("Partition:"))].add(int(value))

    def write_until(condition, what):
        nonlocal written
        producer = Producer({"bootstrap.servers": shared_broker.bootstrap, "linger.ms": 5})
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{what}: {owned}, {sorted(theirs)}, {sorted(ours)}"
            for partition in range(6):
                producer.produce(topic, b"%d" % written, partition=partition)
                written += 1
            assert producer.flush(60) == 0
            time.sleep(0.05)

    thread = threading.Thread(target=consume)
    thread.start()
    process = None
    try:
        write_until(lambda: len(owned) == 6 and len(theirs) == 6, "one member reads everything")
        properties = [word for name, value in settings.items() for word in ("--consumer-property", f"{name}={value}")]
        process = subprocess.Popen(
            [binary(), "kafka-console-consumer", "--bootstrap-server", shared_broker.bootstrap, "--topic", topic,
             "--group", group, "--property", "print.partition=true", *properties], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=listen, args=(process,), daemon=True).start()
        write_until(lambda: len(owned) == 3 and set(ours) == set(range(6)) - owned, "two members share the partitions")
        process.terminate()
        process.wait(60)
        write_until(lambda: len(owned) == 6, "the other gets everything back")

        def missing():
            return set(range(written)) - set().union(*theirs.values(), *ours.values())

        deadline = time.monotonic() + PATIENCE
        while missing() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not missing(), f"nobody read {sorted(missing())[:20]}"
    finally:
        stopping.set()
        thread.join(60)
        if process is not None:
            process.kill()
