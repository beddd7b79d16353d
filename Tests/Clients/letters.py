"""Reads the dead letters of a topic: what is committed, each taken apart into the record and the headers about its
failure."""

import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

PREFIX = "__dlq.errors."
REJECTED = "Offset rejected by client."
DELIVERED_TOO_OFTEN = "Offset delivery count exceeded the threshold."


class Letter:
    def __init__(self, message):
        self.partition = message.partition()
        self.content = content(message)
        headers = message.headers() or []
        self.errors = {
            name.removeprefix(PREFIX): value.decode() for name, value in headers if name.startswith(PREFIX)}
        assert len(headers) == len(self.content[3]) + len(self.errors), f"a header about the failure twice: {headers}"

    @property
    def origin(self):
        return int(self.errors["partition"]), int(self.errors["offset"])

    @property
    def delivery_count(self):
        return int(self.errors["delivery.count"])


def content(message):
    """What is the record's own: its time, its key, its value and its headers in their order."""
    headers = [(name, value) for name, value in message.headers() or [] if not name.startswith(PREFIX)]
    return message.timestamp(), message.key(), message.value(), headers


def read_all(bootstrap, topic):
    """All that a read_committed consumer finds; nothing when there is no topic."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": f"reader-{uuid.uuid4()}", "isolation.level": "read_committed",
        "enable.auto.commit": False, "enable.partition.eof": True, "allow.auto.create.topics": False})
    try:
        described = consumer.list_topics(timeout=30).topics.get(topic)
        left = set(described.partitions) if described else set()
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in left])
        messages = []
        while left:
            message = consumer.poll(30)
            assert message is not None, f"the end of {topic} is not reached"
            if message.error() is None:
                messages.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
        return messages
    finally:
        consumer.close()


def read_letters(bootstrap, topic):
    return [Letter(message) for message in read_all(bootstrap, topic)]
