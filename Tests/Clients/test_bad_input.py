"""Bytes that no client sends: an error or a closed connection, memory flat, everybody else served."""

import random
import socket
import struct
import time

import pytest
from confluent_kafka import Producer


def connect(broker):
    s = socket.create_connection(("127.0.0.1", broker.port), 60)
    s.settimeout(60)
    return s


def frame(key, version, body=b"", correlation=7, client=b"test"):
    header = struct.pack(">hhih", key, version, correlation, len(client)) + client
    return struct.pack(">i", len(header) + len(body)) + header + body


def answer(s):
    size = struct.unpack(">i", receive(s, 4))[0]
    return receive(s, size)


def receive(s, count):
    data = b""
    while len(data) < count:
        chunk = s.recv(count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def assert_closed(s):
    try:
        while s.recv(65536):
            pass
    except ConnectionError:
        pass


def assert_serves(broker, topic):
    failures = []
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 60_000})
    producer.produce(topic, b"still here", on_delivery=lambda e, m: failures.append(e) if e else None)
    assert producer.flush(90) == 0 and not failures


@pytest.mark.parametrize("prefix", [
    struct.pack(">i", -1), struct.pack(">i", -(1 << 31)), struct.pack(">i", (1 << 31) - 1), b"GET / HTTP/1.1\r\n\r\n"])
def test_an_impossible_length_closes_the_connection(shared_broker, topic, prefix):
    s = connect(shared_broker)
    s.sendall(prefix)
    assert_closed(s)
    assert_serves(shared_broker, topic)


def test_unknown_keys_and_versions(shared_broker, topic):
    for key, version in ((999, 0), (-1, 0), (3, 99), (3, -1), (0, 99), (32767, 32767)):
        s = connect(shared_broker)
        s.sendall(frame(key, version))
        assert_closed(s)
    # ApiVersions answers an unknown version in version 0 with UNSUPPORTED_VERSION (35).
    s = connect(shared_broker)
    s.sendall(frame(18, 99, b"\0"))
    correlation, error = struct.unpack(">ih", answer(s)[:6])
    assert (correlation, error) == (7, 35)
    s.close()
    assert_serves(shared_broker, topic)


def test_random_bytes_and_truncated_frames(shared_broker, topic, full, seed):
    chance = random.Random(seed)
    before = shared_broker.resident_mib
    for _ in range(3000 if full else 300):
        s = connect(shared_broker)
        body = chance.randbytes(chance.randrange(1, 2000))
        kind = chance.randrange(4)
        if kind == 0:
            s.sendall(body)
        elif kind == 1:
            s.sendall(struct.pack(">i", len(body)) + body)
        elif kind == 2:
            s.sendall(struct.pack(">i", len(body) + chance.randrange(1, 100)) + body)
        else:
            s.sendall(frame(chance.randrange(0, 93), chance.randrange(0, 19), body))
        s.close()
    assert_serves(shared_broker, topic)
    grown = shared_broker.resident_mib - before
    assert grown < 64, f"memory grew by {grown:.0f} MiB"


def test_a_client_that_never_reads_does_not_make_the_broker_grow(shared_broker, topic):
    assert_serves(shared_broker, topic)
    before = shared_broker.resident_mib
    s = connect(shared_broker)
    s.settimeout(0.5)
    request = frame(3, 1, struct.pack(">i", -1)) * 100
    sent, end = 0, time.monotonic() + 5
    try:
        while time.monotonic() < end and sent < 200_000_000:
            sent += s.send(request)
    except (TimeoutError, ConnectionError):
        pass
    grown = shared_broker.resident_mib - before
    assert_serves(shared_broker, topic)
    s.close()
    assert grown < 64, f"memory grew by {grown:.0f} MiB after {sent} bytes"


def test_a_frame_in_small_pieces_is_one_frame(shared_broker):
    s = connect(shared_broker)
    for byte in frame(18, 0):
        s.sendall(bytes([byte]))
        time.sleep(0.002)
    assert struct.unpack(">ih", answer(s)[:6]) == (7, 0)
    s.close()


def test_pipelined_requests_are_answered_in_order(shared_broker):
    s = connect(shared_broker)
    s.sendall(b"".join(frame(18, 0, correlation=n) for n in range(500)))
    assert [struct.unpack(">i", answer(s)[:4])[0] for _ in range(500)] == list(range(500))
    s.close()
