"""Share groups (KIP-932) with confluent-kafka's ShareConsumer: members that crash, stall past their locks, release and
reject at random, messages that can never be processed, and a broker that is killed on the way. Every message is accepted
once or is in the dead-letter topic once; none is lost, none is stuck.

What counts as accepted is what the broker has confirmed to the member that had the record last. An acknowledgement
whose answer was lost with the broker may have taken effect or not: then the message must not come back, or come back
and be accepted."""

import collections
import random
import time

from confluent_kafka.admin import AdminClient, NewTopic

from letters import DELIVERED_TOO_OFTEN, REJECTED, read_letters
from share_group import DELIVERY_LIMIT, PARTITIONS, SETTINGS, Group, Load, configure_group, is_done, lag, wait_until


def check_verdicts(records, numbers, letters, group, topic):
    """Accepted once or dead-lettered once, each of them."""
    assert len(letters) == len({letter.origin for letter in letters}), "a record has two letters"
    letters = {letter.origin: letter for letter in letters}
    assert letters.keys() <= numbers.keys()
    for key, number in numbers.items():
        ends = records.ends(key)
        for end in ends:
            again = [delivery for delivery in records.delivered[key] if delivery.when > end.when]
            assert not again, f"{key} came back after {end}: {records.delivered[key]}"
        if key in letters:
            check_letter(letters[key], Load.content(number), group, topic)
            # At the limit a lock that runs out is the end, and an acceptance that comes later is late.
            accepted = [end for end in ends if end.what == "accept" and end.count < DELIVERY_LIMIT]
            assert not accepted, f"{key} is accepted and has a letter: {accepted}, {letters[key].errors}"
            count, message = letters[key].delivery_count, letters[key].errors["message"]
            if message == REJECTED:
                assert any(t.what == "reject" and t.count == count for t in records.tried[key]), \
                    f"{key}: nobody rejected delivery {count}: {records.tried[key]}"
            else:
                assert (message, count) == (DELIVERED_TOO_OFTEN, DELIVERY_LIMIT)
        else:
            assert any(t.what == "accept" for t in records.tried[key]), f"{key} is lost: {records.delivered[key]}"
            assert not any(end.what == "reject" for end in ends), f"{key} was rejected and has no letter"


def check_letter(letter, content, group, topic):
    assert letter.content[:3] == content
    partition, offset = letter.origin
    assert letter.errors.keys() == {"topic", "partition", "offset", "group", "delivery.count", "message"}
    assert (letter.errors["topic"], letter.errors["group"]) == (topic, group)
    assert letter.partition == partition % PARTITIONS


def test_every_message_is_accepted_once_or_dead_lettered_once(new_broker, topic, seed, full):
    count, kills, poison = (100_000, 10, 1000) if full else (5_000, 2, 500)
    broker = new_broker(**SETTINGS, **{"num.partitions": PARTITIONS})
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS)])[topic].result(60)
    name, dead = "g-" + topic, "dlq." + topic
    configure_group(broker, name, errors_deadletterqueue_topic_name=dead)
    chance = random.Random(seed)
    group = Group(broker.bootstrap, name, topic, seed, poison=poison)
    load = Load(broker.bootstrap, topic, count, pace=2000)
    try:
        for kill in range(1, kills + 1):
            share = count * kill // (kills + 1)
            wait_until(lambda: len(group.records.confirmed) >= share,
                       lambda: f"{len(group.records.confirmed)} of {share}\n" + "\n".join(broker.output[-40:]))
            group.crash_one(chance)
            time.sleep(chance.random())
            broker.kill()
            broker.start()
        numbers = load.wait()
        wait_until(lambda: len(group.records.confirmed) >= count * 9 // 10, "the members do not come to an end")
        group.behave()
        wait_until(lambda: is_done(broker, name), lambda: f"stuck: {lag(broker, name)}\n" + "\n".join(broker.output[-40:]))
    finally:
        group.stop()
    letters = read_letters(broker.bootstrap, dead)
    check_verdicts(group.records, numbers, letters, name, topic)
    assert group.crashes >= kills
    assert sum(letter.errors["message"] == DELIVERED_TOO_OFTEN for letter in letters) >= count // poison // 2
    reasons = collections.Counter(letter.errors["message"] for letter in letters)
    print(f"{count} messages, {len(letters)} dead letters ({dict(reasons)}), {group.crashes} crashes of members, "
          f"{kills} of the broker, {sum(map(len, group.records.delivered.values()))} deliveries")

    # It is all on disk: after one more crash only what is new is delivered, and no letter is written again.
    broker.kill()
    broker.start()
    late = Group(broker.bootstrap, name, topic, seed, behaving=True, members=2)
    try:
        new = Load(broker.bootstrap, topic, PARTITIONS).wait().keys()
        wait_until(lambda: late.records.confirmed.keys() >= new, "what is new is not delivered")
    finally:
        late.stop()
    assert late.records.delivered.keys() == new
    assert len(read_letters(broker.bootstrap, dead)) == len(letters)
