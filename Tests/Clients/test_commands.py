"""Every command of the program once against a broker, each with a success and most with a failure."""

import base64
import json
import re
import signal
import subprocess
import time

import pytest

from confluent_kafka import KafkaException

from broker import binary


@pytest.fixture
def run(shared_broker):
    """Runs a command against the shared broker and returns what it wrote."""
    def run(*arguments, input=None, fails=False):
        result = shared_broker.cli(
            *arguments, "--bootstrap-server", shared_broker.bootstrap, check=not fails, input=input)
        if fails:
            assert result.returncode not in (0, None) and result.returncode > 0, result
            assert result.stderr.strip() or result.stdout.strip(), "a failure says why"
            return result.stdout + result.stderr
        return result.stdout
    return run


def test_version_and_help():
    for arguments in (["--version"], ["--help"], ["help", "groups", "reset"]):
        assert subprocess.run([binary(), *arguments], capture_output=True).returncode == 0
    wrong = subprocess.run([binary(), "no-such-command"], capture_output=True, text=True)
    assert wrong.returncode != 0 and "no-such-command" in wrong.stderr


def test_topics(run, topic):
    run("topics", "create", topic, "--partitions", 2, "--config", "retention.ms=60000", "--dry-run")
    assert topic not in run("topics", "list").split()
    run("topics", "create", topic, "--partitions", 2, "--config", "retention.ms=60000")
    assert "exists" in run("topics", "create", topic, fails=True)
    run("topics", "create", topic, "--if-not-exists")
    assert topic in run("topics", "list").split()
    assert any(line.split()[0] == topic for line in run("topics", "list", "--long", "--all").splitlines() if line)
    described = run("topics", "describe", topic)
    assert topic in described and "retention.ms=60000" in described
    run("topics", "alter", topic, "--partitions", 4)
    assert run("topics", "describe", topic).count(topic) > described.count(topic)
    run("topics", "alter", topic, "--partitions", 1, fails=True)
    run("topics", "describe", "missing-" + topic, fails=True)
    run("topics", "delete", topic)
    run("topics", "delete", topic, fails=True)
    run("topics", "delete", topic, "--if-exists")


def test_produce_lines(run, topic):
    run("produce", topic, "--key-separator", ":", "--null-marker", "NULL", "--header", "a=1", "--compression", "zstd",
        input="k1:one\nk2:NULL\nNULL:three\n")
    records = [json.loads(line) for line in run("consume", topic, "--from", "beginning", "--stop-at-end",
                                                "--format", "json").splitlines()]
    assert [(r["key"], r["value"]) for r in records] == [("k1", "one"), ("k2", None), (None, "three")]
    assert all(r["offset"] == i and r["topic"] == topic for i, r in enumerate(records))
    assert all("a" in json.dumps(r["headers"]) for r in records)


def test_produce_json_as_it_was_consumed(run, topic):
    run("produce", topic, input="one\ntwo\n")
    first = run("consume", topic, "--from-beginning", "--stop-at-end", "--format", "json")
    run("produce", topic, "--format", "json", input=first)
    values = run("consume", topic, "--from-beginning", "--stop-at-end").split()
    assert values == ["one", "two", "one", "two"]
    run("produce", topic, "--format", "json", input="{not json}\n", fails=True)


def test_produce_files(run, topic, tmp_path):
    content = bytes(range(256))
    (tmp_path / "picture").write_bytes(content)
    run("produce", topic, tmp_path / "picture", "--format", "file", "--key", "cat", "--acks", "1", "--partition", "0")
    text = run("consume", topic, "--from-beginning", "--stop-at-end", "--format", "json")
    record = json.loads(text)
    assert record["key"] == "cat"
    assert base64.b64encode(content).decode() in text
    run("produce", topic, tmp_path / "missing", "--format", "file", fails=True)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_compression(run, topic, codec):
    lines = "".join(f"value {i} {'x' * 50}\n" for i in range(500))
    run("produce", topic, "--compression", codec, input=lines)
    assert run("consume", topic, "--from-beginning", "--stop-at-end") == lines


def test_consume_from_places(run, topic):
    run("produce", topic, input="".join(f"{i}\n" for i in range(10)))
    def read(*arguments): return run("consume", topic, *arguments).split()
    assert read("--from", "beginning", "--count", 3) == ["0", "1", "2"]
    assert read("--from", "7", "--partition", 0, "--stop-at-end") == ["7", "8", "9"]
    assert read("--from", "-2", "--stop-at-end") == ["8", "9"]
    assert read("--from", "end", "--timeout", "300ms") == []
    assert read("--from", "2001-01-01T00:00:00", "--stop-at-end", "--count", 1) == ["0"]
    assert len(read("--from", "1h", "--stop-at-end")) == 10
    assert len(read("--from", "beginning", "--committed", "--stop-at-end")) == 10
    assert "0" in run("consume", topic, "--from", "beginning", "--count", 1, "--format", "long")
    assert run("consume", topic, "--from", "beginning", "--count", 1, "--format", "key", "--key-separator", "|") \
        .strip().endswith("|0")
    run("consume", topic, "--from", "beginning", "--stop-at-end", "--format", "none")
    run("consume", topic, "--from", "someday", fails=True)
    run("consume", "missing-" + topic, "--partition", 9, fails=True)


def test_consume_in_a_group_until_interrupted(shared_broker, run, topic):
    run("produce", topic, input="".join(f"{i}\n" for i in range(100)))
    process = subprocess.Popen(
        [binary(), "consume", topic, "--group", "g-" + topic, "--from", "beginning",
         "--bootstrap-server", shared_broker.bootstrap], stdout=subprocess.PIPE, text=True)
    try:
        assert [process.stdout.readline() for _ in range(100)] == [f"{i}\n" for i in range(100)]
        members = run("groups", "describe", "g-" + topic, "--members", "--verbose")
        assert topic in members
        assert "Stable" in run("groups", "describe", "g-" + topic, "--state")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130)
    finally:
        process.kill()
    row = next(line.split() for line in run("groups", "describe", "g-" + topic).splitlines() if topic in line.split()[1:2])
    assert row[3:6] == ["100", "100", "0"]


def test_groups(run, topic):
    group = "g-" + topic
    run("topics", "create", topic, "--partitions", 2)
    run("produce", topic, "--partition", 0, input="".join(f"{i}\n" for i in range(10)))
    assert len(run("consume", topic, "--group", group, "--from", "beginning", "--count", 4).split()) == 4

    def committed():
        rows = [line.split() for line in run("groups", "describe", group).splitlines()]
        return {int(row[2]): row[3] for row in rows if row[1:2] == [topic]}

    assert committed()[0] == "4"
    assert group in run("groups", "list").split()
    assert any(group in line and "Empty" in line for line in run("groups", "list", "--long").splitlines())
    assert group not in run("groups", "list", "--state", "Stable").split()
    plan = run("groups", "reset", group, "--topic", topic, "--to-earliest")
    assert topic in plan and committed()[0] == "4"
    for how, expected in [
        (["--to-earliest"], "0"), (["--to-latest"], "10"), (["--shift-by", "-3"], "7"), (["--to-offset", "5"], "5"),
        (["--to-current"], "5"), (["--to-datetime", "2001-01-01T00:00:00"], "0"), (["--to-offset", "999"], "10"),
    ]:
        run("groups", "reset", group, "--topic", f"{topic}:0", *how, "--execute")
        assert committed()[0] == expected, how
    run("groups", "reset", group, "--all-topics", "--to-earliest", "--execute")
    assert committed()[0] == "0"
    run("groups", "delete-offsets", group, "--topic", f"{topic}:0")
    assert 0 not in committed() or committed()[0] == "-"
    run("groups", "reset", group, "--topic", topic, "--to-latest", "--execute")
    run("groups", "delete", group)
    assert group not in run("groups", "list").split()
    run("groups", "delete", group, fails=True)
    run("groups", "describe", group, fails=True)


def test_transactions(run, topic, open_transaction):
    listed = run("transactions", "list", "--state", "Ongoing").splitlines()
    assert any(line.split()[0] == topic for line in listed)
    assert topic not in run("transactions", "list", "--longer-than", "1h")
    assert topic in run("transactions", "list", "--pattern", ".*" + re.escape(topic[1:]))
    assert topic not in run("transactions", "list", "--pattern", re.escape(topic[:-1]))
    assert "INVALID_REGULAR_EXPRESSION" in run("transactions", "list", "--pattern", "(" + topic, fails=True)
    described = run("transactions", "describe", topic)
    assert "Ongoing" in described and f"{topic}-0" in described and f"{topic}-1" in described
    run("transactions", "describe", "missing-" + topic, fails=True)
    producers = [line.split() for line in run("transactions", "producers", topic).splitlines()[1:]]
    assert [(row[0], row[-1]) for row in producers] == [(f"{topic}-0", "0"), (f"{topic}-1", "0")]
    assert len(run("transactions", "find-hanging", topic, "--older-than", "0ms").splitlines()) == 1, \
        "its coordinator is going to end it"

    run("transactions", "abort", "--hanging", topic + ":0", "--start-offset", 7, fails=True)
    run("transactions", "abort", "--hanging", topic + ":0", "--start-offset", 0)
    rows = [line.split() for line in run("transactions", "producers", topic).splitlines()[1:]]
    assert [row[-1] for row in rows] == ["-", "0"], "only that partition's transaction was ended"
    run("transactions", "abort", topic)
    assert all(line.split()[-1] == "-" for line in run("transactions", "producers", topic).splitlines()[1:])
    with pytest.raises(KafkaException):
        open_transaction.commit_transaction(30)
    run("transactions", "abort", "missing-" + topic, fails=True)
    assert "missing-" + topic not in run("transactions", "list")


def test_configs(run, topic):
    run("topics", "create", topic)
    run("configs", "alter", "--topic", topic, "--set", "retention.ms=123456", "--append", "cleanup.policy=compact")
    described = run("configs", "describe", "--topic", topic)
    assert "retention.ms" in described and "123456" in described and "delete,compact" in described
    run("configs", "alter", "--topic", topic, "--delete", "retention.ms", "--subtract", "cleanup.policy=compact")
    assert "123456" not in run("configs", "describe", "--topic", topic)
    everything = run("configs", "describe", "--topic", topic, "--all", "--documentation")
    assert "segment.bytes" in everything
    run("configs", "alter", "--topic", topic, "--set", "retention.ms=5", "--dry-run")
    assert "retention.ms=5" not in run("configs", "describe", "--topic", topic).replace(" ", "")
    assert "retention.ms" in run("configs", "alter", "--topic", topic, "--set", "retention.ms=often", fails=True)
    run("configs", "alter", "--topic", topic, "--set", "no.such.config=1", fails=True)
    run("configs", "describe", "--topic", "missing-" + topic, fails=True)
    assert "log.dirs" in run("configs", "describe", "--broker", "1", "--all")


def test_offsets_and_deletion(run, topic):
    run("produce", topic, input="".join(f"{i}\n" for i in range(10)))
    assert re.search(r"\b10\b", run("get-offsets", topic))
    for when, expected in [("earliest", "0"), ("latest", "10"), ("2001-01-01T00:00:00", "0")]:
        assert expected in run("get-offsets", topic, "--time", when).split(), when
    run("delete-records", f"{topic}:0=4")
    assert "4" in run("get-offsets", topic, "--time", "earliest").split()
    run("delete-records", f"{topic}:0=99", fails=True)
    run("delete-records", f"{topic}:0=end")
    assert "10" in run("get-offsets", topic, "--time", "earliest").split()
    run("get-offsets", "missing-" + topic, fails=True)


def test_what_brokers_say_of_themselves(run, topic):
    run("produce", topic, input="one\n")
    assert "Produce" in run("api-versions")
    assert topic in run("log-dirs", "--topic", topic)
    described = json.loads(run("log-dirs", "--topic", topic, "--json"))
    assert topic in json.dumps(described)


def test_bench(run, topic):
    run("topics", "create", topic)
    produced = run("bench", "produce", topic, "--records", 20000, "--size", 200, "--compression", "lz4", "--acks", "all",
                   "--set", "linger.ms=1")
    assert "20000 records sent" in produced and "99th" in produced
    limited = run("bench", "produce", topic, "--records", 500, "--throughput", 1000)
    rate = float(re.findall(r"([\d.]+) records/sec", limited)[-1])
    assert rate < 1200, "the limit"
    consumed = run("bench", "consume", topic, "--records", 20500, "--timeout", "60s", "--set", "fetch.max.wait.ms=100")
    assert "20500" in consumed.replace(" ", "").split(",")
    assert "g-" + topic not in run("groups", "list").split()
    run("bench", "consume", topic, "--records", 20500, "--timeout", "60s", "--intervals", "--group", "g-" + topic)
    assert "g-" + topic in run("groups", "list").split()
    short = run("bench", "consume", topic, "--records", 30000, "--timeout", "500ms")
    assert "WARNING" in short


def test_log_and_storage(new_broker, topic, tmp_path):
    broker = new_broker()
    broker.cli("produce", topic, "--bootstrap-server", broker.bootstrap, input="one\ntwo\n")
    data = tmp_path / "data"
    assert broker.cli("storage", "info", "--log-dirs", data).returncode == 0
    broker.stop()
    partition = data / f"{topic}-0"
    assert "two" in broker.cli("log", "dump", partition, "--records").stdout
    broker.cli("log", "dump", partition, "--indexes")
    broker.cli("log", "verify", data)
    segment = next(partition.glob("*.log"))
    content = bytearray(segment.read_bytes())
    content[65] ^= 1
    segment.write_bytes(content)
    damaged = broker.cli("log", "verify", partition, check=False)
    assert damaged.returncode == 1 and str(segment.name) in damaged.stdout + damaged.stderr
    assert broker.cli("log", "verify", tmp_path / "missing", check=False).returncode != 0

    cluster = broker.cli("storage", "random-uuid").stdout.strip()
    assert len(cluster) == 22
    fresh = tmp_path / "fresh"
    broker.cli("storage", "format", "--cluster-id", cluster, "--log-dirs", fresh)
    assert cluster in broker.cli("storage", "info", "--log-dirs", fresh).stdout
    again = broker.cli("storage", "format", "--cluster-id", cluster, "--log-dirs", fresh, check=False)
    assert again.returncode != 0
    broker.cli("storage", "format", "--cluster-id", cluster, "--log-dirs", fresh, "--ignore-formatted")


def test_log_repair(new_broker, topic, tmp_path):
    broker = new_broker()
    for value in ("one", "two", "three", "four"):
        broker.cli("produce", topic, "--bootstrap-server", broker.bootstrap, input=value + "\n")
    data = tmp_path / "data"
    in_use = broker.cli("log", "repair", data, check=False)
    assert in_use.returncode > 0 and "stop it first" in in_use.stdout + in_use.stderr
    broker.stop()
    assert "sound" in broker.cli("log", "repair", data).stdout

    segment = next((data / f"{topic}-0").glob("*.log"))
    content = bytearray(segment.read_bytes())
    size = 12 + int.from_bytes(content[8:12], "big")
    content[size + 65] ^= 1
    segment.write_bytes(content)
    explained = broker.cli("log", "repair", data, check=False)
    assert explained.returncode == 1 and str(segment) in explained.stdout
    assert "lost: offset 1\n" in explained.stdout and "CORRUPT_MESSAGE" in explained.stdout
    assert segment.read_bytes() == content, "explaining changes nothing"
    assert broker.cli("log", "repair", data, "--discard", check=False).returncode not in (0, 1)

    cut = broker.cli("log", "repair", data / f"{topic}-0", "--cut").stdout
    assert cut.index("lost: offset 1\n") < cut.index("cut: "), "what goes is said before it goes"
    kept = re.search("kept: (.*)", cut)[1]
    assert open(kept, "rb").read() == content[size:size + 12 + int.from_bytes(content[size + 8:size + 12], "big")]
    verified = broker.cli("log", "verify", data).stdout
    assert "sound" in verified and "damaged:" not in verified and "stale:" not in verified
    assert "sound" in broker.cli("log", "repair", data).stdout

    broker.start()
    consumed = broker.cli("consume", topic, "--from", "beginning", "--stop-at-end", "--format", "json",
                          "--bootstrap-server", broker.bootstrap).stdout
    assert [json.loads(line)["offset"] for line in consumed.splitlines()] == [0, 2, 3]
    broker.cli("produce", topic, "--bootstrap-server", broker.bootstrap, input="five\n")
    assert "5" in broker.cli(
        "get-offsets", topic, "--bootstrap-server", broker.bootstrap).stdout.split()


def test_commands_say_that_there_is_no_broker():
    began = time.monotonic()
    result = subprocess.run(
        [binary(), "topics", "list", "--bootstrap-server", "127.0.0.1:1"], capture_output=True, text=True, timeout=120)
    assert result.returncode != 0 and "is the broker running" in result.stdout + result.stderr
    assert time.monotonic() - began < 60
