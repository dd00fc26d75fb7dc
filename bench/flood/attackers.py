#!/usr/bin/env python3
"""
attackers.py MODE PORT CONNECTIONS SECONDS: that many clients of 127.0.0.2 to 127.0.0.17 misbehave
against 127.0.0.1:PORT for so long, each about once a second; who is cut off comes again, also once a
second. Prints as JSON how many were connected at most, and how often they were cut off.
"""

import errno
import heapq
import json
import resource
import selectors
import socket
import sys
import time

ADDRESSES = 16
STEP_S = 1.0
HEAD = b"GET / HTTP/1.1\r\nHost: bench.test\r\n"


class Client:
    """One of them; `act` is called once a second when it is connected."""

    def __init__(self, number, port):
        self.address, self.port = f"127.0.0.{2 + number % ADDRESSES}", port
        self.number, self.steps, self.socket = number, 0, None

    def connect(self):
        self.steps = 0
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.bind((self.address, 0))
        try:
            self.socket.connect(("127.0.0.1", self.port))
        except BlockingIOError:
            pass

    def send(self, data):
        """False when the connection has ended."""
        try:
            self.socket.send(data)
        except BlockingIOError:
            pass
        except OSError as error:
            return error.errno == errno.ENOTCONN
        return True

    def act(self):
        raise NotImplementedError


class SlowHead(Client):
    """A field a second, and never the end of the head."""

    def act(self):
        return self.send(HEAD if self.steps == 1 else b"X-%d: a\r\n" % self.steps)


class SlowBody(Client):
    """A byte a second of a long body."""

    def act(self):
        head = b"POST / HTTP/1.1\r\nHost: bench.test\r\nContent-Length: 100000\r\n\r\n"
        return self.send(head if self.steps == 1 else b"a")


class Silent(Client):
    """Connects, and says nothing."""

    def act(self):
        return True


class Churn(Client):
    """Connects, and goes."""

    def act(self):
        return self.steps < 2


class Garbage(Client):
    """What is no HTTP."""

    def act(self):
        return self.send(b"\x16\x03\x01\x00\xa5 \x00\xff this is none\r\n\r\n")


class Greedy(Client):
    """Twenty requests at once, over and over, whatever the answers are."""

    def act(self):
        return self.send((HEAD + b"\r\n") * 20)


MODES = {
    "slow-head": SlowHead, "slow-body": SlowBody, "silent": Silent, "churn": Churn,
    "garbage": Garbage, "greedy": Greedy,
}


class Crowd:
    def __init__(self, kind, port, count):
        self.selector = selectors.EpollSelector()
        self.clients = [kind(number, port) for number in range(count)]
        now = time.monotonic()
        # Spread over the second, so that they do not come in waves.
        self.due = [(now + STEP_S * i / count, i) for i in range(count)]
        self.connected, self.most, self.cut_off = 0, 0, 0

    def open(self, client):
        try:
            client.connect()
        except OSError:
            client.socket.close()
            client.socket = None
            return
        self.selector.register(client.socket, selectors.EVENT_READ, client)
        self.connected += 1
        self.most = max(self.most, self.connected)

    def close(self, client):
        self.selector.unregister(client.socket)
        client.socket.close()
        client.socket = None
        self.connected -= 1
        self.cut_off += 1

    def step(self, client):
        if not client.socket:
            self.open(client)
            return
        client.steps += 1
        if not client.act():
            self.close(client)

    def read(self, client):
        try:
            ended = client.socket.recv(65536) == b""
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self.close(client)

    def run(self, seconds):
        until = time.monotonic() + seconds
        now = time.monotonic()
        while now < until:
            while self.due[0][0] <= now:
                when, number = heapq.heappop(self.due)
                self.step(self.clients[number])
                heapq.heappush(self.due, (when + STEP_S, number))
            for key, _ in self.selector.select(min(0.01, max(0, self.due[0][0] - now))):
                if key.data.socket:
                    self.read(key.data)
            now = time.monotonic()


def main():
    mode, port, count, seconds = sys.argv[1], *map(int, sys.argv[2:5])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd(MODES[mode], port, count)
    crowd.run(seconds)
    print(json.dumps({"most": crowd.most, "cut_off": crowd.cut_off}))


if __name__ == "__main__":
    main()
