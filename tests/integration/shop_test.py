#!/usr/bin/python3
"""Runs examples/shop as the README says, and every line that it prints, with the real curl."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time

from harness import PROGRAM, Skip, free_port, run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMES = ("SHOP_PORT", "SHOP_ADMIN_PORT", "SHOP_ORDERS_PORT", "SHOP_INVENTORY_PORT")

# What each printed line gives: the status, and something in the body.
EXPECTED = [
    (200, '"lamp"'),
    (401, "urn:sallyport:problem:unauthenticated"),
    (201, '"customer": "alice"'),
    (200, '"quantity": 2'),
    (403, "urn:sallyport:problem:forbidden"),
    (204, ""),
    (200, "sallyport_http_requests_total"),
]


class Shop:
    """The example, started as a user would."""

    def __enter__(self):
        if not shutil.which("curl") or not shutil.which("openssl"):
            raise Skip("curl and openssl are needed")
        environment = dict(os.environ, **{name: str(free_port()) for name in NAMES})
        self.process = subprocess.Popen(
            [os.path.join(ROOT, "examples", "shop", "start"), PROGRAM],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            start_new_session=True,
        )
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith("Ctrl-C"):
                return self
        raise AssertionError("the example did not start")

    def __exit__(self, *_):
        try:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise

    def variables(self):
        found = {}
        for line in self.lines:
            if line.startswith("export "):
                found.update(word.split("=", 1) for word in shlex.split(line)[1:])
        return found

    def curl_lines(self):
        return [line for line in self.lines if line.startswith("curl ")]


def curl(line, variables):
    script = line + " -s -w '\\n%{http_code}'"
    done = subprocess.run(
        ["sh", "-c", script],
        env=dict(os.environ, **variables),
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
        check=True,
    )
    body, status = done.stdout.rsplit("\n", 1)
    return int(status), body


def test_every_line_that_the_example_prints_does_what_it_shows():
    with Shop() as shop:
        variables = shop.variables()
        lines = shop.curl_lines()
        assert len(lines) == len(EXPECTED), lines
        for line, (status, part) in zip(lines, EXPECTED):
            got = curl(line, variables)
            assert got[0] == status and part in got[1], (line, got)


def test_the_readme_shows_the_lines_that_the_example_prints():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    with open(os.path.join(ROOT, "examples", "shop", "start"), encoding="utf-8") as file:
        start = file.read()
    shown = re.findall(r"^\s*(curl --cacert .*)$", readme, re.M)
    assert shown, "the README shows no line to try"
    for line in shown:
        assert line.replace("$", "\\$") in start, line


def test_the_example_ends_on_ctrl_c():
    with Shop() as shop:
        started = time.monotonic()
        os.killpg(shop.process.pid, signal.SIGINT)
        assert shop.process.wait(20) == 0
        assert time.monotonic() - started < 20


run([function for name, function in list(globals().items()) if name.startswith("test_")])
