#!/usr/bin/python3
"""While one client attacks, another gets its answers; and what the attacker gets."""

import resource
import select
import socket
import struct
import threading
import time

from harness import DEADLINE_S, Gateway, Service, Skip, answer, run

CONFIG = """
listen: [{address: "127.0.0.1:{port}", h2c: on}]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {access: off}
limits:
  connections_per_address: %s
  headers_timeout: 1s
  body_grace: 1s
  keep_alive: 20s
  drain: 2s
services:
  up: {endpoints: ["http://127.0.0.1:%d"]}
routes:
  - {path: "/up/**", service: up, auth: none}
"""
HEAD = b"GET /up/ HTTP/1.1\r\nHost: a\r\n"

# Frames of HTTP/2 (RFC 9113 section 6) and what the test needs of them.
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
ENHANCE_YOUR_CALM = 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REQUEST = b"\x82\x86\x04\x04/up/\x01\x01a"  # HPACK: GET, http, /up/, authority "a"
POST = b"\x83\x86\x04\x04/up/\x01\x01a"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def raise_file_limit(wanted):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Skip(f"only {hard} files may be open, {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Setup:
    """A gateway under attack; `probe` is the other client."""

    def __init__(self, script=None, per_address=0):
        self.service = Service(script or self.plain)
        self.gateway = Gateway(CONFIG % (per_address, self.service.port))

    @staticmethod
    def plain(connection, _head, _number, rest):
        answer(connection)
        return rest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def probe(self, times=20):
        for _ in range(times):
            status, _, body = self.gateway.request("GET", "/up/probe")
            assert (status, body) == (200, b"hello"), status

    def answered(self):
        """How many requests came to the service, without the probe's."""
        return sum(b"/up/probe" not in head for head in self.service.heads)


class H2:
    """A raw HTTP/2 connection that sends what it likes, and collects what comes back."""

    def __init__(self, gateway, settings=b""):
        self.connection = gateway.connect()
        self.received = b""
        self.closed = False
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def receive(self, timeout):
        while not self.closed and select.select([self.connection], [], [], timeout)[0]:
            try:
                data = self.connection.recv(65536)
            except ConnectionResetError:
                data = b""
            self.closed = not data
            self.received += data

    def send(self, data):
        """False once the gateway does not take it any more."""
        try:
            self.connection.sendall(data)
        except OSError:
            self.receive(1)
            return False
        self.receive(0)
        return not self.closed

    def frames(self):
        at = 0
        while at + 9 <= len(self.received):
            length = int.from_bytes(self.received[at : at + 3], "big")
            kind, flags, stream = struct.unpack(">BBI", self.received[at + 3 : at + 9])
            yield kind, flags, stream, self.received[at + 9 : at + 9 + length]
            at += 9 + length

    def refused(self):
        """Waits for the end; the error code of the GOAWAY frame, None without."""
        until = time.monotonic() + DEADLINE_S
        while not self.closed and time.monotonic() < until:
            self.receive(0.2)
        assert self.closed, "the connection of an attacker stays open"
        self.connection.close()
        codes = [struct.unpack(">I", payload[4:8])[0]
                 for kind, _, _, payload in self.frames() if kind == GOAWAY]
        return codes[-1] if codes else None


def flood(setup, chunks, settings=b""):
    """Sends the chunks on a connection while the probe asks; the connection."""
    h2 = H2(setup.gateway, settings)

    def attack():
        for chunk in chunks:
            if not h2.send(chunk):
                return

    thread = threading.Thread(target=attack, daemon=True)
    thread.start()
    setup.probe()
    thread.join(DEADLINE_S)
    assert not thread.is_alive(), "the attack goes on"
    return h2


def wait_all_closed(connections):
    poll = select.poll()
    open_now = {connection.fileno(): connection for connection in connections}
    for fd in open_now:
        poll.register(fd, select.POLLIN)
    received = []
    until = time.monotonic() + DEADLINE_S
    while open_now and time.monotonic() < until:
        for fd, _ in poll.poll(200):
            try:
                data = open_now[fd].recv(65536)
            except ConnectionResetError:
                data = b""
            if data:
                received.append(data)
                continue
            poll.unregister(fd)
            open_now.pop(fd).close()
    assert not open_now, f"{len(open_now)} of {len(connections)} attackers stay connected"
    return received


def trickle(setup, connections, byte):
    """A byte to each now and then while the probe asks, until the gateway has had enough."""
    until = time.monotonic() + 3
    while time.monotonic() < until:
        for connection in connections:
            try:
                connection.sendall(byte)
            except OSError:
                pass
        setup.probe(5)


def test_half_heads_do_not_keep_others_waiting():
    with Setup() as setup:
        connections = [setup.gateway.connect() for _ in range(300)]
        for connection in connections:
            connection.sendall(HEAD + b"X-A: ")
        trickle(setup, connections, b"a")
        wait_all_closed(connections)
        assert setup.answered() == 0


def test_silence_after_half_a_head_is_answered_408():
    with Setup() as setup:
        connections = [setup.gateway.connect() for _ in range(300)]
        for connection in connections:
            connection.sendall(HEAD)
        setup.probe()
        received = wait_all_closed(connections)
        assert len(received) == 300 and all(r.startswith(b"HTTP/1.1 408") for r in received)


def test_slow_bodies_do_not_keep_others_waiting():
    def script(connection, head, _number, rest):
        if b"/up/probe" in head:
            answer(connection)
            return rest
        while connection.recv(65536):
            pass
        return None

    with Setup(script) as setup:
        connections = [setup.gateway.connect() for _ in range(100)]
        for connection in connections:
            connection.sendall(b"POST" + HEAD[3:] + b"Content-Length: 1000000\r\n\r\n")
        trickle(setup, connections, b"a")
        received = wait_all_closed(connections)
        assert not any(b" 200 " in r for r in received)


def test_idle_connections_by_the_thousand_do_not_keep_others_waiting():
    raise_file_limit(4096)
    with Setup() as setup:
        connections = [setup.gateway.connect() for _ in range(2500)]
        setup.probe()
        for connection in connections[::100]:
            connection.sendall(HEAD + b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        for connection in connections:
            connection.close()
        setup.probe()


def test_one_address_has_its_share_of_connections_and_no_more():
    with Setup(per_address=50) as setup:
        connections = [setup.gateway.connect() for _ in range(200)]
        for connection in connections:
            try:
                connection.sendall(HEAD + b"\r\n")
            except OSError:
                pass
        time.sleep(0.5)
        served = 0
        for connection in connections:
            try:
                served += connection.recv(65536).startswith(b"HTTP/1.1 200")
            except ConnectionResetError:
                pass
        assert served <= 50, served
        assert served >= 40, served
        for connection in connections:
            connection.close()
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:  # the share is given back
            try:
                setup.probe(1)
                break
            except (OSError, AssertionError):
                time.sleep(0.05)
        setup.probe()


def test_heads_that_are_too_large_are_refused():
    with Setup() as setup:
        received = setup.gateway.raw(HEAD + b"X-A: " + b"a" * 48000 + b"\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 431"), received
        received = setup.gateway.raw(HEAD + b"X-A: a\r\n" * 101 + b"\r\n")
        assert received.startswith(b"HTTP/1.1 431"), received
        received = setup.gateway.raw(b"GET /up/" + b"a" * 9000 + HEAD[8:] + b"\r\n")
        assert received.startswith(b"HTTP/1.1 414"), received
        received = setup.gateway.raw(b"GET /up/" + b"a" * 48000)
        assert received.startswith(b"HTTP/1.1 414"), received
        setup.probe()
        assert setup.answered() == 0


def test_a_head_without_end_is_not_collected_for_ever():
    with Setup() as setup:
        connection = setup.gateway.connect()
        connection.sendall(HEAD)
        sent, much = 0, 64 << 20  # more than the buffers of both sockets hold
        try:
            while sent < much:
                sent += connection.send(b"X-A: " + b"a" * 4000 + b"\r\n")
        except OSError:
            pass
        setup.probe()
        connection.close()
        assert sent < much, "the gateway took 64 megabytes of head"


def test_rapid_resets_end_the_connection():
    def requests():
        for stream in range(1, 20001, 2):
            yield (frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST)
                   + frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))

    with Setup() as setup:
        assert flood(setup, requests()).refused() == ENHANCE_YOUR_CALM
        assert setup.answered() <= 110, setup.answered()


def test_streams_that_we_are_made_to_reset_end_the_connection():
    def requests():
        for stream in range(1, 20001, 2):
            yield (frame(HEADERS, END_HEADERS, stream, POST)
                   + frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 0)))

    with Setup() as setup:
        flood(setup, requests()).refused()
        assert setup.answered() <= 110, setup.answered()


def test_continuations_without_end_end_the_connection():
    def block():
        yield frame(HEADERS, END_STREAM, 1, REQUEST)
        for _ in range(20000):
            yield frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b" * 20)

    def empty_block():
        yield frame(HEADERS, END_STREAM, 1, REQUEST)
        for _ in range(20000):
            yield frame(CONTINUATION, 0, 1)

    with Setup() as setup:
        assert flood(setup, block()).refused() is not None
        assert flood(setup, empty_block()).refused() is not None
        assert setup.answered() == 0


def test_frames_that_only_make_work_end_the_connection():
    kinds = {
        "ping": frame(PING, 0, 0, b"12345678"),
        "settings": frame(SETTINGS, 0, 0),
        "window": frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)),
    }
    with Setup() as setup:
        for name, bytes_of_kind in kinds.items():
            code = flood(setup, (bytes_of_kind * 100 for _ in range(1000))).refused()
            assert code == ENHANCE_YOUR_CALM, (name, code)


def test_unknown_frames_do_not_keep_others_waiting():
    with Setup() as setup:
        h2 = flood(setup, (frame(0x42, 0, 0, b"abc") * 100 for _ in range(1000)))
        h2.connection.close()
        setup.probe()


def test_empty_data_frames_end_the_connection():
    def frames():
        yield frame(HEADERS, END_HEADERS, 1, POST)
        for _ in range(1000):
            yield frame(DATA, 0, 1) * 100

    def script(connection, head, _number, rest):
        if b"/up/probe" in head:
            answer(connection)
            return rest
        while connection.recv(65536):
            pass
        return None

    with Setup(script) as setup:
        assert flood(setup, frames()).refused() == ENHANCE_YOUR_CALM


def test_a_field_list_that_swells_when_decoded_is_refused():
    big = b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000  # into the table: "a" with 4,000 bytes
    bomb = REQUEST + big + b"\xbe" * 5000

    with Setup() as setup:
        h2 = flood(setup, [frame(HEADERS, END_STREAM | END_HEADERS, 1, bomb)])
        h2.receive(1)
        assert setup.answered() == 0
        kinds = {kind for kind, _, stream, _ in h2.frames() if stream == 1 or kind == GOAWAY}
        assert kinds & {HEADERS, RST_STREAM, GOAWAY}, kinds
        assert b"hello" not in h2.received
        h2.connection.close()


def test_a_client_that_never_opens_its_window_does_not_keep_others_waiting():
    def script(connection, head, _number, rest):
        answer(connection, b"hello" if b"/up/probe" in head else b"a" * 500000)
        return rest

    no_window = struct.pack(">HI", 4, 0)
    with Setup(script) as setup:
        streams = [frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST)
                   for stream in range(1, 49, 2)]
        clients = [flood(setup, streams, no_window) for _ in range(4)]
        setup.probe()
        for h2 in clients:
            assert b"aaaa" not in h2.received
            h2.connection.close()
        setup.probe()


FAIR = """
listen: ["127.0.0.1:{port}"]
workers: 2
admin: {address: "127.0.0.1:{admin}"}
log: {level: error, access: off}
trusted_proxies: [127.0.0.1]
forwarded: {client_headers: trusted}
ips: {malformed: {threshold: 1, window: 1h}}
overload: {memory: 1MiB, fair_share: 70%, no_keep_alive: 0%, short_timeouts: 0%, shed_low: 0%,
           shed_normal: 0%, refuse: 0%}
routes: [{path: /, respond: {status: 200, body: hello}, auth: none}]
"""


def ask_over(connection, client, times):
    """The statuses of that many requests, sent at once."""
    request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\n\r\n" % client
    connection.sendall(request * times)
    received, statuses = b"", []
    while len(statuses) < times:
        data = connection.recv(65536)
        assert data, received[-500:]
        received += data
        statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    return statuses


def test_in_overload_who_sends_most_is_shed_and_others_are_served():
    gateway = Gateway(FAIR)
    try:
        with gateway.connect() as greedy, gateway.connect() as modest:
            until = time.monotonic() + DEADLINE_S
            while ask_over(greedy, b"192.0.2.1", 200).count(b"503") <= 150:
                assert time.monotonic() < until, "the greedy one is never shed"
                time.sleep(0.25)
            for _ in range(10):
                statuses = ask_over(greedy, b"192.0.2.1", 200)
                assert statuses.count(b"503") > 150, statuses
                assert ask_over(modest, b"192.0.2.2", 1) == [b"200"]
                time.sleep(0.1)
            statuses = ask_over(modest, b"192.0.2.3", 4)
            assert statuses == [b"200"] * 4, "to be shed is no reason for a ban"
    finally:
        assert gateway.stop() == 0

run([function for name, function in list(globals().items()) if name.startswith("test_")])
