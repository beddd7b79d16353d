"""Reads dead letters: what is committed of a topic, and each letter taken apart into the record and the headers about
its failure."""

import collections
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

PREFIX = "__dlq.errors."
REJECTED = "Offset rejected by client."
DELIVERED_TOO_OFTEN = "Offset delivery count exceeded the threshold."

Content = collections.namedtuple("Content", "key value headers timestamp")


def content(message):
    """What is the record's own, and must not change whatever is done to it."""
    headers = [(name, value) for name, value in message.headers() or [] if not name.startswith("__dlq.")]
    return Content(message.key(), message.value(), headers, message.timestamp())


class Letter:
    def __init__(self, message):
        self.partition = message.partition()
        self.content = content(message)
        headers = message.headers() or []
        self.errors = {
            name.removeprefix(PREFIX): value.decode() for name, value in headers if name.startswith(PREFIX)}
        assert len(headers) == len(self.content.headers) + len(self.errors), f"other headers, or one twice: {headers}"

    @property
    def origin(self):
        return int(self.errors["partition"]), int(self.errors["offset"])

    @property
    def delivery_count(self):
        return int(self.errors["delivery.count"])


def read_all(bootstrap, topic, timeout=120):
    """All committed records of a topic, by partition and offset; none when there is no topic."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False,
        "isolation.level": "read_committed", "enable.partition.eof": True, "fetch.wait.max.ms": 50})
    try:
        described = consumer.list_topics(timeout=timeout).topics.get(topic)
        left = set(described.partitions) if described else set()
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in left])
        messages, deadline = [], time.monotonic() + timeout
        while left:
            assert time.monotonic() < deadline, f"{topic} has no end"
            for message in consumer.consume(1000, 0.2):
                if message.error() is None:
                    messages.append(message)
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    left.discard(message.partition())
        return sorted(messages, key=lambda message: (message.partition(), message.offset()))
    finally:
        consumer.close()


def read_letters(bootstrap, topic):
    return [Letter(message) for message in read_all(bootstrap, topic)]
