import os
import random

import pytest
from confluent_kafka import Producer

from broker import Broker


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="the long runs: a million records, fifty crashes")


@pytest.fixture
def full(request):
    return request.config.getoption("--full")


@pytest.fixture
def seed():
    value = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"seed: {value} (SEED={value} repeats this run)")
    return value


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory):
    """A broker for tests that do not restart it; every test uses topics of its own."""
    # Some tests write records with timestamps of years ago, which are to stay.
    broker = Broker(
        tmp_path_factory.mktemp("broker"),
        **{"group.initial.rebalance.delay.ms": 100, "log.retention.ms": -1}).start()
    yield broker
    assert broker.is_alive, "the broker died:\n" + "\n".join(broker.output[-50:])
    broker.stop()


@pytest.fixture
def new_broker(tmp_path):
    """A factory of brokers that the test starts, kills and restarts."""
    brokers = []

    def make(**settings):
        settings = {"group.initial.rebalance.delay.ms": 0, **settings}
        broker = Broker(tmp_path, **settings)
        brokers.append(broker)
        return broker.start()

    yield make
    for broker in brokers:
        if broker.is_alive:
            broker.kill()


@pytest.fixture
def topic(request):
    import uuid
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def open_transaction(shared_broker, topic):
    """A producer with a record in each of two partitions and the transaction still open; its id is the topic's name."""
    shared_broker.cli("topics", "create", topic, "--partitions", 2, "--bootstrap-server", shared_broker.bootstrap)
    producer = Producer({
        "bootstrap.servers": shared_broker.bootstrap, "transactional.id": topic, "transaction.timeout.ms": 600_000})
    producer.init_transactions(60)
    producer.begin_transaction()
    for partition in range(2):
        producer.produce(topic, "open", partition=partition)
    assert producer.flush(60) == 0
    return producer
