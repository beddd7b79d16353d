"""Kafka's scripts in tools/, each with the options that people use; test_tutorial.py has the quick start."""

import json
import os
import re
import subprocess
import time

import pytest

import sandbox
from broker import ROOT
from test_tutorial import script


@pytest.fixture
def run(shared_broker):
    def run(name, *arguments, stdin=None, fails=False):
        result = script(shared_broker, name + ".sh", "--bootstrap-server", shared_broker.bootstrap,
                        *map(str, arguments), stdin=stdin, check=not fails)
        if fails:
            assert result.returncode > 0, result
            return result.stdout + result.stderr
        return result.stdout
    return run


def test_topics(run, topic):
    run("kafka-topics", "--create", "--topic", topic, "--partitions", 2, "--config", "retention.ms=60000")
    run("kafka-topics", "--create", "--topic", topic, "--if-not-exists")
    assert topic in run("kafka-topics", "--list", "--exclude-internal").split()
    assert topic in run("kafka-topics", "--describe", "--topics-with-overrides")
    for filter in ("--under-replicated-partitions", "--unavailable-partitions", "--under-min-isr-partitions"):
        assert topic not in run("kafka-topics", "--describe", filter)
    run("kafka-topics", "--describe", "--topic", "missing-" + topic, fails=True)
    run("kafka-topics", "--delete", "--topic", "missing-" + topic, "--if-exists")
    run("kafka-topics", "--delete", "--topic", topic)
    run("kafka-topics", "--list", "--create", fails=True)


def test_console_producer_and_consumer(run, topic):
    run("kafka-console-producer", "--topic", topic, "--property", "parse.key=true", "--property", "key.separator=:",
        "--property", "parse.headers=true", "--property", "headers.delimiter=|", "--compression-codec", "lz4",
        "--producer-property", "linger.ms=1", "--request-required-acks", "all", "--sync", stdin="h:1|k1:one\nh:2|k2:two\n")
    read = run("kafka-console-consumer", "--topic", topic, "--from-beginning", "--max-messages", 2,
               "--property", "print.key=true", "--property", "print.offset=true", "--property", "print.partition=true",
               "--property", "print.headers=true", "--property", "print.timestamp=true",
               "--consumer-property", "fetch.max.wait.ms=100", "--isolation-level", "read_committed")
    first, second = read.splitlines()
    assert re.fullmatch(r"CreateTime:\d+\tPartition:0\tOffset:0\th:1\tk1\tone", first)
    assert second.endswith("h:2\tk2\ttwo")
    assert run("kafka-console-consumer", "--topic", topic, "--partition", 0, "--offset", 1, "--max-messages", 1) == "two\n"
    assert run("kafka-console-consumer", "--include", topic[:-1] + ".", "--from-beginning", "--max-messages", 2,
               "--timeout-ms", 60_000).splitlines() == ["one", "two"]
    assert run("kafka-console-consumer", "--topic", topic, "--timeout-ms", 300) == "", "nothing came for so long"
    run("kafka-console-consumer", "--topic", topic, "--offset", 1, fails=True)
    run("kafka-console-producer", stdin="one\n", fails=True)


def test_consumer_groups(run, topic, tmp_path):
    group = "g-" + topic
    groups = lambda *arguments, **given: run("kafka-consumer-groups", *arguments, **given)
    run("kafka-console-producer", "--topic", topic, stdin="".join(f"{i}\n" for i in range(10)))
    run("kafka-console-consumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", 4)

    def committed():
        rows = [line.split() for line in groups("--describe", "--group", group).splitlines()]
        return next((row[3] for row in rows if row[1:2] == [topic]), None)

    assert committed() == "4"
    assert group in groups("--list").split()
    assert re.search(rf"^{group}\s+Empty", groups("--list", "--state"), re.M)
    assert re.search(rf"^{group}\s+Classic", groups("--list", "--type"), re.M)
    assert re.search(rf"^{group}\s.*Empty", groups("--describe", "--group", group, "--state"), re.M)
    groups("--describe", "--group", group, "--members", "--verbose")
    assert topic in groups("--describe", "--all-groups")
    reset = ["--reset-offsets", "--group", group, "--topic", topic]
    plan = groups(*reset, "--to-earliest", "--export", "--dry-run")
    assert committed() == "4"
    (tmp_path / "plan.csv").write_text(plan)
    for how, expected in [
        (["--shift-by", -1], "3"), (["--to-offset", 6], "6"), (["--to-latest"], "10"), (["--by-duration", "PT1H"], "0"),
        (["--to-datetime", "2030-01-01T00:00:00.000"], "10"), (["--to-current"], "10"),
        (["--from-file", tmp_path / "plan.csv"], "0"),
    ]:
        groups(*reset, *how, "--execute")
        assert committed() == expected, how
    groups("--delete-offsets", "--group", group, "--topic", topic)
    assert committed() in (None, "-")
    groups("--delete", "--group", group)
    assert group not in groups("--list").split()
    assert "does not exist" in groups("--describe", "--group", group, fails=True)
    groups("--describe", fails=True)


def test_share_groups(run, shared_broker, topic):
    group = "s-" + topic
    share = lambda *arguments, **given: run("kafka-share-groups", *arguments, **given)

    def consume(*arguments):
        return run("kafka-console-share-consumer", "--topic", topic, "--group", group, *arguments).splitlines()

    def start_offset():
        rows = [line.split() for line in share("--describe", "--group", group).splitlines()]
        return next((row[3] for row in rows if row[1:2] == [topic]), None)

    run("kafka-console-producer", "--topic", topic, stdin="".join(f"{i}\n" for i in range(10)))
    run("kafka-configs", "--alter", "--entity-type", "groups", "--entity-name", group, "--add-config",
        "share.auto.offset.reset=earliest")
    assert consume("--max-messages", 4, "--formatter-property", "print.delivery=true") == [
        f"Delivery:1\t{i}" for i in range(4)]
    assert start_offset() == "4"
    assert consume("--max-messages", 1, "--release") == ["4"]
    in_flight = shared_broker.cli("groups", "describe", group, "--in-flight", "-b", shared_broker.bootstrap).stdout
    assert re.search(rf"^{group}\s+{topic}\s+0\s+4\s+\d+\s+Available\s+1$", in_flight, re.M), in_flight
    assert consume("--max-messages", 1, "--reject", "--formatter-property", "print.delivery=true") == ["Delivery:2\t4"]
    assert consume("--max-messages", 5, "--timeout-ms", 60_000) == ["5", "6", "7", "8", "9"]
    assert start_offset() == "10"
    assert consume("--timeout-ms", 300) == [], "nothing is left"
    assert group in share("--list").split()
    assert re.search(rf"^{group}\s+Empty", share("--list", "--state"), re.M)
    assert group not in share("--list", "--state", "Stable").split()
    share("--list", "--state", "Often", fails=True)
    assert re.search(rf"^{group}\s.*Empty\s+\d+\s+\d+\s+0", share("--describe", "--group", group, "--state", "--verbose"), re.M)
    share("--describe", "--group", group, "--members", "--verbose")
    assert "LEADER-EPOCH" in share("--describe", "--all-groups", "--verbose")
    reset = ["--reset-offsets", "--group", group, "--topic", topic]
    assert re.search(rf"^{group}\s+{topic}\s+0\s+0", share(*reset, "--to-earliest", "--dry-run"), re.M)
    assert start_offset() == "10"
    share(*reset, "--to-earliest", "--execute")
    assert start_offset() == "0"
    share("--reset-offsets", "--group", group, "--all-topics", "--to-latest", "--execute")
    assert start_offset() == "10"
    share(*reset, "--to-earliest", fails=True)
    assert re.search(rf"^{topic}\s+Successful", share("--delete-offsets", "--group", group, "--topic", topic), re.M)
    assert start_offset() is None
    assert f"('{group}') was successful" in share("--delete", "--group", group)
    assert group not in share("--list").split()
    assert "does not exist" in share("--describe", "--group", group, fails=True)
    assert "is not a share group" in share("--delete", "--group", group, fails=True)
    share("--describe", fails=True)
    run("kafka-console-share-consumer", "--topic", topic, "--reject", "--release", fails=True)


def test_groups_of_all_kinds(shared_broker, topic, tmp_path):
    def cli(*arguments, **given):
        return shared_broker.cli(*arguments, "--bootstrap-server", shared_broker.bootstrap, **given).stdout

    (tmp_path / "client").write_text("group.protocol=consumer\n")
    cli("topics", "create", topic)
    cli("produce", topic, input="one\ntwo\n")
    cli("configs", "alter", "--group", f"s-{topic}", "--set", "share.auto.offset.reset=earliest")
    read = ["--count", 2, "--from-beginning"]
    cli("consume", topic, "--group", f"c-{topic}", *read)
    cli("consume", topic, "--group", f"n-{topic}", *read, "--command-config", tmp_path / "client")
    assert cli("consume", topic, "--share", "--group", f"s-{topic}", "--count", 2).split() == ["one", "two"]
    types = {row[0]: row[1].lower() for row in map(str.split, cli("groups", "list", "--long").splitlines())}
    assert [types[f"{kind}-{topic}"] for kind in "cns"] == ["classic", "consumer", "share"]
    assert f"s-{topic}" in cli("groups", "list", "--type", "share").split()
    for kind in "cns":
        rows = [line.split() for line in cli("groups", "describe", f"{kind}-{topic}").splitlines()]
        assert next(row for row in rows if row[1:2] == [topic])[3] == "2"
    cli("groups", "reset", f"s-{topic}", "--topic", topic, "--to-offset", 1, "--execute")
    assert cli("consume", topic, "--share", "--group", f"s-{topic}", "--count", 1).split() == ["two"]
    cli("groups", "delete", f"s-{topic}")
    assert f"s-{topic}" not in cli("groups", "list").split()


def test_transactions(run, topic, open_transaction):
    def cells(text):
        return [line.split() for line in text.splitlines()[1:]]

    partition = ["--topic", topic, "--partition", 0]
    assert [row for row in cells(run("kafka-transactions", "list")) if row[0] == topic][0][3] == "Ongoing"
    assert topic not in run("kafka-transactions", "list", "--duration-filter", 3_600_000)
    described = cells(run("kafka-transactions", "describe", "--transactional-id", topic))[0]
    assert described[1] == topic and described[4] == "Ongoing" and described[8] == f"{topic}-0,{topic}-1"
    assert cells(run("kafka-transactions", "describe-producers", *partition))[0][-1] == "0"
    assert cells(run("kafka-transactions", "find-hanging", "--broker-id", 1, "--max-transaction-timeout", 0)) == []
    run("kafka-transactions", "find-hanging", fails=True)
    run("kafka-transactions", "abort", *partition, "--start-offset", 7, fails=True)
    run("kafka-transactions", "abort", *partition, "--start-offset", 0)
    assert cells(run("kafka-transactions", "describe-producers", *partition))[0][-1] == "None"
    run("kafka-transactions", "forceTerminateTransaction", "--transactionalId", topic)
    assert [row for row in cells(run("kafka-transactions", "list")) if row[0] == topic][0][3] != "Ongoing"
    run("kafka-transactions", "commit", fails=True)


def test_configs(run, topic, tmp_path):
    configs = lambda *arguments, **given: run("kafka-configs", *arguments, **given)
    run("kafka-topics", "--create", "--topic", topic)
    configs("--alter", "--topic", topic, "--add-config", "retention.ms=1000,cleanup.policy=[delete,compact]")
    described = configs("--describe", "--entity-type", "topics", "--entity-name", topic)
    assert "retention.ms=1000" in described and "cleanup.policy=delete,compact" in described
    configs("--alter", "--topic", topic, "--delete-config", "retention.ms")
    assert "retention.ms=1000" not in configs("--describe", "--topic", topic)
    (tmp_path / "changes").write_text("segment.bytes=2000000\n")
    configs("--alter", "--topic", topic, "--add-config-file", tmp_path / "changes")
    assert "segment.bytes=2000000" in configs("--describe", "--topic", topic)
    assert "log.dirs" in configs("--describe", "--broker", 1, "--all")
    configs("--describe", "--entity-type", "brokers", "--entity-default")
    configs("--alter", "--topic", topic, "--add-config", "no.such.config=1", fails=True)
    configs("--alter", "--topic", topic, "--add-config", "retention.ms=often", fails=True)


def test_offsets_records_and_directories(run, topic, tmp_path):
    run("kafka-console-producer", "--topic", topic, stdin="".join(f"{i}\n" for i in range(10)))
    offsets = lambda *arguments: run("kafka-get-offsets", *arguments).split()
    assert offsets("--topic", topic) == [f"{topic}:0:10"]
    assert offsets("--topic-partitions", f"{topic}:0", "--time", "earliest") == [f"{topic}:0:0"]
    assert offsets("--topic", topic, "--partitions", 0, "--time", -1) == [f"{topic}:0:10"]
    assert offsets("--topic", topic, "--time", "max-timestamp") != []
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 6}]}))
    assert re.search(rf"partition: {topic}-0\s+low_watermark: 6", run("kafka-delete-records", "--offset-json-file", plan))
    assert offsets("--topic", topic, "--time", "earliest") == [f"{topic}:0:6"]
    plan.write_text("{")
    run("kafka-delete-records", "--offset-json-file", plan, fails=True)
    text = run("kafka-log-dirs", "--describe", "--topic-list", topic, "--broker-list", 1)
    described = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
    assert topic in json.dumps(described)
    assert "Fetch(1)" in run("kafka-broker-api-versions")


def test_perf_tools(run, shared_broker, topic, tmp_path):
    run("kafka-topics", "--create", "--topic", topic)
    (tmp_path / "payload").write_text("first\nsecond\n")
    produced = script(
        shared_broker, "kafka-producer-perf-test.sh", "--topic", topic, "--num-records", "1000", "--payload-file",
        str(tmp_path / "payload"), "--throughput", "2000", "--producer-props",
        f"bootstrap.servers={shared_broker.bootstrap}", "acks=1", "compression.type=zstd").stdout
    assert "1000 records sent" in produced
    values = set(run("kafka-console-consumer", "--topic", topic, "--from-beginning", "--max-messages", 100).split())
    assert values == {"first", "second"}
    consumed = run("kafka-consumer-perf-test", "--topic", topic, "--messages", 1000, "--hide-header",
                   "--group", "g-" + topic, "--timeout", 60_000)
    assert "1000" in consumed.replace(" ", "").split(",")
    assert script(shared_broker, "kafka-producer-perf-test.sh", "--topic", topic, check=False).returncode != 0


def test_storage(new_broker, tmp_path):
    settings = tmp_path / "server.properties"
    settings.write_text(f"node.id=7\nlog.dirs={tmp_path}/logs\n")
    cluster = script(None, "kafka-storage.sh", "random-uuid").stdout.strip()
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", cluster)
    script(None, "kafka-storage.sh", "format", "--standalone", "-t", cluster, "-c", str(settings))
    assert cluster in script(None, "kafka-storage.sh", "info", "-c", str(settings)).stdout
    again = script(None, "kafka-storage.sh", "format", "--standalone", "-t", cluster, "-c", str(settings), check=False)
    assert again.returncode != 0
    script(None, "kafka-storage.sh", "format", "-t", cluster, "-c", str(settings), "--ignore-formatted")
    missing = script(
        None, "kafka-storage.sh", "format", "-t", cluster, "-c", str(tmp_path / "missing"), check=False)
    assert missing.returncode != 0 and "missing" in missing.stdout + missing.stderr


# What is below runs in a sandbox.

TOOLS = dict(os.environ, PATH=f"{ROOT / 'tools'}:{os.environ['PATH']}")


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)


def answers(port=9092):
    return subprocess.run(
        ["kafka-topics.sh", "--list", "--bootstrap-server", f"localhost:{port}"], env=TOOLS, capture_output=True,
    ).returncode == 0


def start_and_stop(directory):
    """A broker started by script with a file, an override and in the background, and every broker stopped."""
    (directory / "server.properties").write_text(
        f"node.id=1\nprocess.roles=broker,controller\nlisteners=PLAINTEXT://localhost:9093\nlog.dirs={directory}/logs\n"
        "controller.listener.names=CONTROLLER\n")
    none = subprocess.run(["kafka-server-stop.sh"], env=TOOLS, capture_output=True, text=True)
    broker = subprocess.Popen(
        ["kafka-server-start.sh", "server.properties", "--override", "listeners=PLAINTEXT://localhost:9092"],
        env=TOOLS, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until(answers)
    stopped = subprocess.run(["kafka-server-stop.sh"], env=TOOLS, capture_output=True, text=True)
    status = broker.wait(60)
    return {"none": [none.returncode, none.stdout + none.stderr], "stop": stopped.returncode, "broker": status,
            "output": broker.stdout.read()}


def test_server_start_and_stop(tmp_path):
    outcome = sandbox.run("test_scripts", "start_and_stop", tmp_path)
    assert outcome["none"][0] == 1 and "No kafka server to stop" in outcome["none"][1]
    assert outcome["stop"] == 0
    assert outcome["broker"] == 0, outcome["output"]


def start_in_the_background(directory):
    (directory / "server.properties").write_text(f"listeners=PLAINTEXT://localhost:9092\nlog.dirs={directory}/data\n")
    started = subprocess.run(
        ["kafka-server-start.sh", "-daemon", "server.properties"], env=TOOLS, cwd=directory, timeout=120).returncode
    until(answers)
    stopped = subprocess.run(["kafka-server-stop.sh"], env=TOOLS).returncode
    until(lambda: not answers())
    return [started, stopped, "ready" in (directory / "logs" / "kafkaServer.out").read_text()]


def test_server_in_the_background(tmp_path):
    assert sandbox.run("test_scripts", "start_in_the_background", tmp_path) == [0, 0, True]
