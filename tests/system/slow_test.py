#!/usr/bin/python3
"""Slow clients by the hundred, bodies of a gigabyte, and connections by the thousand."""

import os
import resource
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
# pylint: disable=wrong-import-position
from harness import Gateway, Service, Skip, answer, field, run  # noqa: E402

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {access: off}
limits:
  connections_per_address: 0
  headers_timeout: 5s
  body_grace: 5s
  body: 0
  drain: 2s
services:
  up:
    endpoints: ["http://127.0.0.1:%d"]
    pool: {size: 1024}
routes:
  - {path: "/**", service: up, auth: none}
"""
PROBE = b" /probe "
PIECE = b"a" * (1 << 20)
PIECES = 1024
GROWTH_MAX_KIB = 8 * 1024


class Setup:
    def __init__(self, script):
        self.service = Service(script)
        self.gateway = Gateway(CONFIG % self.service.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def probe(self):
        status, _, body = self.gateway.request("GET", "/probe")
        assert (status, body) == (200, b"hello"), status

    def resident_kib(self):
        """Of the process that serves: the child of the one that supervises."""
        pid = self.gateway.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            child = file.read().split()[0]
        with open(f"/proc/{child}/status", encoding="ascii") as file:
            lines = [line for line in file if line.startswith("VmRSS:")]
        return int(lines[0].split()[1])


def plain(connection, head, _number, rest):
    if PROBE in head:
        answer(connection)
    elif field(head, "content-length"):
        left = int(field(head, "content-length")[0]) - len(rest)
        while left > 0:
            data = connection.recv(min(left, 1 << 20))
            if not data:
                return None
            left -= len(data)
        answer(connection)
        rest = b""
    else:
        answer(connection, PIECE)
    return rest


def slowhttptest(*options):
    """Runs one of its modes while the probe asks."""
    if not shutil.which("slowhttptest"):
        raise Skip("slowhttptest is not installed")
    with Setup(plain) as setup:
        attack = subprocess.Popen(
            ["slowhttptest", *options, "-c", "300", "-r", "100", "-i", "2", "-l", "15", "-p", "5",
             "-v", "1", "-u", f"http://127.0.0.1:{setup.gateway.port}/large"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        told = []
        reader = threading.Thread(target=lambda: told.append(attack.stdout.read()), daemon=True)
        reader.start()
        probes = 0
        try:
            while attack.poll() is None:
                setup.probe()
                probes += 1
        finally:
            if attack.poll() is None:
                attack.kill()
            attack.wait()
        reader.join(5)
        setup.probe()
        assert probes > 20, probes
        assert "service available" in told[0], told
        # It asks for the page under attack itself, with a connection of its own.
        for line in told[0].splitlines():
            if "service available" in line:
                assert "NO" not in line, told[0][-2000:]


def test_slow_heads_leave_others_their_answers():
    slowhttptest("-H", "-x", "24")


def test_slow_bodies_leave_others_their_answers():
    slowhttptest("-B", "-x", "10", "-s", "8192")


def test_slow_readers_leave_others_their_answers():
    slowhttptest("-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3")


def test_hostile_ranges_leave_others_their_answers():
    slowhttptest("-R", "-t", "HEAD", "-a", "10", "-b", "3000")


def test_a_gigabyte_downloads_in_flat_memory():
    def script(connection, head, number, rest):
        if PROBE in head:
            return plain(connection, head, number, rest)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (PIECES << 20))
        for _ in range(PIECES):
            connection.sendall(PIECE)
        return rest

    with Setup(script) as setup:
        setup.probe()
        before = setup.resident_kib()
        most = before
        with setup.gateway.connect() as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            received = 0
            while data := connection.recv(1 << 20):
                received += len(data)
                if received >> 24 != (received - len(data)) >> 24:
                    most = max(most, setup.resident_kib())
        assert received > PIECES << 20, received
        print(f"resident: {before} KiB before, {most} KiB at most")
        assert most - before <= GROWTH_MAX_KIB, (before, most)


def test_a_gigabyte_uploads_in_flat_memory():
    with Setup(plain) as setup:
        setup.probe()
        before = setup.resident_kib()
        most = before
        with setup.gateway.connect() as connection:
            connection.sendall(b"PUT /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                               b"Content-Length: %d\r\n\r\n" % (PIECES << 20))
            for piece in range(PIECES):
                connection.sendall(PIECE)
                if piece % 16 == 0:
                    most = max(most, setup.resident_kib())
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        print(f"resident: {before} KiB before, {most} KiB at most")
        assert most - before <= GROWTH_MAX_KIB, (before, most)


def test_five_thousand_connections_are_served_at_once():
    wanted = 5000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * wanted:
        raise Skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * wanted, hard))
    request = b"GET /probe HTTP/1.1\r\nHost: a\r\n\r\n"
    with Setup(plain) as setup:
        setup.probe()
        before = setup.resident_kib()
        connections = [setup.gateway.connect() for _ in range(wanted)]
        for _ in range(2):  # each is asked again after all others
            for first in range(0, wanted, 500):
                some = connections[first : first + 500]
                for connection in some:
                    connection.sendall(request)
                for connection in some:
                    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        grown = setup.resident_kib() - before
        print(f"resident: {grown} KiB more with {wanted} connections, "
              f"{grown * 1024 // wanted} bytes each")
        for connection in connections:
            connection.close()
        setup.probe()


run([function for name, function in list(globals().items()) if name.startswith("test_")])
