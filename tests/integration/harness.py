"""Runs the real program in front of scripted services; standard library only.

Results are printed in cmocka's form, so that each test is counted.
"""

import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

PROGRAM = os.environ.get("SALLYPORT") or (sys.argv[1] if len(sys.argv) > 1 else "")
DEADLINE_S = 20


class Skip(Exception):
    """The test cannot run here; says why."""


# Below the ports that the system gives to those who ask for none.
PORTS = range(10240, 32000)
reservations = []


def free_port():
    """A port that nobody listens at, and that no other test is given while this one runs."""
    while True:
        port = random.choice(PORTS)
        reservation = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                reservation.bind(f"\0sallyport-test-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                reservation.close()
                continue
        reservations.append(reservation)
        return port


class Listener:
    """Gives each connection to `handle(connection)` in a thread of its own."""

    def __init__(self, backlog=64):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.handle, args=(connection,), daemon=True).start()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        except OSError:
            pass
        self.listener.close()


class Service(Listener):
    """A service whose every connection is handled by `script(connection, head, number)`."""

    def __init__(self, script):
        self.script = script
        self.heads = []
        self.lock = threading.Lock()
        super().__init__(backlog=1024)

    def handle(self, connection):
        connection.settimeout(DEADLINE_S)
        rest = b""
        try:
            while True:
                while b"\r\n\r\n" not in rest:
                    data = connection.recv(65536)
                    if not data:
                        return
                    rest += data
                head, rest = rest.split(b"\r\n\r\n", 1)
                with self.lock:
                    self.heads.append(head + b"\r\n\r\n")
                    number = len(self.heads)
                rest = self.script(connection, head, number, rest)
                if rest is None:
                    return
        except OSError:
            return
        finally:
            connection.close()


def field(head, name):
    """All values of a field in a raw head."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    return [value.strip() for key, value in pairs if key.lower() == name.lower()]


def answer(connection, body=b"hello", status="200 OK", extra=b""):
    connection.sendall(
        b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s"
        % (status.encode(), len(body), extra, body)
    )


class Gateway:
    """The program with a configuration; `{port}` and `{admin}` in it are filled in."""

    def __init__(self, config, files=None, wait=True):
        self.folder = tempfile.mkdtemp(prefix="sallyport-test.")
        os.mkdir(os.path.join(self.folder, "state"))
        self.port, self.admin = free_port(), free_port()
        self.config = os.path.join(self.folder, "sallyport.yaml")
        for name, content in (files or {}).items():
            os.makedirs(os.path.dirname(os.path.join(self.folder, name)), exist_ok=True)
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(content)
        self.write(config)
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.start(wait)

    def start(self, wait=True):
        """Also again, when it has ended."""
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "-c", self.config], stderr=self.log, stdout=self.log
        )
        if wait:
            self.wait_ready()

    def kill(self):
        """All processes of the program, at once."""
        pids = [self.process.pid]
        for pid in pids:
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                    pids += [int(word) for word in file.read().split()]
            except OSError:
                pass
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        # Ending takes a moment; until then the old socket would be taken for the new one.
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            try:
                self.connect().close()
            except ConnectionError:
                return
            time.sleep(0.002)
        raise AssertionError("killed processes still listen")

    def write(self, config):
        self.awaited = [self.port] + ([self.admin] if "{admin}" in config else [])
        text = config.replace("{port}", str(self.port)).replace("{admin}", str(self.admin))
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def log_text(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_ready(self):
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError("the gateway ended: " + self.log_text())
            try:
                for port in self.awaited:
                    self.connect(port).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the gateway is not ready: " + self.log_text())

    def wait_serving(self, seconds):
        """Its sockets are there before its rules are: asks the admin listener, which is needed."""
        until = time.monotonic() + seconds
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=2)
            try:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            if self.process.poll() is not None:
                raise AssertionError("the gateway ended: " + self.log_text())
            if time.monotonic() > until:
                raise AssertionError("the gateway does not serve: " + self.log_text())
            time.sleep(0.05)

    def connect(self, port=None):
        connection = socket.create_connection(("127.0.0.1", port or self.port), DEADLINE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def raw(self, request, timeout=DEADLINE_S):
        """Sends bytes, and returns all that comes until the gateway closes or is quiet."""
        with self.connect() as connection:
            connection.settimeout(timeout)
            connection.sendall(request)
            received = b""
            try:
                while True:
                    data = connection.recv(65536)
                    if not data:
                        return received
                    received += data
            except (socket.timeout, ConnectionResetError):
                return received

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.process.returncode


def refusal(config, files):
    """What the program says of a configuration that it does not start with."""
    gateway = Gateway(config, files, wait=False)
    gateway.process.wait(30)
    log = gateway.log_text()
    gateway.stop()
    assert gateway.process.returncode != 0
    return log


def run(tests):
    """Runs the functions and ends the program with what became of them."""
    if not PROGRAM or not os.access(PROGRAM, os.X_OK):
        sys.exit("usage: TEST PROGRAM (the sallyport program), or set SALLYPORT")
    only = sys.argv[2:]
    failed = 0
    for test in tests:
        if only and test.__name__ not in only:
            continue
        print(f"[ RUN      ] {test.__name__}", flush=True)
        try:
            test()
            print(f"[       OK ] {test.__name__}", flush=True)
        except Skip as reason:
            print(f"{test.__name__}: {reason}\n[  SKIPPED ] {test.__name__}", flush=True)
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc(file=sys.stdout)
            print(f"[  FAILED  ] {test.__name__}", flush=True)
            failed += 1
    sys.exit(1 if failed else 0)
