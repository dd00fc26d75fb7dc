#!/usr/bin/python3
"""Chaos with real processes: whatever one service does, the others do not feel it, and it comes back.

Three services, each a process of its own, two clients each that never stop. One of the services is
made sick in one way after the other and cured again. Meanwhile every request to the two others
succeeds, the sick one is answered with what the configuration says and in time, the gateway's memory
stays bounded, and once cured the service is in use again within two intervals of its health checks.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
sys.dont_write_bytecode = True

if len(sys.argv) < 2 or sys.argv[1] != "--service":
    from harness import DEADLINE_S, Gateway, Skip, free_port, run

INTERVAL_S = 1
CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 2
admin: {address: "127.0.0.1:{admin}"}
services:
%(services)s
routes:
  - {path: "/a/**", service: a, auth: none}
  - {path: "/b/**", service: b, auth: none}
  - {path: "/sick/**", service: sick, auth: none}
"""
SERVICE = """  %(name)s:
    endpoints: ["http://%(address)s"]
    timeout: {connect: 300ms, request: 1s, idle: 1s}
    retry: {attempts: 1}
    bulkhead: {concurrent: 16, queue: 16, wait: 200ms}
    breaker: {window: 20, minimum: 10, open: 500ms, probes: 2}
    health: {path: /healthz, interval: 1s, timeout: 500ms, healthy: 1, unhealthy: 2}
    balance: {panic: 0%%}
"""


# ---- the services: this file, as a process of its own ---------------------------------------------


def serve(address, port, mode_file):
    """Answers as the word in the file says, which may change at any time."""
    listener = socket.create_server((address, port), backlog=256, reuse_port=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_connection, args=(connection, mode_file),
                         daemon=True).start()


def serve_connection(connection, mode_file):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    rest = b""
    with connection:
        try:
            while True:
                while b"\r\n\r\n" not in rest:
                    data = connection.recv(65536)
                    if not data:
                        return
                    rest += data
                _, rest = rest.split(b"\r\n\r\n", 1)
                with open(mode_file, encoding="ascii") as file:
                    mode = file.read()
                if mode == "slow":
                    for byte in answer:
                        connection.sendall(bytes([byte]))
                        time.sleep(0.4)
                elif mode == "half-closed":
                    connection.sendall(answer[:20])
                    connection.shutdown(socket.SHUT_WR)
                    time.sleep(30)
                elif mode == "garbage":
                    connection.sendall(os.urandom(4096))
                elif mode == "hungry-head":
                    for number in range(1000000):
                        connection.sendall(b"HTTP/1.1 200 OK\r\n" if not number else
                                           b"X-%d: %s\r\n" % (number, b"x" * 1000))
                elif mode == "hungry-body":
                    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    while True:
                        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                else:
                    connection.sendall(answer)
        except OSError:
            return


class Process:
    def __init__(self, folder, name, address="127.0.0.1", namespace=None):
        self.address, self.port, self.namespace = address, free_port(), namespace
        self.mode_file = os.path.join(folder, name)
        self.child = None
        self.become("well")
        self.start()

    def become(self, mode):
        with open(self.mode_file + ".new", "w", encoding="ascii") as file:
            file.write(mode)
        os.rename(self.mode_file + ".new", self.mode_file)

    def start(self):
        command = [sys.executable, os.path.abspath(__file__), "--service", self.address,
                   str(self.port), self.mode_file]
        if self.namespace:
            command = ["ip", "netns", "exec", self.namespace] + command
        self.child = subprocess.Popen(command)
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            try:
                socket.create_connection((self.address, self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("a service does not start")

    def kill(self):
        self.child.kill()
        self.child.wait()


# ---- clients --------------------------------------------------------------------------------------


class Clients:
    """Two threads a service, which ask until they are stopped."""

    def __init__(self, port):
        self.port, self.stopped = port, threading.Event()
        self.statuses = {name: [] for name in ("a", "b", "sick")}
        self.slowest_s = 0
        self.threads = [threading.Thread(target=self.ask, args=(name,))
                        for name in self.statuses for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def ask(self, name):
        while not self.stopped.is_set():
            begun = time.monotonic()
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                connection.request("GET", f"/{name}/x")
                response = connection.getresponse()
                status = response.status
                if name == "sick":
                    response.read(1 << 20)  # of an endless body as much as this
                elif response.read() != b"hello":
                    status = "truncated"
            except (OSError, http.client.HTTPException) as error:
                status = repr(error)
            finally:
                connection.close()
            self.statuses[name].append(status)
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
            time.sleep(0.02)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


class Setup:
    def __init__(self, sick_address="127.0.0.1", namespace=None):
        import tempfile
        self.folder = tempfile.mkdtemp(prefix="sallyport-chaos.")
        self.a = Process(self.folder, "a")
        self.b = Process(self.folder, "b")
        self.sick = Process(self.folder, "sick", sick_address, namespace)
        services = "".join(
            SERVICE % {"name": name, "address": f"{p.address}:{p.port}"}
            for name, p in (("a", self.a), ("b", self.b), ("sick", self.sick)))
        self.gateway = Gateway(CONFIG % {"services": services})
        self.clients = Clients(self.gateway.port)

    def __enter__(self):
        self.wait_well("it begins")
        return self

    def __exit__(self, kind, *_):
        self.clients.stop()
        code = self.gateway.stop()
        for process in (self.a, self.b, self.sick):
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        if kind:
            return
        assert code == 0, f"the gateway ended with {code}"
        for name in "ab":
            bad = [s for s in self.clients.statuses[name] if s != 200]
            assert not bad, (name, bad[:5])
            assert len(self.clients.statuses[name]) > 20
        assert self.clients.slowest_s < 15, self.clients.slowest_s

    def service(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.admin, timeout=20)
        connection.request("GET", "/services")
        status = json.loads(connection.getresponse().read())
        connection.close()
        return next(s for s in status["services"] if s["name"] == "sick")

    def memory_kib(self):
        total = 0
        for pid in subprocess.run(["pgrep", "-P", str(self.gateway.process.pid)],
                                  capture_output=True, text=True, check=True).stdout.split():
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        return total

    def wait_sick(self, seconds=20):
        """Until it has had no good answer for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            count = len(self.clients.statuses["sick"])
            time.sleep(1)
            seen = self.clients.statuses["sick"][count:]
            if seen and 200 not in seen:
                return
        raise AssertionError(("it is not noticed", self.clients.statuses["sick"][-20:]))

    def wait_well(self, what, seconds=20):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            count = len(self.clients.statuses["sick"])
            time.sleep(0.3)
            seen = self.clients.statuses["sick"][count:]
            if len(seen) >= 3 and set(seen) == {200}:
                return
        raise AssertionError((what, self.clients.statuses["sick"][-20:], self.service()))

    def wait_health(self, up):
        """Within two intervals of the health checks, and what a check may take."""
        until = time.monotonic() + 2 * INTERVAL_S * 1.1 + 1.5
        while time.monotonic() < until:
            if self.service()["endpoints"][0]["health"]["up"] == up:
                return
            time.sleep(0.02)
        raise AssertionError(("not within two intervals", up, self.service()))


def be_sick_and_recover(mode):
    with Setup() as setup:
        setup.sick.become(mode)
        setup.wait_sick()
        before = setup.memory_kib()
        time.sleep(3)
        grown = setup.memory_kib() - before
        assert grown < 100 * 1024, f"the gateway has grown by {grown} KiB"
        bad = {s for s in setup.clients.statuses["sick"] if s not in (200, 502, 503, 504)}
        assert not bad, bad
        setup.sick.become("well")
        setup.wait_health(True)
        setup.wait_well("it recovers")


def test_a_slow_service():
    be_sick_and_recover("slow")


def test_a_service_that_closes_half():
    be_sick_and_recover("half-closed")


def test_a_service_that_talks_garbage():
    be_sick_and_recover("garbage")


def test_a_service_with_an_endless_head():
    be_sick_and_recover("hungry-head")


def test_a_service_with_an_endless_body():
    """Its answers begin well: the gateway passes them on, and keeps nothing."""
    with Setup() as setup:
        setup.sick.become("hungry-body")
        time.sleep(1)
        before = setup.memory_kib()
        time.sleep(4)
        grown = setup.memory_kib() - before
        assert grown < 100 * 1024, f"the gateway has grown by {grown} KiB"
        setup.sick.become("well")
        setup.sick.kill()
        setup.sick.start()
        setup.wait_well("it recovers")


def test_a_dead_service():
    with Setup() as setup:
        setup.sick.kill()
        setup.wait_sick()
        setup.wait_health(False)
        setup.sick.start()
        setup.wait_health(True)
        setup.wait_well("it recovers")


def test_a_service_that_dies_again_and_again():
    with Setup() as setup:
        for _ in range(6):
            setup.sick.kill()
            time.sleep(0.4)
            setup.sick.start()
            time.sleep(0.4)
        setup.wait_health(True)
        setup.wait_well("it recovers")


def test_a_service_that_is_stopped():
    """The kernel still takes its connections."""
    with Setup() as setup:
        os.kill(setup.sick.child.pid, signal.SIGSTOP)
        try:
            setup.wait_sick()
            setup.wait_health(False)
        finally:
            os.kill(setup.sick.child.pid, signal.SIGCONT)
        setup.wait_health(True)
        setup.wait_well("it recovers")


def ip(*words):
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"ip {' '.join(words)}: {done.stderr.strip()}")


def test_a_service_in_a_network_that_swallows_everything():
    """In a namespace of its own, whose way back is cut: not even a connection is answered."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        raise Skip("needs root and ip (iproute2) for a network namespace")
    name, link = f"spchaos{os.getpid()}", f"sp{os.getpid() % 100000}"
    ip("netns", "add", name)
    try:
        ip("link", "add", link, "type", "veth", "peer", "name", "inside", "netns", name)
        ip("address", "add", "198.18.77.1/30", "dev", link)
        ip("link", "set", link, "up")
        ip("-n", name, "address", "add", "198.18.77.2/30", "dev", "inside")
        ip("-n", name, "link", "set", "inside", "up")
        with Setup("198.18.77.2", name) as setup:
            ip("-n", name, "route", "del", "198.18.77.0/30")
            ip("-n", name, "route", "add", "blackhole", "198.18.77.1/32")
            setup.wait_sick()
            setup.wait_health(False)
            ip("-n", name, "route", "del", "blackhole", "198.18.77.1/32")
            ip("-n", name, "route", "add", "198.18.77.0/30", "dev", "inside")
            setup.wait_health(True)
            setup.wait_well("it recovers")
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--service"]:
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    run([value for name, value in list(globals().items()) if name.startswith("test_")])
