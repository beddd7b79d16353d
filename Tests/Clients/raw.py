"""The log's own bytes: files of partitions, read without a broker, and fetches that hand out batches as they are."""

import collections
import pathlib
import socket
import struct

NONE, OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE = 0, 1, 2

# base offset 8, length 4, leader epoch 4, magic 1, checksum 4, attributes 2, last offset delta 4
HEADER = struct.Struct(">qiibihi")
LEADER_EPOCH = slice(12, 16)
CONTROL = 0x20

Batch = collections.namedtuple("Batch", "base last position is_control data")


def batches(data):
    """The whole batches that `data` begins with."""
    found = []
    position = 0
    while len(data) - position >= 61:
        base, length, _, magic, _, attributes, delta = HEADER.unpack_from(data, position)
        if magic != 2 or length < 49 or position + 12 + length > len(data):
            break
        is_control = attributes & CONTROL != 0
        found.append(Batch(base, base + delta, position, is_control, data[position:position + 12 + length]))
        position += 12 + length
    return found


def without_epoch(data):
    """A batch without its leader epoch, which no checksum covers."""
    return data[:LEADER_EPOCH.start] + data[LEADER_EPOCH.stop:]


def segments(partition_directory):
    """The batches of each segment's file, in order."""
    return {path: batches(path.read_bytes()) for path in sorted(pathlib.Path(partition_directory).glob("*.log"))}


Fetched = collections.namedtuple("Fetched", "error high_watermark log_start batches")


class Fetcher:
    """A connection that fetches, version 5: what is answered for each partition, and no opinion on it."""

    def __init__(self, broker):
        self.socket = socket.create_connection(("127.0.0.1", broker.port), 60)
        self.socket.settimeout(120)

    def close(self):
        self.socket.close()

    def fetch(self, positions, partition_bytes=1 << 20, isolation=0):
        """One request from the offsets of `positions`: {(topic, partition): offset}."""
        topics = collections.defaultdict(list)
        for (topic, partition), offset in positions.items():
            topics[topic].append((partition, offset))
        body = struct.pack(">iiiibi", -1, 0, 1, 50 << 20, isolation, len(topics))
        for topic, partitions in topics.items():
            body += struct.pack(">h", len(topic)) + topic.encode() + struct.pack(">i", len(partitions))
            for partition, offset in partitions:
                body += struct.pack(">iqqi", partition, offset, -1, partition_bytes)
        request = struct.pack(">hhih", 1, 5, 1, 4) + b"test" + body
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        return self.answers(self.receive(struct.unpack(">i", self.receive(4))[0]))

    def receive(self, count):
        data = bytearray()
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise EOFError("the broker closed the connection")
            data += chunk
        return bytes(data)

    @staticmethod
    def answers(data):
        at = 8  # correlation id, throttle time

        def take(form):
            nonlocal at
            values = struct.unpack_from(">" + form, data, at)
            at += struct.calcsize(">" + form)
            return values[0] if len(values) == 1 else values

        found = {}
        for _ in range(take("i")):
            length = take("h")
            topic = data[at:at + length].decode()
            at += length
            for _ in range(take("i")):
                partition, error, high_watermark, _, log_start = take("ihqqq")
                for _ in range(max(0, take("i"))):
                    take("qq")
                size = max(0, take("i"))
                found[topic, partition] = Fetched(error, high_watermark, log_start, batches(data[at:at + size]))
                at += size
        return found
