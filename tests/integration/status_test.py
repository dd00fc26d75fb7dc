#!/usr/bin/python3
"""sallyport status: a live view in a terminal, plain text and JSON elsewhere."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from harness import DEADLINE_S, PROGRAM, Gateway, Service, answer, run

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 2
admin: {address: "127.0.0.1:{admin}"}
services:
  shop:
    endpoints: ["http://127.0.0.1:%d"]
    breaker: {window: 10}
    bulkhead: {concurrent: 7}
routes:
  - {path: "/**", service: shop, auth: none, operation: buy}
"""


class Setup:
    def __init__(self):
        self.service = Service(lambda connection, *_: answer(connection) or b"")
        self.gateway = Gateway(CONFIG % self.service.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def command(self, *words, expect=0):
        done = subprocess.run([PROGRAM, "status", "-c", self.gateway.config, *words],
                              check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout if expect == 0 else done.stderr


def test_programs_get_json():
    with Setup() as setup:
        for _ in range(3):
            setup.gateway.request("GET", "/")
        status = json.loads(setup.command("--json"))
        buy = next(one for one in status["operations"] if one["operation"] == "buy")
        assert buy["requests"][1] == 3 and sum(buy["buckets"]) == 3
        assert status["guard"]["services"][0]["name"] == "shop"


def test_a_pipe_gets_plain_text_once():
    with Setup() as setup:
        text = setup.command()
        assert "\x1b" not in text
        assert re.search(r"^shop +closed +0/0/0 +0/7 \+0 +0$", text, re.M), text
        assert re.search(r"^buy +0\.0 ", text, re.M), text


def test_who_does_not_run_cannot_be_asked():
    with Setup() as setup:
        setup.gateway.process.send_signal(signal.SIGTERM)
        setup.gateway.process.wait(DEADLINE_S)
        assert "running" in setup.command("--once", expect=1)
    assert subprocess.run([PROGRAM, "status", "--interval", "0"], check=False,
                          capture_output=True, timeout=60).returncode == 2


class Terminal:
    def __init__(self, setup, rows=30, columns=100):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.environ.pop("NO_COLOR", None)
            os.execv(PROGRAM, [PROGRAM, "status", "-c", setup.gateway.config, "-n", "1"])
        self.seen = b""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data
        return bool(data)

    def wait_for(self, condition):
        until = time.monotonic() + DEADLINE_S
        while not condition(self.seen):
            assert time.monotonic() < until, self.seen
            self.read(0.2)

    def screens(self):
        return self.seen.split(b"\x1b[H\x1b[2J")[1:]

    def end(self):
        while self.read(1):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_terminal_gets_a_live_view():
    with Setup() as setup:
        terminal = Terminal(setup)
        terminal.wait_for(lambda seen: b"shop" in seen)
        assert b"\x1b[?1049h" in terminal.seen and b"\x1b[1m" in terminal.seen
        for _ in range(5):
            setup.gateway.request("GET", "/")
        terminal.wait_for(lambda _: re.search(rb"buy +[1-9]\d*\.\d ", b"".join(terminal.screens())))
        count = len(terminal.screens())
        terminal.resize(5, 30)
        terminal.wait_for(lambda _: len(terminal.screens()) > count + 1)
        lines = terminal.screens()[-2].split(b"\r\n")
        plain = [re.sub(rb"\x1b\[[0-9;]*m", b"", line) for line in lines]
        assert len(lines) <= 5 and all(len(line) <= 30 for line in plain), plain
        os.write(terminal.fd, b"q")
        assert terminal.end() == 0
        assert terminal.seen.endswith(b"\x1b[?25h\x1b[?1049l"), terminal.seen[-100:]


def test_an_interrupt_leaves_the_terminal_as_it_was():
    with Setup() as setup:
        terminal = Terminal(setup)
        terminal.wait_for(lambda seen: b"shop" in seen)
        os.write(terminal.fd, b"\x03")
        assert terminal.end() == 0
        assert terminal.seen.endswith(b"\x1b[?25h\x1b[?1049l"), terminal.seen[-100:]


run([
    test_programs_get_json,
    test_a_pipe_gets_plain_text_once,
    test_who_does_not_run_cannot_be_asked,
    test_a_terminal_gets_a_live_view,
    test_an_interrupt_leaves_the_terminal_as_it_was,
])
