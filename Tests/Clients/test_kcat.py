"""kcat, as a person types it."""

import json
import subprocess


def kcat(broker, *arguments, stdin=None, timeout=40):
    result = subprocess.run(
        ["kcat", "-b", broker.bootstrap, *arguments], input=stdin, text=True, capture_output=True, timeout=timeout)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_lists_produces_consumes_and_queries(shared_broker, topic):
    kcat(shared_broker, "-P", "-t", topic, "-K:", "-z", "lz4", stdin="".join(f"k{n}:v{n}\n" for n in range(10)))
    listing = json.loads(kcat(shared_broker, "-L", "-J", "-t", topic))
    assert [t["topic"] for t in listing["topics"]] == [topic]
    everything = kcat(shared_broker, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%k=%s@%o\n")
    assert everything.split() == [f"k{n}=v{n}@{n}" for n in range(10)]
    assert kcat(shared_broker, "-C", "-t", topic, "-o", "7", "-e", "-q").split() == ["v7", "v8", "v9"]
    assert kcat(shared_broker, "-C", "-t", topic, "-o", "-2", "-e", "-q").split() == ["v8", "v9"]
    assert "[0] offset 10" in kcat(shared_broker, "-Q", "-t", f"{topic}:0:-1")
    assert "[0] offset 0" in kcat(shared_broker, "-Q", "-t", f"{topic}:0:-2")


def test_consumes_by_timestamp(shared_broker, topic):
    kcat(shared_broker, "-P", "-t", topic, stdin="one\ntwo\n")
    assert kcat(shared_broker, "-C", "-t", topic, "-o", "s@0", "-e", "-q").split() == ["one", "two"]


def test_a_balanced_consumer_reads_everything(shared_broker, topic):
    kcat(shared_broker, "-P", "-t", topic, stdin="a\nb\nc\n")
    output = kcat(
        shared_broker, "-G", "g-" + topic, "-X", "auto.offset.reset=earliest", "-c", "3", "-q", topic)
    assert output.split() == ["a", "b", "c"]
