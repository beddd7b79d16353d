"""The Kafka quick start, word for word, with the scripts of tools/."""

import os
import pathlib
import subprocess

import pytest

from broker import ROOT, binary


def script(broker, name, *arguments, stdin=None, check=True, timeout=180):
    environment = dict(os.environ, MILLRACE_BIN=binary(), PATH=f"{ROOT / 'tools'}:{os.environ['PATH']}")
    result = subprocess.run(
        [name, *arguments], input=stdin, text=True, capture_output=True, timeout=timeout, env=environment)
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


def test_topics(shared_broker, topic):
    server = ["--bootstrap-server", shared_broker.bootstrap]
    created = script(shared_broker, "kafka-topics.sh", "--create", "--topic", topic, *server,
                     "--partitions", "3", "--replication-factor", "1")
    assert f"Created topic {topic}." in created.stdout
    again = script(shared_broker, "kafka-topics.sh", "--create", "--topic", topic, *server, check=False)
    assert again.returncode != 0 and "already exists" in again.stdout + again.stderr
    assert topic in script(shared_broker, "kafka-topics.sh", "--list", *server).stdout.split()
    described = script(shared_broker, "kafka-topics.sh", "--describe", "--topic", topic, *server).stdout
    assert "PartitionCount: 3" in described and "ReplicationFactor: 1" in described
    script(shared_broker, "kafka-topics.sh", "--alter", "--topic", topic, "--partitions", "5", *server)
    script(shared_broker, "kafka-configs.sh", "--alter", "--entity-type", "topics", "--entity-name", topic,
           "--add-config", "retention.ms=60000", *server)
    described = script(shared_broker, "kafka-topics.sh", "--describe", "--topic", topic, *server).stdout
    assert "PartitionCount: 5" in described and "retention.ms=60000" in described
    script(shared_broker, "kafka-topics.sh", "--delete", "--topic", topic, *server)
    assert topic not in script(shared_broker, "kafka-topics.sh", "--list", *server).stdout.split()


def test_console_producer_consumer_and_groups(shared_broker, topic):
    server = ["--bootstrap-server", shared_broker.bootstrap]
    script(shared_broker, "kafka-topics.sh", "--create", "--topic", topic, *server)
    script(shared_broker, "kafka-console-producer.sh", "--topic", topic, *server,
           "--property", "parse.key=true", "--property", "key.separator=:", stdin="a:one\nb:two\na:three\n")
    read = script(shared_broker, "kafka-console-consumer.sh", "--topic", topic, *server, "--from-beginning",
                  "--max-messages", "3", "--property", "print.key=true", "--group", "g-" + topic)
    assert read.stdout.split("\n")[:3] == ["a\tone", "b\ttwo", "a\tthree"]
    groups = script(shared_broker, "kafka-consumer-groups.sh", "--describe", "--group", "g-" + topic, *server).stdout
    row = next(line.split() for line in groups.splitlines() if topic in line.split()[1:2])
    assert row[3:6] == ["3", "3", "0"]
    script(shared_broker, "kafka-consumer-groups.sh", "--reset-offsets", "--group", "g-" + topic, "--topic", topic,
           "--to-earliest", "--execute", *server)
    read = script(shared_broker, "kafka-console-consumer.sh", "--topic", topic, *server, "--max-messages", "1",
                  "--group", "g-" + topic)
    assert read.stdout == "one\n"
    offsets = script(shared_broker, "kafka-get-offsets.sh", "--topic", topic, *server).stdout
    assert offsets.split() == [f"{topic}:0:3"]
    assert topic in script(shared_broker, "kafka-log-dirs.sh", "--describe", *server).stdout
    assert "Produce(0)" in script(shared_broker, "kafka-broker-api-versions.sh", *server).stdout


def test_perf_tools(shared_broker, topic):
    server = ["--bootstrap-server", shared_broker.bootstrap]
    script(shared_broker, "kafka-topics.sh", "--create", "--topic", topic, *server)
    produced = script(shared_broker, "kafka-producer-perf-test.sh", "--topic", topic, "--num-records", "50000",
                      "--record-size", "100", "--throughput", "-1", "--producer-props",
                      f"bootstrap.servers={shared_broker.bootstrap}").stdout
    assert "50000 records sent" in produced and "99th" in produced
    consumed = script(shared_broker, "kafka-consumer-perf-test.sh", "--topic", topic, "--messages", "50000",
                      "--timeout", "60000", *server)
    assert "50000" in consumed.stdout


def test_dump_agrees_with_what_was_produced(new_broker, topic):
    broker = new_broker()
    broker.cli("produce", "--bootstrap-server", broker.bootstrap, topic, input="alpha\nbeta\ngamma\n")
    broker.stop()
    directory = pathlib.Path(broker.directory) / "data" / f"{topic}-0"
    dumped = broker.cli("log", "dump", directory, "--records").stdout
    for offset, value in enumerate(["alpha", "beta", "gamma"]):
        assert f"offset: {offset}" in dumped and value in dumped
    broker.cli("log", "verify", broker.directory / "data")
