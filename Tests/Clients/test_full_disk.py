"""A full disk: what was acknowledged stays, reads go on, a restart works, and with room again producers carry on."""

import os
import shutil
import subprocess
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from test_crash import PARTITIONS, Load, read_all

DISK_MIB = 160


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with little room."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        pytest.skip("mounting a small file system needs root and mkfs.ext4")
    image, mount = tmp_path / "disk.img", tmp_path / "data"
    mount.mkdir()
    with open(image, "wb") as file:
        file.truncate(DISK_MIB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, mount], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip("a loop mount is not possible here: " + mounted.stderr.strip())
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def wait_for(condition, what, timeout=120):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited {timeout} s for {what}"
        time.sleep(0.1)


def test_a_full_disk_loses_nothing_and_heals(small_disk, new_broker, topic):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * (120 << 20))
    broker = new_broker(**{"log.segment.bytes": 4 << 20})
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(60)
    load = Load(broker.bootstrap, topic, padding=2000)

    def acknowledged():
        return sum(map(len, load.acknowledged))

    def check_what_was_acknowledged():
        for partition in range(PARTITIONS):
            known = list(load.acknowledged[partition])
            assert read_all(broker.bootstrap, topic, partition)[:len(known)] == known

    def says_so():
        return any("no space" in line.lower() or "disk is full" in line.lower() for line in list(broker.output))

    def is_stuck():
        before = acknowledged()
        time.sleep(1.5)
        return acknowledged() == before > 0

    try:
        wait_for(says_so, "the disk to be full")
        wait_for(is_stuck, "the last acknowledgement")
        assert broker.is_alive
        check_what_was_acknowledged()

        broker.kill()
        broker.start()
        check_what_was_acknowledged()
        broker.stop()
        broker.start()
        check_what_was_acknowledged()

        before = acknowledged()
        ballast.unlink()
        wait_for(lambda: acknowledged() > before + 1000, "the producer to carry on")
    except BaseException:
        load.stopping.set()
        raise
    load.stop()
    assert acknowledged() == load.sent
    for partition in range(PARTITIONS):
        records = read_all(broker.bootstrap, topic, partition)
        assert [value for _, value in records] == list(range(partition, load.sent, PARTITIONS)), \
            "each value once and in order"
    broker.stop()
    broker.cli("log", "verify", small_disk)
