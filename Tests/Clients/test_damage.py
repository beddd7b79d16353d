"""Copies of a data directory are injured at random: the broker starts, serves nothing that was not written, loses only
what was hit, says what that was, and takes new records. `--full` makes 10,000 injuries."""

import base64
import collections
import random
import re
import shutil
import struct
import threading
import time

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.admin import AdminClient, NewTopic

from broker import Broker
from raw import CORRUPT_MESSAGE, NONE, OFFSET_OUT_OF_RANGE, Fetcher, LEADER_EPOCH, segments, without_epoch

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
TOPICS = {"plain": 24, "cut": 4, "moved": 6, "keyed": 6}
KEYS = 12
HOUR = 3_600_000
# A start of the broker and a pass over everything costs seconds. A hundred hit every tenth file.
INJURIES_A_ROUND = 20
INJURIES_A_FULL_ROUND = 100
CHECKPOINTS = ("recovery-point-offset-checkpoint", "replication-offset-checkpoint", "log-start-offset-checkpoint")

# Nothing is cleaned or removed while copies are read, and segments roll by the records' time only.
SETTINGS = {
    "group.initial.rebalance.delay.ms": 0, "log.cleaner.enable": "false", "log.retention.ms": -1,
    "log.index.interval.bytes": 512, "log.flush.offset.checkpoint.interval.ms": 600_000,
    "offsets.topic.num.partitions": 3, "transaction.state.log.num.partitions": 3}


class Origin:
    """A data directory, and all that was written into it."""

    def __init__(self, directory):
        self.broker = Broker(directory, **SETTINGS)
        self.data = self.broker.directory / "data"
        self.written = collections.defaultdict(set)
        self.values = collections.Counter()
        # The values of transactions whose outcome is known.
        self.committed, self.aborted = set(), set()
        # What each group committed, in order.
        self.commits = {}

    def fill(self, chance):
        self.broker.settings = SETTINGS | {
            "log.roll.ms": 300, "log.cleaner.enable": "true", "log.cleaner.backoff.ms": 50,
            "log.segment.delete.delay.ms": 0}
        self.broker.start()
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        config = {"segment.ms": str(HOUR), "retention.ms": "-1"}
        compact = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": str(HOUR)}
        # The ends of transactions have the time of day.
        quick = config | {"segment.ms": "100"}
        new = [NewTopic(topic, count, 1, config={"keyed": compact, "moved": quick}.get(topic, config))
               for topic, count in TOPICS.items()]
        for future in admin.create_topics(new).values():
            future.result(60)
        start = int(time.time() * 1000) - 20 * HOUR
        self.writers(chance)
        for era in range(6):
            for _ in range(4):
                self.write(start + era * 2 * HOUR)
            self.commit(era)
        for future in admin.delete_records([TopicPartition("cut", p, 30 + 7 * p) for p in range(4)]).values():
            future.result(60)
        cleaned = self.data / "cleaner-offset-checkpoint"
        wait_for(lambda: cleaned.exists() and b"keyed" in cleaned.read_bytes(), "compaction")
        del self.producers, self.transactions
        self.broker.stop()

    def crash(self, chance):
        """Goes on writing for a while, behind the checkpoint of the clean stop, and ends by kill -9."""
        self.broker.settings = SETTINGS
        self.broker.start()
        self.writers(chance)
        for era in range(2):
            for _ in range(4):
                self.write(int(time.time() * 1000) - (4 - 2 * era) * HOUR)
            self.commit(10 + era)
        killer = threading.Timer(0.3, self.broker.kill)
        killer.start()
        while self.broker.is_alive:
            self.write(int(time.time() * 1000), until_killed=True)
        killer.join()
        del self.producers, self.transactions

    def writers(self, chance):
        self.chance = chance
        common = {
            "bootstrap.servers": self.broker.bootstrap, "linger.ms": 5, "enable.idempotence": True,
            "message.timeout.ms": 60_000}
        self.producers = [Producer({**common, "compression.type": codec}) for codec in CODECS]
        self.transactions = Producer({
            **common, "transactional.id": f"mover-{chance.random()}", "compression.type": "lz4"})
        self.transactions.init_transactions(60)

    def value(self):
        self.values["all"] += 1
        return b"%08d-" % self.values["all"] + self.chance.randbytes(self.chance.randrange(20, 90)).hex().encode()

    def write(self, timestamp, until_killed=False):
        """A batch into each partition, and transactions over those of one topic."""
        for topic in ("plain", "cut", "keyed"):
            for partition in range(TOPICS[topic]):
                producer = self.producers[partition % len(CODECS)]
                for _ in range(self.chance.randrange(2, 7)):
                    value = self.value()
                    key = b"key-%d" % self.chance.randrange(KEYS)
                    producer.produce(topic, value, key, partition, timestamp=timestamp)
        for producer in self.producers:
            left = producer.flush(0.1 if until_killed else 60)
            assert until_killed or left == 0
        commits = self.chance.random() < 0.7
        self.transactions.begin_transaction()
        values = [self.value() for _ in range(TOPICS["moved"] * 2)]
        for number, value in enumerate(values):
            self.transactions.produce("moved", value, partition=number % TOPICS["moved"])
        if until_killed:
            self.transactions.flush(0.1)
            return self.broker.process.wait(60)
        self.transactions.flush(60)
        if commits:
            self.transactions.commit_transaction(60)
            self.committed.update(values)
        else:
            self.transactions.abort_transaction(60)
            self.aborted.update(values)

    def commit(self, era):
        for number in range(4):
            group = f"group-{number}"
            consumer = Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": group})
            for offset in range(5 * era, 5 * era + 5):
                consumer.commit(offsets=[TopicPartition("plain", number, offset, "m" * 50)], asynchronous=False)
                self.commits.setdefault(group, []).append(offset)
            consumer.close()

    def note(self):
        """Reads what is there, from the files."""
        self.segments = {}
        for directory in sorted(path for path in self.data.iterdir() if path.is_dir()):
            self.segments[directory.name] = {path.name: found for path, found in segments(directory).items()}
        self.batches = {
            name: [batch for found in files.values() for batch in found] for name, files in self.segments.items()}
        self.recovery_points = offsets(self.data / CHECKPOINTS[0])
        self.starts = offsets(self.data / CHECKPOINTS[2])
        self.files = sorted(path.relative_to(self.data) for path in self.data.rglob("*") if path.is_file())
        self.kinds = collections.defaultdict(list)
        for path in self.files:
            self.kinds["root" if len(path.parts) == 1 else path.suffix or path.name].append(path)


def offsets(path):
    """The entries of a checkpoint file, by the name of the partition's directory."""
    entries = [line.split() for line in path.read_text().splitlines()[2:]]
    return {f"{topic}-{partition}": int(offset) for topic, partition, offset in entries}


def wait_for(condition, what, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def is_partition(name):
    return name.rsplit("-", 1)[0] in TOPICS


class Injured:
    """A copy of a data directory with injuries, and what they hit."""

    WEIGHTS = {
        ".log": 40, ".index": 9, ".timeindex": 9, ".txnindex": 6, ".snapshot": 9, "leader-epoch-checkpoint": 6,
        ".metadata": 6, "root": 3}

    def __init__(self, origin, directory, chance, count):
        self.origin, self.data, self.chance = origin, directory / "data", chance
        shutil.copytree(origin.data, self.data)
        self.injuries = []
        self.paths = set()
        kinds = [kind for kind in self.WEIGHTS if origin.kinds[kind]]
        while len(self.injuries) < count:
            kind = chance.choices(kinds, [self.WEIGHTS[kind] for kind in kinds])[0]
            self.injure(chance.choice(origin.kinds[kind]))
        self.is_clean = (self.data / ".kafka_cleanshutdown").exists()
        self.compare()

    def injure(self, path):
        file = self.data / path
        kind = self.chance.choices(["flip", "zeros", "truncation", "deletion"], [5, 3, 2, 1])[0]
        if not file.exists() or kind != "deletion" and file.stat().st_size == 0:
            return
        if kind == "deletion":
            file.unlink()
            where = ""
        else:
            data = bytearray(file.read_bytes())
            at = self.chance.randrange(len(data))
            if kind == "flip":
                data[at] ^= 1 << self.chance.randrange(8)
            elif kind == "zeros":
                count = min(len(data) - at, int(2 ** self.chance.uniform(0, 13)))
                data[at:at + count] = bytes(count)
                at = f"{at} to {at + count}"
            else:
                del data[at:]
            node = re.search(rb"^(?:node|broker)\.id\s*=\s*(\d+)\s*$", data, re.MULTILINE)
            if path.name == "meta.properties" and node and int(node.group(1)) != 1:
                # Another broker's directory is refused, and has to be.
                return
            file.write_bytes(data)
            where = f" at {at}"
        self.paths.add(path)
        self.injuries.append(f"{kind} of {path}{where}")

    def compare(self):
        """Which batches are not what they were, and which files have to be told of."""
        self.hit = collections.defaultdict(set)
        self.moved = set()
        self.telling = set()
        for path in self.paths:
            if path.suffix != ".log":
                continue
            name = path.parent.name
            found = self.origin.segments[name][path.name]
            file = self.data / path
            data = file.read_bytes() if file.exists() else b""
            for number, batch in enumerate(found):
                now = data[batch.position:batch.position + len(batch.data)]
                if now != batch.data:
                    self.hit[name].add(batch.base)
                    if self.is_moved(name, batch, now):
                        self.moved.add((name, int.from_bytes(now[:8], "big")))
                    elif without_epoch(now) != without_epoch(batch.data):
                        self.telling.add(path)
            # Neither a beginning that is gone nor a gap in a compacted log is a thing that cannot be.
            whole = sum(len(batch.data) for batch in found if batch.base not in self.hit[name])
            if not file.exists() or len(data) == whole:
                self.telling.discard(path)
        # What says whose a partition is, is made anew when its log is opened.
        self.telling |= {
            path for path in self.paths if path.name == "partition.metadata" and is_partition(path.parent.name)
            and topic_id(self.data / path) != topic_id(self.origin.data / path)}

    def is_moved(self, name, batch, now):
        """Whether all that is wrong with a batch is its first offset, which no checksum covers, and that fits into the gap
        that compaction has left around it: then nothing contradicts it."""
        if not name.startswith("keyed-") or without_epoch(now)[8:] != without_epoch(batch.data)[8:]:
            return False
        others = self.origin.batches[name]
        at = others.index(batch)
        start = others[at - 1].last + 1 if at else 0
        end = others[at + 1].base if at + 1 < len(others) else batch.last + 1
        base = int.from_bytes(now[:8], "big")
        return base != batch.base and start <= base <= end - (batch.last - batch.base + 1)

    def was_hit(self, *names):
        return any(path.name in names or path.parent.name.rsplit("-", 1)[0] in names for path in self.paths)

    def log_was_hit(self, topic):
        return any(bases and name.rsplit("-", 1)[0] == topic for name, bases in self.hit.items())

    def may_lose(self, name):
        """The batches of a partition that may not be there any more."""
        lost = set(self.hit[name])
        if self.is_clean or not lost:
            return lost
        cut = self.cut(name)
        return lost | {batch.base for batch in self.origin.batches[name] if batch.base >= cut}

    def cut(self, name):
        """Where a partition's log may end: past the checkpoint a torn write and an injury look alike."""
        batches = self.origin.batches[name]
        end = batches[-1].last + 1 if batches else 0
        if self.is_clean:
            if all(self.was_hit(checkpoint) for checkpoint in CHECKPOINTS[:2]):
                # Nothing says how long the log was but its own end.
                for batch in reversed(batches):
                    if batch.base not in self.hit[name]:
                        break
                    end = batch.base
            return end
        trusted = 0 if self.was_hit(*CHECKPOINTS[:2]) else self.origin.recovery_points.get(name, 0)
        return min([batch.base for batch in batches if batch.base in self.hit[name] and batch.last >= trusted] + [end])


def topic_id(path):
    if not path.exists():
        return None
    lines = path.read_bytes().decode(errors="replace").splitlines()
    values = {name.strip(): value.strip() for name, mark, value in (line.partition(":") for line in lines) if mark}
    text = values.get("topic_id", "")
    if values.get("version") != "0" or not re.fullmatch(r"[\w-]{22}", text, re.ASCII):
        return None
    return base64.urlsafe_b64decode(text + "==")


class Check:
    """What a broker makes of an injured copy."""

    def __init__(self, origin, injured, broker):
        self.origin, self.injured, self.broker = origin, injured, broker
        self.problems = []

    def run(self):
        self.partitions = [(topic, p) for topic, count in TOPICS.items() for p in range(count)]
        self.read_everything()
        self.read_committed()
        self.read_groups()
        self.write()
        if not self.broker.is_alive:
            self.problem("the broker died")
            return
        self.broker.stop()
        self.telling()

    def problem(self, text):
        self.problems.append(text)

    def read_everything(self):
        fetcher = Fetcher(self.broker)
        positions = {partition: self.origin.starts.get("%s-%d" % partition, 0) for partition in self.partitions}
        self.served = {partition: set() for partition in self.partitions}
        self.starts = {}
        known = {
            partition: {batch.base: without_epoch(batch.data) for batch in self.batches(partition)}
            for partition in self.partitions}
        while positions:
            for partition, answer in fetcher.fetch(positions).items():
                position = positions.pop(partition)
                if answer.error == NONE:
                    for batch in answer.batches:
                        if known[partition].get(batch.base) == without_epoch(batch.data):
                            self.served[partition].add(batch.base)
                        elif not (self.is_new_marker(partition, batch)
                                  or ("%s-%d" % partition, batch.base) in self.injured.moved):
                            self.problem(f"{partition} serves at {batch.base} what was not written there")
                    if answer.batches:
                        positions[partition] = max(position, answer.batches[-1].last) + 1
                elif answer.error in (CORRUPT_MESSAGE, OFFSET_OUT_OF_RANGE):
                    later = [batch.base for batch in self.batches(partition) if batch.base > position]
                    if later:
                        positions[partition] = later[0]
                    if later and answer.error == OFFSET_OUT_OF_RANGE:
                        self.starts[partition] = later[0]
                else:
                    self.problem(f"{partition} answers error {answer.error} at {position}")
        fetcher.close()
        for partition in self.partitions:
            self.compare(partition)

    def is_new_marker(self, partition, batch):
        """Whether this is the outcome of a transaction that the coordinator had to write once more."""
        return batch.is_control and batch.base >= self.injured.cut("%s-%d" % partition)

    def batches(self, partition):
        return self.origin.batches["%s-%d" % partition]

    def compare(self, partition):
        name = "%s-%d" % partition
        allowed = self.injured.may_lose(name)
        start = self.origin.starts.get(name, 0)
        if self.injured.was_hit(CHECKPOINTS[2]):
            start = max(start, self.starts.get(partition, 0))
        for batch in self.batches(partition):
            if batch.last >= start and batch.base not in self.served[partition] and batch.base not in allowed:
                self.problem(f"{partition} has lost the batch at {batch.base}, which nothing hit")

    def consumer(self, group):
        return Consumer({
            "bootstrap.servers": self.broker.bootstrap, "group.id": group, "enable.partition.eof": True,
            "check.crcs": True, "enable.auto.commit": False, "isolation.level": "read_committed"})

    def read_committed(self):
        """The partitions whose log is whole, by a client that computes checksums."""
        whole = [
            TopicPartition(topic, p, self.starts.get((topic, p), OFFSET_BEGINNING)) for topic, p in self.partitions
            if not self.injured.hit[f"{topic}-{p}"]]
        consumer = self.consumer("reader")
        consumer.assign(whole)
        ended = set()
        moved = set()
        deadline = time.monotonic() + 90
        while len(ended) < len(whole):
            if time.monotonic() > deadline:
                self.problem(f"only {len(ended)} of {len(whole)} partitions were read to their ends")
                break
            for message in consumer.consume(5000, 0.2):
                error = message.error()
                if error is None:
                    if message.topic() == "moved":
                        moved.add(message.value())
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add((message.topic(), message.partition()))
                else:
                    self.problem(f"{message.topic()}-{message.partition()}: {error}")
        consumer.close()
        if seen := moved & self.origin.aborted:
            self.problem(f"{len(seen)} records of aborted transactions are seen")

    def read_groups(self):
        for group, commits in self.origin.commits.items():
            consumer = self.consumer(group)
            partition = TopicPartition("plain", int(group[-1]))
            found = consumer.committed([partition], timeout=90)[0].offset
            consumer.close()
            if self.injured.log_was_hit("__consumer_offsets"):
                if found >= 0 and found not in commits:
                    self.problem(f"{group} has committed {found}, which it never did")
            elif found != commits[-1]:
                self.problem(f"{group} has committed {found}, not {commits[-1]}")

    def write(self):
        """New records to all partitions, under a producer id that nobody may have had before."""
        delivered = {}
        producer = Producer({
            "bootstrap.servers": self.broker.bootstrap, "enable.idempotence": True, "message.timeout.ms": 60_000,
            "linger.ms": 5})

        def note(error, message):
            delivered[message.topic(), message.partition()] = error or message.offset()

        for topic, p in self.partitions:
            producer.produce(topic, f"new {topic} {p}", b"new", p, on_delivery=note)
        producer.flush(90)
        positions = {}
        for partition in self.partitions:
            result = delivered.get(partition, "no answer")
            if isinstance(result, int):
                positions[partition] = result
            else:
                self.problem(f"{partition} takes no record: {result}")
        fetcher = Fetcher(self.broker)
        answers = fetcher.fetch(positions)
        fetcher.close()
        for partition, offset in positions.items():
            answer = answers[partition]
            if answer.error or not any(
                    batch.base <= offset <= batch.last and b"new %s %d" % (partition[0].encode(), partition[1])
                    in batch.data for batch in answer.batches):
                self.problem(f"{partition} does not serve the new record at {offset}: error {answer.error}")

    def telling(self):
        verified = self.broker.cli("log", "verify", self.injured.data, check=False)
        if verified.returncode not in (0, 1):
            self.problem(f"log verify ended with {verified.returncode}: {verified.stderr}")
        self.told = "\n".join(self.broker.output) + verified.stdout + verified.stderr
        for path in self.injured.telling:
            if str(path) not in self.told:
                self.problem(f"nothing is said of {path}")


@pytest.fixture(scope="module")
def origins(tmp_path_factory):
    """A directory that was stopped cleanly and one that was not, with as much in them."""
    chance = random.Random(1)
    clean = Origin(tmp_path_factory.mktemp("clean"))
    clean.fill(chance)
    crashed = Origin(tmp_path_factory.mktemp("crashed"))
    shutil.copytree(clean.data, crashed.data)
    crashed.committed, crashed.aborted = set(clean.committed), set(clean.aborted)
    crashed.commits = {group: list(commits) for group, commits in clean.commits.items()}
    crashed.values = clean.values
    crashed.crash(chance)
    for origin in (clean, crashed):
        origin.note()
    return {"clean": clean, "crashed": crashed}


@pytest.mark.parametrize("stop", ["clean", "crashed"])
def test_injured_directories_are_served_but_for_what_was_hit(origins, stop, tmp_path, full, seed):
    origin = origins[stop]
    count = INJURIES_A_FULL_ROUND if full else INJURIES_A_ROUND
    rounds = 50 if full else 4
    chance = random.Random(seed)
    began = time.monotonic()
    hit = 0
    for number in range(rounds):
        directory = tmp_path / str(number)
        injured = Injured(origin, directory, chance, count)
        broker = Broker(directory, **SETTINGS)
        check = Check(origin, injured, broker)
        try:
            broker.start(timeout=120)
            check.run()
        except AssertionError as error:
            check.problem(str(error))
        finally:
            if broker.is_alive:
                broker.kill()
        if check.problems:
            print(f"round {number}:", *injured.injuries, sep="\n  ")
            print("The broker's output:", *broker.output[-200:], sep="\n  ")
            raise AssertionError("\n".join(check.problems))
        hit += sum(map(len, injured.hit.values()))
        shutil.rmtree(directory)
    print(f"{rounds} copies with {rounds * count} injuries, which hit {hit} batches, "
          f"{time.monotonic() - began:.0f} s")
