"""Reads numbers from one topic and writes them to another, exactly once, until it is killed.

Usage: processor.py BOOTSTRAP SOURCE TARGET PARTITIONS
"""

import sys

from confluent_kafka import Consumer, Producer, TopicPartition


def main():
    bootstrap, source, target, partitions = sys.argv[1:4] + [int(sys.argv[4])]
    # librdkafka 2.16 hangs in send_offsets_to_transaction for ever after it bootstrapped again (its default when no broker
    # answers): it goes on asking the coordinator through the broker of before, whose thread has ended.
    producer = Producer({
        "bootstrap.servers": bootstrap, "transactional.id": f"{target}-processor", "linger.ms": 0,
        "metadata.recovery.strategy": "none", "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200})
    # Fences the one before and ends what it left open, so that the offsets read next are the last there are.
    producer.init_transactions(60)
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": f"{target}-group", "isolation.level": "read_committed",
        "enable.auto.commit": False, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200})
    committed = consumer.committed([TopicPartition(source, index) for index in range(partitions)], timeout=60)
    for partition in committed:
        partition.offset = max(partition.offset, 0)
    consumer.assign(committed)
    print("ready", flush=True)
    while True:
        messages = [message for message in consumer.consume(25, 0.2) if message.error() is None]
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            producer.produce(target, message.value(), partition=message.partition())
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 60)
        producer.commit_transaction(60)


main()
