"""One member of a consumer group, in a process of its own so that it can be killed.

Usage: group_member.py BOOTSTRAP GROUP TOPIC SESSION, the last in milliseconds.
Prints a line "partition offset id" for every record, and commits what it printed. Lines that begin with "#" say how many
partitions came ("# 2") or went ("# -1"); the first says that it has begun.
Ends cleanly on SIGTERM: commits, leaves, exits 0.
"""

import signal
import sys

from confluent_kafka import Consumer, KafkaException

bootstrap, group, topic, session = sys.argv[1:5]
stopping = False


def stop(*_):
    global stopping
    stopping = True


def main():
    signal.signal(signal.SIGTERM, stop)
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "session.timeout.ms": int(session), "heartbeat.interval.ms": 500,
        "partition.assignment.strategy": "cooperative-sticky", "check.crcs": True})
    out = sys.stdout

    def changed(count):
        out.write(f"# {count}\n")
        out.flush()

    changed(0)
    consumer.subscribe(
        [topic], on_assign=lambda _, partitions: changed(len(partitions)),
        on_revoke=lambda _, partitions: changed(-len(partitions)),
        on_lost=lambda _, partitions: changed(-len(partitions)))
    while not stopping:
        messages = consumer.consume(5000, 0.2)
        for message in messages:
            if message.error() is not None:
                raise SystemExit(str(message.error()))
            out.write(f"{message.partition()} {message.offset()} {message.value()[:12].decode()}\n")
        out.flush()
        if messages:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as error:
                # The group moved on while we worked: what was read is read again by the new owner.
                print(f"# {error}", file=sys.stderr)
    consumer.close()


main()
