"""The README's first steps, word for word: its commands expect a broker on Kafka's own port, so they run in a sandbox."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import sandbox
from broker import ROOT
from test_scripts import TOOLS, answers, until

# What is typed into commands that read, and what those that never end print.
INPUT = "the first order\nthe second order\n"
OUTPUT = {
    "kafka-console-consumer.sh": INPUT.splitlines(),
    "millrace consume": ['"o-1"', "the first order"],
    "python": [*(f'"o-{number}"' for number in range(10)), *INPUT.splitlines()],
}
PATIENCE = 120


def blocks():
    """The code blocks of the section, with their languages."""
    text = (ROOT / "README.md").read_text().split("## First steps", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)


def has_committed():
    told = subprocess.run(["millrace", "groups", "describe", "billing"], env=TOOLS, capture_output=True, text=True)
    return re.search(r"order-placed\s+\d+\s+\d", told.stdout) is not None


def perform(name, command, directory):
    """Runs a command until it ends, or is ended with Ctrl-C once it has printed everything. Returns its output, whether
    it ended, and how."""
    expected = next((lines for start, lines in OUTPUT.items() if name.startswith(start)), None)
    with tempfile.NamedTemporaryFile("a") as file:
        process = subprocess.Popen(
            command, cwd=directory, env=dict(os.environ, PYTHONUNBUFFERED="1"), text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT)
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(INPUT)

        def output():
            return pathlib.Path(file.name).read_text()

        def is_done():
            return expected is not None and all(line in output() for line in expected) and (
                name != "python" or has_committed())

        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline and not is_done():
            time.sleep(0.05)
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                file.write("\n(it did not end on Ctrl-C)")
                file.flush()
        return [output(), ended, process.returncode]


def follow(directory):
    broker = subprocess.Popen(["millrace", "serve"], env=TOOLS, cwd=directory, stdout=subprocess.DEVNULL)
    until(answers)
    exports, outcomes = [], []
    for language, block in blocks():
        if language == "python":
            (directory / "example.py").write_text(block)
            outcomes.append(["python", *perform("python", [sys.executable, "example.py"], directory)])
            continue
        for line in block.strip().splitlines():
            if line.startswith("export "):
                exports.append(line)
                continue
            outcomes.append([line, *perform(line, ["bash", "-c", "\n".join([*exports, line])], ROOT)])
    broker.terminate()
    return {"outcomes": outcomes, "broker": broker.wait(60)}


def test_first_steps(tmp_path):
    outcome = sandbox.run("test_readme", "follow", tmp_path)
    assert outcome["broker"] == 0
    steps = {line.split(" --")[0]: (output, ended, status) for line, output, ended, status in outcome["outcomes"]}
    output, ended, status = steps["kafka-topics.sh"]
    assert ended and status == 0 and "Created topic order-placed." in output
    output, ended, status = steps["kafka-console-producer.sh"]
    assert ended and status == 0, output
    output, ended, status = steps["kafka-console-consumer.sh"]
    assert not ended and sorted(output.splitlines()[:2]) == ["the first order", "the second order"], output
    assert status in (0, 130), output
    producing = next(step for line, step in steps.items() if line.startswith("echo"))
    assert producing[1] and producing[2] == 0, producing[0]
    output, ended, status = steps["millrace consume order-placed"]
    assert not ended and status in (0, 130), output
    assert '"key":"o-1"' in output.replace(" ", "") and "the first order" in output
    output, ended, status = steps["millrace groups describe billing"]
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        return
    assert ended and status == 0 and "order-placed" in output, output
    read = re.findall(r"^\d+ \d+ (.*)$", steps["python"][0], re.M)
    expected = [f'{{"id": "o-{number}", "total": 12.5}}' for number in range(10)] + INPUT.splitlines()
    assert sorted(read) == sorted(expected), steps["python"][0]
