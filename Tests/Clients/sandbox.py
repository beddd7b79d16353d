"""Runs a function in namespaces of its own: it sees no processes but those that it starts, and no network but a
loopback, so that it may use Kafka's own port and stop every broker that there is."""

import fcntl
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def unshare(*command):
    return ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", *command]


def is_possible():
    try:
        return subprocess.run(unshare("true"), capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def run(module, function, directory, timeout=600):
    """Calls `module.function(directory)` in a sandbox, and returns what it returns. Skips where there can be none."""
    if not is_possible():
        pytest.skip("this system does not let its users make namespaces")
    result = subprocess.run(
        unshare(sys.executable, str(HERE / "sandbox.py"), module, function, str(directory)),
        capture_output=True, text=True, timeout=timeout)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def raise_loopback():
    with socket.socket() as s:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(s, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


if __name__ == "__main__":
    raise_loopback()
    os.chdir(sys.argv[3])
    outcome = getattr(__import__(sys.argv[1]), sys.argv[2])(pathlib.Path(sys.argv[3]))
    print()
    print(json.dumps(outcome))
