"""One member of a share group, in a process of its own so that it can crash: takes messages and acknowledges them one by
one, at random also badly.

Prints a line for whatever happens, with the machine's monotonic time and how often the record was delivered by then:

    d time partition offset count -          it was delivered
    t time partition offset count type       the member is about to acknowledge it: accept, release, reject
    c time partition offset count type       the broker has confirmed that

Usage: share_member.py BOOTSTRAP GROUP TOPIC SEED LOCK_SECONDS wild|calm POISON
Ends cleanly on SIGTERM: closes the consumer, exits 0. A calm one accepts everything, as a wild one does from SIGUSR1 on,
except for poison: of POISON messages (their values are numbers) one is rejected each time, or else released each time.
"""

import os
import random
import signal
import sys
import time

from confluent_kafka import AcknowledgeType, KafkaException, ShareConsumer

bootstrap, group, topic = sys.argv[1:4]
chance = random.Random(int(sys.argv[4]))
lock_seconds = float(sys.argv[5])
stopping = False
behaving = sys.argv[6] == "calm"
poison = int(sys.argv[7])


def stop(*_):
    global stopping
    stopping = True


def behave(*_):
    global behaving
    behaving = True


def tell(event, verdicts):
    now = time.monotonic()
    sys.stdout.write("".join(
        f"{event} {now:.6f} {m.partition()} {m.offset()} {m.delivery_count()} {verdict}\n" for m, verdict in verdicts))
    sys.stdout.flush()


def judge(message):
    number = int(message.value())
    if poison and number % poison == 0:
        return AcknowledgeType.REJECT if number // poison % 2 == 0 else AcknowledgeType.RELEASE
    if behaving:
        return AcknowledgeType.ACCEPT
    return chance.choices(
        [AcknowledgeType.ACCEPT, AcknowledgeType.RELEASE, AcknowledgeType.REJECT], [88, 10, 2])[0]


def main():
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGUSR1, behave)
    consumer = ShareConsumer({
        "bootstrap.servers": bootstrap, "group.id": group, "share.acknowledgement.mode": "explicit",
        "max.poll.records": 50,
        "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200})
    consumer.subscribe([topic])
    while not stopping:
        try:
            messages = [message for message in consumer.poll(0.5) if message.error() is None]
        except KafkaException as error:
            print(f"poll: {error}", file=sys.stderr)
            continue
        if not messages:
            continue
        tell("d", [(message, "-") for message in messages])
        if not behaving and chance.random() < 0.02:
            os._exit(1)
        if not behaving and chance.random() < 0.02:
            time.sleep(lock_seconds * 1.5)
        verdicts = [(message, judge(message)) for message in messages]
        named = [(message, verdict.name.lower()) for message, verdict in verdicts]
        tell("t", named)
        for message, verdict in verdicts:
            consumer.acknowledge(message, verdict)
        if not behaving and chance.random() < 0.01:
            os._exit(1)
        try:
            outcome = consumer.commit_sync(10.0)
        except KafkaException as error:
            print(f"commit: {error}", file=sys.stderr)
            continue
        confirmed = {partition.partition for partition, error in outcome.items() if error is None}
        tell("c", [(message, verdict) for message, verdict in named if message.partition() in confirmed])
    consumer.close()


main()
