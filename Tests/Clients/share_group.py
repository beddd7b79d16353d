"""A share group of many members, each a process of its own (share_member.py), what they say of each record, and the
records that they are given."""

import collections
import pathlib
import signal
import subprocess
import sys
import threading
import time

from confluent_kafka import Producer

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


def wait_until(condition, what, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.2)
    raise AssertionError(what() if callable(what) else what)


def configure_group(broker, name, **configs):
    """`a_b` stands for the config `a.b`; groups begin at the earliest offset."""
    given = {"share.auto.offset.reset": "earliest", **{key.replace("_", "."): value for key, value in configs.items()}}
    broker.cli("configs", "alter", "--group", name, *(f"--set={key}={value}" for key, value in given.items()),
               "--bootstrap-server", broker.bootstrap)


def lag(broker, name):
    """How many records of each partition are not done with, as `millrace groups describe` says."""
    described = broker.cli("groups", "describe", name, "--bootstrap-server", broker.bootstrap, check=False)
    # There is no group before its first member has come.
    rows = [line.split() for line in described.stdout.splitlines()[1:]]
    return {(topic, int(partition)): int(count) for _, topic, partition, _, count in rows if count.isdigit()}


def is_done(broker, name):
    """Nothing is left of the topic of the group."""
    left = lag(broker, name)
    return len(left) == PARTITIONS and not any(left.values())


Event = collections.namedtuple("Event", "when count what member")


class Records:
    """What is known of each record, from all members."""

    def __init__(self):
        self.lock = threading.Lock()
        # Of each record: its deliveries, what members were about to say of it, and what the broker has confirmed.
        self.delivered = collections.defaultdict(list)
        self.tried = collections.defaultdict(list)
        self.confirmed = collections.defaultdict(list)

    def note(self, line, member):
        event, when, partition, offset, count, what = line.split()
        key, event_of = (int(partition), int(offset)), {"d": self.delivered, "t": self.tried, "c": self.confirmed}
        with self.lock:
            event_of[event][key].append(Event(float(when), int(count), what, member))

    def ends(self, key):
        """The confirmed ends of a record, without those by members that were late: who is late is told that all is well
        when somebody else has ended the record, as by Kafka."""
        return [
            end for end in self.confirmed[key] if end.what in ("accept", "reject")
            and max((d for d in self.delivered[key] if d.when < end.when), default=end).member == end.member]


class Group:
    """Members that are replaced when they crash.

    - poison: of so many messages one can never be processed (see share_member.py); 0 for none.
    """

    def __init__(self, bootstrap, name, topic, seed, behaving=False, members=MEMBERS, poison=0):
        self.arguments = (bootstrap, name, topic)
        self.seed = seed
        self.poison = poison
        self.records = Records()
        self.crashes = 0
        self.stopping = False
        self.behaving = behaving
        self.members = {}
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(members)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        life = 0
        while not self.stopping:
            process = subprocess.Popen(
                [sys.executable, MEMBER, *self.arguments, str(self.seed + number + life * MEMBERS), str(LOCK_SECONDS),
                 "calm" if self.behaving else "wild", str(self.poison)],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.members[number] = process
            for line in process.stdout:
                if line.endswith("\n"):
                    self.records.note(line, process.pid)
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
    """Records to all partitions, each once whatever happens to the broker: their values are numbers.

    - pace: records a second; as many as possible without one.
    """

    def __init__(self, bootstrap, topic, count, pace=None):
        self.numbers = {}
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5,
            "message.timeout.ms": 240_000, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200})
        self.topic, self.count, self.pace = topic, count, pace
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @staticmethod
    def content(number):
        """The key, the value and the headers of a record."""
        return b"k%d" % (number % 7), b"%d" % number, [("n", b"%d" % number), ("n", b"again"), ("none", None)]

    def run(self):
        for number in range(self.count):
            key, value, headers = self.content(number)
            while True:
                try:
                    self.producer.produce(
                        self.topic, value, key, number % PARTITIONS, headers=headers,
                        on_delivery=lambda error, message, number=number: self.delivered(error, message, number))
                    break
                except BufferError:
                    self.producer.poll(0.1)
            if number % 100 == 0:
                self.producer.poll(0)
                if self.pace:
                    time.sleep(100 / self.pace)
        self.producer.flush(PATIENCE)

    def delivered(self, error, message, number):
        assert error is None, error
        self.numbers[message.partition(), message.offset()] = number

    def wait(self):
        """The number of the record at each partition and offset."""
        self.thread.join(PATIENCE)
        assert len(self.numbers) == self.count
        return self.numbers
