"""What one client writes, each of the others reads byte for byte: ours (the program's `produce` and `consume` are made of
MillraceClient), librdkafka's, and kafka-python's, with every codec."""

import base64
import json
import random

import confluent_kafka
import kafka
import pytest

PARTITIONS = 3
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def make_records(seed):
    """Records as (partition, key, value, headers, timestamp): all that a record can be, and some chance."""
    generator = random.Random(seed)
    every_byte = bytes(range(256))
    records = [
        (0, None, None, [], 1_700_000_000_000),
        (0, b"", b"", [], 1_700_000_000_001),
        (1, b"only a key", None, [("null", None), ("empty", b"")], 1_700_000_000_002),
        (1, None, b"only a value", [("again", b"1"), ("again", b"2"), ("other", b"3"), ("again", b"1")], 1),
        (2, every_byte, every_byte * 3, [("bytes", every_byte), ("größe", "schön".encode())], 1_600_000_000_000),
        (2, "schlüssel".encode(), b"x" * 300_000, [], 1_700_000_000_003),
    ]
    for number in range(300):
        headers = [(f"h{n}", generator.randbytes(n)) for n in range(generator.randrange(4))]
        records.append((number % PARTITIONS, b"key-%d" % number, generator.randbytes(generator.randrange(2000)), headers,
                        1_700_000_000_000 + generator.randrange(1 << 20)))
    return records


def as_text(content):
    """As the program writes it: text where it is UTF-8."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def as_bytes(content):
    if isinstance(content, dict):
        return base64.b64decode(content["base64"])
    return None if content is None else content.encode()


def write_with_millrace(broker, topic, records, codec):
    lines = [
        json.dumps({"partition": partition, "timestamp": timestamp, "key": as_text(key), "value": as_text(value),
                    "headers": [{"name": name, "value": as_text(content)} for name, content in headers]})
        for partition, key, value, headers, timestamp in records
    ]
    broker.cli("produce", topic, "--format", "json", "--compression", codec, "--bootstrap-server", broker.bootstrap,
               input="\n".join(lines) + "\n")


def write_with_confluent(broker, topic, records, codec):
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "compression.type": codec})
    failures = []
    for partition, key, value, headers, timestamp in records:
        producer.produce(topic, value, key, partition, headers=headers, timestamp=timestamp,
                         on_delivery=lambda error, _: error and failures.append(error))
    assert producer.flush(60) == 0
    assert not failures


def write_with_kafka_python(broker, topic, records, codec):
    producer = kafka.KafkaProducer(
        bootstrap_servers=broker.bootstrap, compression_type=None if codec == "none" else codec)
    sent = [
        producer.send(topic, value, key, headers, partition, timestamp)
        for partition, key, value, headers, timestamp in records
    ]
    for future in sent:
        future.get(60)
    producer.close()


def read_with_millrace(broker, topic, count):
    lines = broker.cli("consume", topic, "--from", "beginning", "--stop-at-end", "--format", "json",
                       "--bootstrap-server", broker.bootstrap).stdout.splitlines()
    for record in map(json.loads, lines):
        headers = [(header["name"], as_bytes(header["value"])) for header in record["headers"]]
        yield record["partition"], as_bytes(record["key"]), as_bytes(record["value"]), headers, record["timestamp"]


def read_with_confluent(broker, topic, count):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "interop"})
    consumer.assign([confluent_kafka.TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    for _ in range(count):
        message = consumer.poll(60)
        assert message is not None, "there was no record for a minute"
        assert message.error() is None, message.error()
        yield (message.partition(), message.key(), message.value(), message.headers() or [], message.timestamp()[1])
    consumer.close()


def read_with_kafka_python(broker, topic, count):
    consumer = kafka.KafkaConsumer(bootstrap_servers=broker.bootstrap, consumer_timeout_ms=60_000)
    consumer.assign([kafka.TopicPartition(topic, partition) for partition in range(PARTITIONS)])
    consumer.seek_to_beginning()
    for _ in range(count):
        message = next(consumer)
        yield message.partition, message.key, message.value, list(message.headers), message.timestamp
    consumer.close()


WRITERS = [write_with_millrace, write_with_confluent, write_with_kafka_python]
READERS = [read_with_millrace, read_with_confluent, read_with_kafka_python]


def by_partition(records):
    """The order is that of each partition."""
    return {
        partition: [record for record in records if record[0] == partition] for partition in range(PARTITIONS)
    }


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("write", WRITERS)
def test_every_client_reads_what_was_written(shared_broker, topic, seed, write, codec):
    records = make_records(seed)
    if write is write_with_kafka_python:
        # It writes no record without key and value, and no header without a value.
        records = [record for record in records
                   if record[1:3] != (None, None) and all(content is not None for _, content in record[3])]
    # The records are years old, and are to stay.
    shared_broker.cli("topics", "create", topic, "--partitions", PARTITIONS, "--config", "retention.ms=-1",
                      "--bootstrap-server", shared_broker.bootstrap)
    write(shared_broker, topic, records, codec)
    expected = by_partition(records)
    for read in READERS:
        assert by_partition(list(read(shared_broker, topic, len(records)))) == expected, read.__name__
