"""Starts and stops the broker program for the tests with other people's clients."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary():
    """The program under test: MILLRACE_BIN, or the release build."""
    path = os.environ.get("MILLRACE_BIN") or str(ROOT / ".build" / "release" / "millrace")
    if not os.access(path, os.X_OK):
        raise SystemExit(f"{path} is not there: build it with tools/run or set MILLRACE_BIN")
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """One broker process on a data directory. The port stays the same over restarts."""

    def __init__(self, directory, **settings):
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        self.settings = settings
        self.process = None
        self.output = []

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def start(self, timeout=120):
        arguments = [
            binary(), "serve",
            "--listeners", f"PLAINTEXT://127.0.0.1:{self.port}",
            "--log-dirs", str(self.directory / "data"),
        ]
        for key, value in self.settings.items():
            arguments += ["--set", f"{key}={value}"]
        self.output = []
        began = time.monotonic()
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.directory)
        ready = threading.Event()
        process, output = self.process, self.output

        def read():
            for line in process.stdout:
                output.append(line.rstrip("\n"))
                if re.search(r"\bready\b", line, re.IGNORECASE):
                    ready.set()
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        if not ready.wait(timeout) or self.process.poll() is not None:
            self.process.kill()
            raise AssertionError("the broker did not become ready:\n" + "\n".join(self.output))
        self.startup_seconds = time.monotonic() - began
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def stop(self):
        """Stops the broker gracefully and says how it ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        assert status == 0, f"the broker ended with {status}:\n" + "\n".join(self.output[-50:])

    def restart(self):
        self.stop()
        return self.start()

    @property
    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024

    def cli(self, *arguments, check=True, **kwargs):
        result = subprocess.run(
            [binary(), *map(str, arguments)], text=True, capture_output=True, timeout=120, **kwargs)
        if check and result.returncode != 0:
            raise AssertionError(f"millrace {' '.join(map(str, arguments))} ended with {result.returncode}:\n"
                                 f"{result.stdout}\n{result.stderr}")
        return result
