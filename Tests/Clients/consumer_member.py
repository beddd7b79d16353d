"""One member of a group, of the consumer or the classic protocol, in a process of its own so that it can be killed.

Prints a line for whatever happens, with the machine's monotonic time in front:

    time + partition      it may read the partition from now on
    time - partition      it reads it no more
    time r partition offset

Ends cleanly on SIGTERM: commits, leaves, exits 0.
"""

import signal
import sys
import time

from confluent_kafka import Consumer, KafkaException

bootstrap, group, topic, protocol = sys.argv[1:5]
stopping = False


def stop(*_):
    global stopping
    stopping = True


def tell(event, partitions):
    now = time.monotonic()
    for partition in partitions:
        sys.stdout.write(f"{now:.6f} {event} {partition.partition}\n")
    sys.stdout.flush()


def settings():
    common = {
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "topic.metadata.refresh.interval.ms": 1000,
        "reconnect.backoff.max.ms": 200}
    if protocol == "consumer":
        return common | {"group.protocol": "consumer"}
    return common | {
        "group.protocol": "classic", "session.timeout.ms": 20_000, "heartbeat.interval.ms": 500,
        "partition.assignment.strategy": "cooperative-sticky"}


def main():
    signal.signal(signal.SIGTERM, stop)
    consumer = Consumer(settings())
    consumer.subscribe(
        [topic], on_assign=lambda _, partitions: tell("+", partitions),
        on_revoke=lambda _, partitions: tell("-", partitions), on_lost=lambda _, partitions: tell("-", partitions))
    while not stopping:
        messages = [m for m in consumer.consume(500, 0.2) if m.error() is None]
        now = time.monotonic()
        for message in messages:
            sys.stdout.write(f"{now:.6f} r {message.partition()} {message.offset()}\n")
        sys.stdout.flush()
        if messages:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as error:
                # The group moved on while we worked: what was read is read again by the new owner.
                print(f"# {error}", file=sys.stderr)
    consumer.close()


main()
