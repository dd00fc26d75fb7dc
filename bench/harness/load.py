"""Load generators, each pinned to one core, and what they counted."""

import json
import re
import subprocess
from pathlib import Path

from .process import BenchError, find_tool, prepare, run_tool

CONNECTIONS = 64
GRACE_S = 20


class Load:
    """What one run of a load generator did."""

    def __init__(self, requests, seconds, p99_us=None):
        self.requests = requests
        self.seconds = seconds
        self.p99_us = p99_us

    @property
    def rate(self):
        return self.requests / self.seconds


def write_requests(path, lines):
    """The requests for wrk(): pairs of path and token, the token may be empty."""
    text = [f"{target}\t{token}" if token else target for target, token in lines]
    Path(path).write_text("\n".join(text) + "\n")


def wrk(cpu, url, requests_path, seconds):
    """Closed loop over 64 keep-alive connections; any error or status but 2xx and 3xx fails."""
    said = run_tool(
        [find_tool("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
         "--timeout", "10s", "-s", Path(__file__).with_name("wrk.lua"), url, "--",
         requests_path],
        seconds + GRACE_S, cpu,
    )  # fmt: skip
    result = json.loads(said.decode().strip().splitlines()[-1])
    if result["errors"] or not result["requests"]:
        raise BenchError(f"wrk saw errors: {said.decode().strip()[-1000:]}")
    return Load(result["requests"], result["seconds"], result["p99_us"])


def h2load(cpu, url, requests, streams, timeout_s):
    """A fixed number of requests over HTTP/2, each connection with `streams` at once."""
    said = run_tool(
        [find_tool("h2load"), "-t1", f"-c{CONNECTIONS}", f"-m{streams}", f"-n{requests}", url],
        timeout_s, cpu,
    ).decode()  # fmt: skip
    seconds = re.search(r"^finished in ([0-9.]+)(us|ms|s),", said, re.M)
    good = re.search(r"^status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", said, re.M)
    if not seconds or not good or int(good[1]) != requests:
        raise BenchError(f"h2load saw errors: {said[-1500:]}")
    if "Application protocol: h2" not in said or "TLS Protocol: TLSv1.3" not in said:
        raise BenchError(f"h2load did not speak HTTP/2 over TLS 1.3: {said[:500]}")
    unit = {"us": 1e-6, "ms": 1e-3, "s": 1}[seconds[2]]
    return Load(requests, float(seconds[1]) * unit)


def constant_rate(cpu, program, port, rate, warmup_s, seconds, strict=True):
    """
    The answer of rate.c. With `strict` it is refused where not all that was due was sent and
    answered; without, the caller looks at what is missing.
    """
    said = run_tool(
        [program, port, rate, warmup_s, seconds, CONNECTIONS], warmup_s + seconds + GRACE_S, cpu
    )
    result = json.loads(said)
    if not strict:
        return result
    if result["errors"] or result["requests"] != result["due"]:
        raise BenchError(f"the constant-rate load saw errors: {said.decode().strip()}")
    if result["rate"] < 0.98 * rate:
        raise BenchError(f"{rate} a second could not be served: {said.decode().strip()}")
    return result


class IdleConnections:
    """Idle TLS connections that had one answer each; held while in the `with` block."""

    def __init__(self, cpu, program, port, count):
        self.command = [str(program), str(port), str(count)]
        self.cpu = cpu
        self.count = count
        self.child = None

    def __enter__(self):
        self.child = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: prepare(self.cpu),
            start_new_session=True,
        )
        self._expect("open")
        return self

    def _expect(self, word):
        # Each wait inside the program has a deadline of its own, so this line comes or it ends.
        line = self.child.stdout.readline().strip()
        if line != f"{word} {self.count}":
            raise BenchError(f"idle TLS connections: expected {word} {self.count}, got: {line}")

    def __exit__(self, kind, value, trace):
        try:
            self.child.stdin.close()
            if kind is None:
                self._expect("alive")
                self.child.wait(timeout=GRACE_S)
        finally:
            if self.child.poll() is None:
                self.child.kill()
            self.child.wait()
            self.child.stdout.close()
