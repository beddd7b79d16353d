"""Dead letters with other people's clients: records that handlers refuse, letters as Spring, Connect and Streams write
them, redrives that are killed."""

import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import tempfile
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition, TIMESTAMP_CREATE_TIME
from kafka import KafkaProducer

from broker import binary
from letters import content, read_all

TIMESTAMP = 1_700_000_000_000


@pytest.fixture(scope="module")
def broker(shared_broker):
    return shared_broker


@pytest.fixture
def run(broker):
    def run(*arguments, check=True):
        return broker.cli(*arguments, "--bootstrap-server", broker.bootstrap, check=check)
    return run


def create(run, *topics, partitions=2, **configs):
    for topic in topics:
        settings = [word for key, value in configs.items() for word in ("--config", f"{key.replace('_', '.')}={value}")]
        run("topics", "create", topic, "--partitions", partitions, *settings)


def read(broker, topic, timeout=120):
    return read_all(broker.bootstrap, topic, timeout)


def header(message, name):
    values = [value for key, value in message.headers() or [] if key == name]
    return values[-1] if values else None


def wait_until(condition, timeout=120, what="it does not come about"):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


STARTED = []


def start(*arguments, **streams):
    STARTED.append(subprocess.Popen([binary(), *map(str, arguments)], **streams))
    return STARTED[-1]


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.wait()
    STARTED.clear()


class Handler:
    """`millrace consume --exec` in the background."""

    def __init__(self, broker, topic, command, *options, group=None):
        self.broker, self.topic, self.group = broker, topic, group or f"g-{topic}"
        # Files, so that it never waits for somebody to read.
        self.files = [tempfile.NamedTemporaryFile("a") for _ in range(2)]
        begin = [] if "--share" in options else ["--from", "beginning"]
        self.process = start(
            "consume", topic, "--group", self.group, *begin, "--exec", command, *options,
            "--bootstrap-server", broker.bootstrap, stdout=self.files[0], stderr=self.files[1])

    @property
    def output(self):
        return pathlib.Path(self.files[0].name).read_text()

    @property
    def errors(self):
        return pathlib.Path(self.files[1].name).read_text()

    def until(self, condition, timeout=120):
        def check():
            assert self.process.poll() is None, f"it ended:\n{self.errors}"
            return condition()
        wait_until(check, timeout, what=f"it does not get there:\n{self.output}\n{self.errors}")
        return self

    def until_all_is_done(self, timeout=120):
        """Until everything in the topic is committed."""
        return self.until(lambda: lag(self.broker, self.group, self.topic) == 0, timeout)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout=60):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it did not end:\n{self.output}\n{self.errors}")


def handle(broker, topic, command, *options):
    """Runs a handler until everything is done."""
    handler = Handler(broker, topic, command, *options)
    try:
        handler.until_all_is_done()
    finally:
        status = handler.stop()
    assert status == 0, handler.errors
    return handler


def committed(broker, group, topic):
    """The group's offsets in a topic, by partition."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    partitions = [TopicPartition(topic, number) for number in consumer.list_topics(topic, 60).topics[topic].partitions]
    offsets = {p.partition: p.offset for p in consumer.committed(partitions, 60) if p.offset >= 0}
    consumer.close()
    return offsets


def lag(broker, group, topic):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    partitions = [TopicPartition(topic, number) for number in consumer.list_topics(topic, 60).topics[topic].partitions]
    left = sum(consumer.get_watermark_offsets(p, 60)[1] - max(0, p.offset) for p in consumer.committed(partitions, 60))
    consumer.close()
    return left


AWKWARD = [
    # key, value, headers
    (b"k", b"plain", [("a", b"1")]),
    (None, b"no key", []),
    (b"", b"empty key", []),
    (b"k", None, [("tombstone", b"yes")]),
    (b"k", b"", []),
    (b"\x00\xff\xfe", bytes(range(256)), [("h", b"1"), ("h", None), ("h", b"2"), ("", b""), ("bin", b"\x00\x01\xff")]),
    (b"big", os.urandom(1 << 20), [("x", b"y")]),
]


def test_awkward_records_are_dead_lettered_and_redriven_byte_for_byte(broker, run, topic):
    create(run, topic, **{"max_message_bytes": 2_000_000})
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.max.bytes": 2_000_000})
    for number, (key, value, headers) in enumerate(AWKWARD):
        producer.produce(topic, value, key, partition=number % 2, timestamp=TIMESTAMP + number, headers=headers)
    assert producer.flush(60) == 0
    sent = sorted(map(repr, map(content, read(broker, topic))))
    assert len(sent) == len(AWKWARD)

    handle(broker, topic, "cat >/dev/null; echo cannot >&2; exit 1", "--retries", 1, "--backoff", "10ms",
           "--dead-letters", "--workers", 2)
    letters = read(broker, f"{topic}-dlt")
    assert sorted(map(repr, map(content, letters))) == sent
    for letter in letters:
        assert header(letter, "__dlq.errors.topic") == topic.encode()
        assert header(letter, "__dlq.errors.partition") == str(letter.partition()).encode()
        assert header(letter, "__dlq.errors.group") == f"g-{topic}".encode()
        assert header(letter, "__dlq.errors.attempts") == b"2"
        assert header(letter, "__dlq.errors.exception.class") == b"exit-1"
        assert header(letter, "__dlq.errors.exception.message") == b"cannot"
        assert header(letter, "__dlq.errors.message") == b"Offset delivery count exceeded the threshold."

    create(run, f"{topic}-back", **{"max_message_bytes": 2_000_000})
    outcome = json.loads(run("dlq", "redrive", f"{topic}-dlt", "--to", f"{topic}-back", "--json").stdout)
    assert outcome["redriven"] == len(AWKWARD) and outcome["complete"]
    back = read(broker, f"{topic}-back")
    assert sorted(map(repr, map(content, back))) == sent
    assert all(header(m, "__dlq.replays") == b"1" and header(m, "__dlq.errors.topic") is None for m in back)


def test_a_handler_is_told_everything(broker, run, topic, tmp_path):
    create(run, topic, partitions=1)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    producer.send(topic, b"some\x00value", key=b"k 1", headers=[("trace-id", b"7")], timestamp_ms=TIMESTAMP)
    producer.send(topic, None, key=b"\x00")
    producer.flush()
    told = tmp_path / "told"
    command = f'cat >{tmp_path}/value.$MILLRACE_OFFSET; env | grep ^MILLRACE_ >{told}.$MILLRACE_OFFSET; echo done'
    handler = handle(broker, topic, command)
    assert handler.output == "done\ndone\n", handler.errors
    assert (tmp_path / "value.0").read_bytes() == b"some\x00value"
    assert (tmp_path / "value.1").read_bytes() == b""
    variables = dict(line.split("=", 1) for line in (tmp_path / "told.0").read_text().splitlines())
    expected = {
        "MILLRACE_TOPIC": topic, "MILLRACE_PARTITION": "0", "MILLRACE_OFFSET": "0", "MILLRACE_KEY": "k 1",
        "MILLRACE_TIMESTAMP": str(TIMESTAMP), "MILLRACE_ATTEMPT": "1", "MILLRACE_GROUP": f"g-{topic}",
        "MILLRACE_HEADER_TRACE_ID": "7", "MILLRACE_HEADERS": '[{"name":"trace-id","value":"7"}]'}
    assert expected.items() <= variables.items() and "MILLRACE_VALUE_IS_NULL" not in variables
    variables = dict(line.split("=", 1) for line in (tmp_path / "told.1").read_text().splitlines())
    assert variables["MILLRACE_VALUE_IS_NULL"] == "1" and variables["MILLRACE_KEY_BASE64"] == "AA=="
    assert "MILLRACE_KEY" not in variables
    idle = Handler(broker, topic, command, "--timeout", "500ms")
    assert idle.wait() == 0 and idle.output == "", "nothing came for so long"


def test_poison_is_dead_lettered_and_the_rest_goes_on_in_order(broker, run, topic, tmp_path):
    create(run, topic, partitions=3)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(150):
        producer.produce(topic, str(number), partition=number % 3)
    assert producer.flush(60) == 0
    log = tmp_path / "log"
    command = (f'read -r n; case $n in *7) echo "no $n" >&2; exit 1;; *9) exit 65;; *3) kill -9 $$;; esac; '
               f'echo $MILLRACE_PARTITION $n >>{log}')
    handle(broker, topic, command, "--retries", 1, "--backoff", "10ms", "--workers", 3, "--dead-letters=dead-" + topic)
    done = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    for partition in range(3):
        numbers = [number for p, number in done if p == partition]
        assert numbers == [n for n in range(150) if n % 3 == partition and n % 10 not in (3, 7, 9)]
    classes = {}
    for letter in read(broker, "dead-" + topic):
        classes.setdefault(header(letter, "__dlq.errors.exception.class"), set()).add(int(letter.value()))
    assert classes == {kind: {n for n in range(150) if n % 10 == digit}
                       for kind, digit in ((b"exit-1", 7), (b"exit-65", 9), (b"signal-9", 3))}
    assert committed(broker, f"g-{topic}", topic) == {0: 50, 1: 50, 2: 50}


def test_a_handler_that_cannot_be_run_dead_letters_nothing(broker, run, topic):
    create(run, topic, partitions=1)
    run("produce", topic, "--partition", 0, "--key", "x", "/etc/hostname")
    handler = Handler(broker, topic, "no-such-program-anywhere", "--dead-letters")
    assert handler.wait() == 1 and "not found" in handler.errors, handler.errors
    assert f"{topic}-dlt" not in run("topics", "list").stdout.split()
    assert committed(broker, f"g-{topic}", topic).get(0, 0) == 0
    handler = Handler(broker, topic, "exit 1", "--retries", 0)
    assert handler.wait() == 1 and "--dead-letters" in handler.errors, handler.errors
    assert committed(broker, f"g-{topic}", topic).get(0, 0) == 0


def test_a_slow_handler_is_ended_and_a_signal_gives_the_record_back(broker, run, topic, tmp_path):
    create(run, topic, partitions=1)
    run("produce", topic, "--partition", 0, "/etc/hostname")
    handle(broker, topic, "sleep 600", "--exec-timeout", "200ms", "--retries", 0, "--dead-letters")
    assert header(read(broker, f"{topic}-dlt")[0], "__dlq.errors.exception.class") == b"timeout"

    run("produce", topic, "--partition", 0, "/etc/hostname")
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    handler = Handler(broker, topic, f"touch '{begun}'; until test -e '{go_on}'; do sleep 0.05; done; echo done")
    handler.until(begun.exists)
    handler.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    go_on.touch()
    assert handler.wait() == 0, handler.errors
    assert handler.output == "done\n", "it may come to its end"
    assert committed(broker, f"g-{topic}", topic) == {0: 2}


def test_retry_topics_delay_and_the_letter_names_the_first_place(broker, run, topic, tmp_path):
    create(run, topic, partitions=1)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for value in ("good", "bad", "good"):
        producer.produce(topic, value, timestamp=TIMESTAMP)
    assert producer.flush(60) == 0
    log = tmp_path / "log"
    command = f'read -r v; echo $v $MILLRACE_TOPIC $MILLRACE_OFFSET $MILLRACE_ATTEMPT $(date +%s%3N) >>{log}; test $v = good'
    handler = Handler(broker, topic, command, "--retries", 0, "--retry-after", "1s", "--retry-after", "2s", "--dead-letters")
    handler.until(lambda: f"{topic}-dlt" in run("topics", "list").stdout.split() and read(broker, f"{topic}-dlt"))
    handler.until_all_is_done()
    assert handler.stop() == 0, handler.errors
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [line[:4] for line in lines if line[0] == "good"] == [["good", topic, "0", "1"], ["good", topic, "2", "1"]]
    bad = [line for line in lines if line[0] == "bad"]
    assert [line[:4] for line in bad] == [["bad", topic, "1", attempt] for attempt in "123"]
    times = [int(line[4]) for line in bad]
    assert times[1] - times[0] >= 1000 and times[2] - times[1] >= 2000
    [letter] = read(broker, f"{topic}-dlt")
    assert letter.timestamp() == (TIMESTAMP_CREATE_TIME, TIMESTAMP)
    assert header(letter, "__dlq.errors.offset") == b"1" and header(letter, "__dlq.errors.attempts") == b"3"
    assert header(letter, "__dlq.errors.topic") == topic.encode()
    assert not any(key.startswith("__dlq.retry.") for key, _ in letter.headers())


def test_a_dead_letter_topic_that_is_too_small_or_deleted_loses_nothing(broker, run, topic):
    create(run, topic, partitions=1)
    create(run, f"{topic}-dlt", partitions=1, **{"max_message_bytes": 500})
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(topic, b"x" * 2000, partition=0)
    producer.produce(topic, b"small", partition=0)
    assert producer.flush(60) == 0
    handler = Handler(broker, topic, "exit 1", "--retries", 0, "--dead-letters")
    handler.until(lambda: "tried again" in handler.errors)
    assert "MESSAGE_TOO_LARGE" in handler.errors and f"{topic}-dlt" in handler.errors
    handler.until(lambda: handler.errors.count("tried again") > 1)
    assert committed(broker, f"g-{topic}", topic).get(0, 0) == 0, "the record is not passed"
    run("topics", "delete", f"{topic}-dlt")
    handler.until_all_is_done()
    assert handler.stop() == 0, handler.errors
    assert [letter.value() for letter in read(broker, f"{topic}-dlt")] == [b"x" * 2000, b"small"]


def spring(topic, number):
    return [
        ("kafka_dlt-original-topic", topic.encode()), ("kafka_dlt-original-partition", struct.pack(">i", 1)),
        ("kafka_dlt-original-offset", struct.pack(">q", number)),
        ("kafka_dlt-original-timestamp", struct.pack(">q", TIMESTAMP + number)),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"), ("kafka_dlt-original-consumer-group", b"billing"),
        ("kafka_dlt-exception-fqcn", b"java.lang.IllegalStateException"),
        ("kafka_dlt-exception-message", b"bank is closed"), ("kafka_dlt-exception-stacktrace", b"at Bank.open"),
    ]


def connect(topic, number):
    names = {"topic": topic, "partition": 1, "offset": number, "connector.name": "billing", "task.id": 0,
             "stage": "VALUE_CONVERTER", "class.name": "Converter", "exception.class.name": "DataException",
             "exception.message": "bank is closed", "exception.stacktrace": "at Bank.open"}
    return [(f"__connect.errors.{name}", str(value).encode()) for name, value in names.items()]


def streams(topic, number):
    names = {"topic": topic, "partition": 1, "offset": number, "exception": "StreamsException",
             "message": "bank is closed", "stacktrace": "at Bank.open"}
    return [(f"__streams.errors.{name}", str(value).encode()) for name, value in names.items()]


@pytest.mark.parametrize("dialect", [spring, connect, streams])
def test_letters_of_others_are_understood(broker, run, topic, dialect):
    name = dialect.__name__
    create(run, topic, f"{topic}.DLT")
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(20):
        producer.produce(f"{topic}.DLT", f"v{number}", f"k{number}", timestamp=TIMESTAMP + number, partition=0,
                         headers=[("own", b"1"), *dialect(topic, number), ("own", b"2")])
    assert producer.flush(60) == 0

    listed = [json.loads(line) for line in run("dlq", "list", "--json").stdout.splitlines()]
    [found] = [line for line in listed if line["topic"] == f"{topic}.DLT"]
    assert found["letters"] == 20 and found["oldest"] == TIMESTAMP and found["notRedriven"] == 20
    letters = [json.loads(line) for line in run(
        "dlq", "list", f"{topic}.DLT", "--json", "--error-message", "bank is", "--source-topic", topic).stdout.splitlines()]
    assert [letter["letter"]["offset"] for letter in letters] == list(range(20))
    assert all(letter["letter"]["dialect"] == name and letter["letter"]["partition"] == 1 for letter in letters)
    shown = run("dlq", "show", f"{topic}.DLT", "0:7").stdout
    for text in (f"{topic}-1@7", "bank is closed", "at Bank.open", "v7", "Header own: 2"):
        assert text in shown, shown
    assert run("dlq", "show", f"{topic}.DLT", "0:7", "--payload", "raw").stdout == "v7"
    assert "76 37" in run("dlq", "show", f"{topic}.DLT", "0:7", "--payload", "hex").stdout
    assert run("dlq", "show", f"{topic}.DLT", "0:99", check=False).returncode == 1

    outcome = json.loads(run("dlq", "redrive", f"{topic}.DLT", "--json", "--key", "k3", "--key", "k4").stdout)
    assert outcome["redriven"] == 2 and outcome["filtered"] == 18 and outcome["targets"] == {topic: 2}
    run("dlq", "redrive", f"{topic}.DLT", "--from-beginning", "--offsets", "5-19")
    back = read(broker, topic)
    assert sorted(m.value() for m in back) == sorted(f"v{n}".encode() for n in range(3, 20))
    for message in back:
        number = int(message.value()[1:])
        assert message.timestamp() == (TIMESTAMP_CREATE_TIME, TIMESTAMP + number)
        own = [(k, v) for k, v in message.headers() if not k.startswith("__dlq.")]
        assert own == [("own", b"1"), ("own", b"2")], "none of the letter's headers"


def letters(broker, topic, count, replays=0):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 200_000})
    for number in range(count):
        headers = [("__dlq.errors.topic", topic.encode()), ("__dlq.errors.partition", b"0"),
                   ("__dlq.errors.offset", str(number).encode())]
        if replays:
            headers.append(("__dlq.replays", str(replays).encode()))
        producer.produce(f"{topic}-dlt", str(number), f"k{number}", headers=headers, partition=number % 4)
        if number % 10_000 == 0:
            producer.flush(60)
    assert producer.flush(60) == 0


def test_a_dry_run_changes_nothing(broker, run, topic):
    create(run, topic, f"{topic}-dlt", partitions=4)
    letters(broker, topic, 100)

    def state():
        return (run("topics", "list", "--all").stdout, run("groups", "list").stdout, run("transactions", "list").stdout,
                run("get-offsets", topic, f"{topic}-dlt").stdout)

    run("groups", "describe", f"millrace.redrive.{topic}-dlt", check=False)
    before = state()
    plan = json.loads(run("dlq", "redrive", f"{topic}-dlt", "--dry-run", "--json", "--offsets", "0-9").stdout)
    assert plan["redriven"] == 40 and plan["filtered"] == 60 and plan["dryRun"]
    assert state() == before
    assert read(broker, topic) == []


def test_the_loop_guard_stops_what_fails_again(broker, run, topic):
    create(run, topic, f"{topic}-dlt", partitions=1)
    run("produce", topic, "--partition", 0, "/etc/hostname")
    counts = []
    for _ in range(4):
        handle(broker, topic, "exit 1", "--retries", 0, "--dead-letters")
        outcome = json.loads(run("dlq", "redrive", f"{topic}-dlt", "--max-replays", 2, "--json").stdout)
        counts.append((outcome["redriven"], outcome["replayedTooOften"]))
    assert counts == [(1, 0), (1, 0), (0, 1), (0, 0)]
    assert [header(letter, "__dlq.replays") for letter in read(broker, f"{topic}-dlt")] == [None, b"1", b"2"]


def start_redrive(broker, topic, *options):
    return start("dlq", "redrive", topic, "--json", *options, "--bootstrap-server", broker.bootstrap,
                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def passed(run, topic):
    return json.loads(run("dlq", "status", topic, "--json").stdout)["passed"]


def until_passed(process, run, topic, count):
    def check():
        assert process.poll() is None, process.communicate()
        return passed(run, topic) >= count
    wait_until(check)


def test_a_redrive_killed_twice_delivers_each_letter_once(broker, run, topic, full, seed):
    count = 50_000 if full else 2_000
    # So slow that none is done before it is killed, whoever has to wait for the processor.
    rate = count // 100
    chance = random.Random(seed)
    create(run, topic, f"{topic}-dlt", partitions=4)
    letters(broker, topic, count)
    for share in (0.05, 0.1):
        process = start_redrive(broker, f"{topic}-dlt", "--rate", rate)
        until_passed(process, run, f"{topic}-dlt", count * share)
        time.sleep(chance.random() * 0.3)
        process.kill()
        process.communicate()
        assert 0 < passed(run, f"{topic}-dlt") < count
    began = time.monotonic()
    process = start_redrive(broker, f"{topic}-dlt", "--rate", 50 * rate)
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    print(f"last part: {json.loads(output)['redriven']} letters in {time.monotonic() - began:.1f} s")
    values = sorted(int(message.value()) for message in read(broker, topic, timeout=120))
    assert values == list(range(count)), "each exactly once"
    status = json.loads(run("dlq", "status", f"{topic}-dlt", "--json").stdout)
    assert status["left"] == 0 and not status["running"]


def test_one_redrive_at_a_time_and_cancel(broker, run, topic):
    create(run, topic, f"{topic}-dlt", partitions=4)
    letters(broker, topic, 400)
    first = start_redrive(broker, f"{topic}-dlt", "--rate", 2)
    until_passed(first, run, f"{topic}-dlt", 1)
    second = start_redrive(broker, f"{topic}-dlt")
    _, errors = second.communicate(timeout=180)
    assert second.returncode == 1 and "millrace-redrive-" in errors and str(first.pid) in errors, errors
    status = json.loads(run("dlq", "status", f"{topic}-dlt", "--json").stdout)
    assert status["running"] and str(first.pid) in status["members"][0]["clientId"]
    assert str(first.pid) in run("dlq", "cancel", f"{topic}-dlt").stdout
    output, errors = first.communicate(timeout=180)
    assert first.returncode == 1 and "cancelled" in errors, errors
    assert not json.loads(output)["complete"]
    assert run("dlq", "cancel", f"{topic}-dlt", check=False).returncode == 1
    run("dlq", "redrive", f"{topic}-dlt")
    assert sorted(int(m.value()) for m in read(broker, topic)) == list(range(400))


def test_an_interrupted_redrive_says_so(broker, run, topic):
    create(run, topic, f"{topic}-dlt", partitions=4)
    letters(broker, topic, 100)
    process = start_redrive(broker, f"{topic}-dlt", "--rate", 1)
    until_passed(process, run, f"{topic}-dlt", 1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Begin it again" in errors, errors
    done = json.loads(output)
    assert not done["complete"] and 0 < done["redriven"] < 100
    rest = json.loads(run("dlq", "redrive", f"{topic}-dlt", "--json").stdout)
    assert rest["redriven"] == 100 - done["redriven"]


def test_purge(broker, run, topic):
    create(run, topic, f"{topic}-dlt", partitions=4)
    letters(broker, topic, 100)
    assert run("dlq", "purge", f"{topic}-dlt", "--all", check=False).returncode == 1, "nobody can be asked"
    run("dlq", "redrive", f"{topic}-dlt", "--offsets", "0-4")
    run("dlq", "purge", f"{topic}-dlt", "--before-offset", "1:10", "--yes")
    assert len(read(broker, f"{topic}-dlt")) == 90
    run("dlq", "purge", f"{topic}-dlt", "--before", "2001-01-01", "--yes")
    assert len(read(broker, f"{topic}-dlt")) == 90
    run("dlq", "purge", f"{topic}-dlt", "--redriven", "--yes")
    assert read(broker, f"{topic}-dlt") == []
    letters(broker, topic, 8)
    run("dlq", "purge", f"{topic}-dlt", "--all", "--yes")
    assert read(broker, f"{topic}-dlt") == []
    assert "nothing" in run("dlq", "purge", f"{topic}-dlt", "--all", "--yes").stderr


def test_handlers_in_a_share_group(new_broker, topic, tmp_path):
    broker = new_broker(**{"group.share.min.record.lock.duration.ms": 1000, "log.retention.ms": -1})

    def run(*arguments, check=True):
        return broker.cli(*arguments, "--bootstrap-server", broker.bootstrap, check=check)

    create(run, topic, partitions=2)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(60):
        producer.produce(topic, str(number), f"k{number}", partition=number % 2, timestamp=TIMESTAMP)
    assert producer.flush(60) == 0
    refused = run("consume", topic, "--share", "--group", "g", "--exec", "cat", "--retries", 1, check=False)
    assert refused.returncode != 0 and "share.delivery.count.limit" in refused.stderr, refused.stderr
    run("configs", "alter", "--group", "g", "--set", "share.auto.offset.reset=earliest",
        "--set", "share.record.lock.duration.ms=2000", "--set", "share.delivery.count.limit=3",
        "--set", f"errors.deadletterqueue.topic.name=dlq.{topic}")
    log, slow = tmp_path / "log", tmp_path / "slow"
    # One takes longer than its lock lasts; of the rest a third are no good in one way or another.
    command = (f'read -r n; echo $n $MILLRACE_ATTEMPT >>{log}; test $n != 30 || {{ sleep 5; touch {slow}; }}; '
               f'case $n in *7) exit 1;; *9) exit 65;; *3) kill -9 $$;; esac')
    members = [Handler(broker, topic, command, "--share", "--workers", 2, group="g") for _ in range(2)]

    def attempts():
        attempts = {}
        for line in log.read_text().splitlines() if log.exists() else []:
            number, attempt = map(int, line.split())
            attempts.setdefault(number, []).append(attempt)
        return attempts

    def dead():
        exists = f"dlq.{topic}" in run("topics", "list").stdout.split()
        return {int(m.value()): m for m in read(broker, f"dlq.{topic}")} if exists else {}

    for member in members:
        member.until(lambda: slow.exists() and sorted(attempts()) == list(range(60)) and len(dead()) == 18)
    for member in members:
        assert member.stop() == 0, member.errors
    attempts, dead = attempts(), dead()
    assert all(m.key() == f"k{number}".encode() and m.timestamp()[1] == TIMESTAMP for number, m in dead.items())
    # A machine that stood still for two seconds lost a lock; then there are more deliveries than meant.
    if not any("delivered again" in member.errors for member in members):
        for number, counts in attempts.items():
            assert sorted(counts) == ([1, 2, 3] if number % 10 in (3, 7) else [1]), (number, counts)
        for number, letter in dead.items():
            count, message = ((b"1", b"Offset rejected by client.") if number % 10 == 9 else
                              (b"3", b"Offset delivery count exceeded the threshold."))
            assert header(letter, "__dlq.errors.delivery.count") == count, number
            assert header(letter, "__dlq.errors.message") == message, number
    assert sorted(dead) == [n for n in range(60) if n % 10 in (3, 7, 9)]
    # Nothing is left for others.
    idle = Handler(broker, topic, "cat", "--share", "--timeout", "2s", group="g")
    assert idle.wait() == 0 and idle.output == "", idle.output
    outcome = json.loads(run("dlq", "redrive", f"dlq.{topic}", "--json", "--to", topic).stdout)
    assert outcome["redriven"] == 18
