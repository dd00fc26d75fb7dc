#!/usr/bin/env python3
"""The gateway's processes: start, reload, upgrade, crash and end, with requests under way.

usage: process_test.py path/to/sallyport
"""

import http.client
import http.server
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import free_port

PROGRAM = None
WAIT_S = 10


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    text = b"ok"

    def do_GET(self):
        if self.path.startswith("/slow"):
            time.sleep(1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *args):
        pass


class OtherService(Service):
    text = b"other"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Load:
    """Clients that ask one request after the other and count what goes wrong."""

    def __init__(self, port, clients=2, keep_alive=True):
        self.port, self.keep_alive = port, keep_alive
        self.done, self.errors, self.stop = 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *args):
        self.stop = True
        for thread in self.threads:
            thread.join()

    def run(self):
        connection, used = None, False
        while not self.stop:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                    used = False
                connection.request("GET", "/x")
                response = connection.getresponse()
                response.read()
                closing = response.will_close
                with self.lock:
                    self.done += 1
                    if response.status != 200:
                        self.errors.append(response.status)
                used = True
                if closing or not self.keep_alive:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as e:
                connection.close()
                connection = None
                # A kept connection may be closed by the server while it is idle; RFC 9112
                # section 9.3.1 lets the client try again on another.
                if not (used and isinstance(e, (ConnectionError, http.client.RemoteDisconnected))):
                    with self.lock:
                        self.errors.append(repr(e))
        if connection:
            connection.close()


class ProcessTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.service = Server(("127.0.0.1", 0), Service)
        threading.Thread(target=self.service.serve_forever, daemon=True).start()
        self.port = free_port()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.path / "notify"))
        self.notify.settimeout(WAIT_S)
        self.gateway = None
        self.write_config()

    def tearDown(self):
        pid = self.pid()
        if pid:
            try:
                os.kill(pid, signal.SIGTERM)
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        if self.gateway:
            self.gateway.wait(WAIT_S)
        self.wait_until("the gateway is gone", lambda: not self.pid())
        self.log.close()
        self.service.shutdown()
        self.service.server_close()
        self.notify.close()
        self.folder.cleanup()

    def write_config(self, workers=2, extra_listen="", route="/**", tail=""):
        port = self.service.server_address[1]
        if "log:" not in tail:
            tail += "log: {access: off}\n"
        (self.path / "sallyport.yaml").write_text(
            f"listen:\n  - {{address: \"127.0.0.1:{self.port}\"}}\n{extra_listen}"
            f"workers: {workers}\n"
            f"limits: {{drain: 5s}}\n"
            f"services:\n  web:\n    endpoints: [\"http://127.0.0.1:{port}\"]\n"
            f"routes:\n  - {{path: \"{route}\", service: web, auth: none}}\n{tail}")

    def start(self):
        self.log = open(self.path / "log", "w")
        env = dict(os.environ, NOTIFY_SOCKET=str(self.path / "notify"))
        self.gateway = subprocess.Popen(
            [PROGRAM, "serve", "-c", str(self.path / "sallyport.yaml"),
             "--pid-file", str(self.path / "pid")], stderr=self.log, env=env)
        self.expect_state("READY=1")

    def pid(self):
        try:
            pid = int((self.path / "pid").read_text())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def said(self):
        return (self.path / "log").read_text()

    def expect_state(self, wanted):
        try:
            while wanted not in (state := self.notify.recv(4096).decode()):
                pass
            return state
        except socket.timeout:
            self.fail(f"no {wanted}:\n{self.said()}")

    def wait_until(self, what, condition):
        until = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > until:
                self.fail(f"not within {WAIT_S} s: {what}\n{self.said()}")
            time.sleep(0.02)

    def signal(self, number):
        os.kill(self.pid(), number)

    def servers(self, pid=None):
        pid = pid or self.pid()
        return [int(p) for p in
                pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def get(self, path="/x", port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def body(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/x")
            return connection.getresponse().read()
        finally:
            connection.close()

    def reload(self):
        self.signal(signal.SIGHUP)
        self.expect_state("RELOADING=1")
        self.expect_state("READY=1")

    def assert_no_errors(self, load):
        self.assertEqual(load.errors[:5], [], self.said())
        self.assertGreater(load.done, 0)

    def test_serves_and_ends_on_sigterm(self):
        # Somebody who may write beside the pid file has left a link to what is not theirs.
        (self.path / "victim").write_text("untouched")
        (self.path / "pid.new").symlink_to(self.path / "victim")
        self.start()
        self.assertEqual(self.get(), 200)
        self.assertEqual(self.pid(), self.gateway.pid)
        self.signal(signal.SIGTERM)
        self.expect_state("STOPPING=1")
        self.assertEqual(self.gateway.wait(WAIT_S), 0)
        self.assertFalse((self.path / "pid").exists())
        self.assertEqual((self.path / "victim").read_text(), "untouched")

    def test_a_request_under_way_ends_before_the_gateway_does(self):
        self.start()
        result = []
        thread = threading.Thread(target=lambda: result.append(self.get("/slow")))
        thread.start()
        time.sleep(0.3)
        self.signal(signal.SIGTERM)
        thread.join()
        self.assertEqual(result, [200], self.said())
        self.assertEqual(self.gateway.wait(WAIT_S), 0)

    def test_a_second_sigterm_ends_at_once(self):
        self.start()
        idle = socket.create_connection(("127.0.0.1", self.port))
        idle.sendall(b"GET /x HTTP/1.1\r\n")
        self.signal(signal.SIGTERM)
        self.expect_state("STOPPING=1")
        self.signal(signal.SIGTERM)
        self.assertEqual(self.gateway.wait(4), 0)
        idle.close()

    def test_a_bad_configuration_does_not_start(self):
        self.write_config(tail="nonsense: 1\n")
        run = subprocess.run([PROGRAM, "serve", "-c", str(self.path / "sallyport.yaml")],
                             capture_output=True, text=True, timeout=WAIT_S)
        self.log = open(self.path / "log", "w")
        self.assertEqual(run.returncode, 1)
        self.assertIn("sallyport.yaml:", run.stderr)
        self.assertIn("nonsense", run.stderr)

    def test_a_taken_address_does_not_start(self):
        with socket.create_server(("127.0.0.1", self.port)):
            run = subprocess.run([PROGRAM, "serve", "-c", str(self.path / "sallyport.yaml")],
                                 capture_output=True, text=True, timeout=WAIT_S)
        self.log = open(self.path / "log", "w")
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"127.0.0.1:{self.port}", run.stderr)

    def test_an_address_of_another_gateway_is_taken(self):
        self.write_config(tail=f"admin: {{address: \"127.0.0.1:{free_port()}\"}}\n")
        self.start()
        second = [PROGRAM, "serve", "-c", str(self.path / "sallyport.yaml")]
        done = subprocess.run(second, capture_output=True, text=True, timeout=WAIT_S, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(f"cannot listen on 127.0.0.1:{self.port}", done.stderr)
        # Where only the admin listener is the same, it says so.
        (self.path / "sallyport.yaml").write_text(
            (self.path / "sallyport.yaml").read_text().replace(str(self.port), str(free_port())))
        other = subprocess.Popen(second, stderr=subprocess.PIPE, text=True)
        try:
            said = "".join(iter(lambda: line if (line := other.stderr.readline()) and
                                "supervisor.serving" not in line else "", ""))
        finally:
            other.terminate()
            other.communicate(timeout=WAIT_S)
        self.assertIn("listen.admin_shared", said)

    def test_reload_under_load_keeps_the_server_and_loses_nothing(self):
        self.start()
        before = self.servers()
        with Load(self.port) as kept, Load(self.port, keep_alive=False) as fresh:
            for _ in range(3):
                time.sleep(0.3)
                self.reload()
            time.sleep(0.3)
        self.assert_no_errors(kept)
        self.assert_no_errors(fresh)
        self.assertEqual(self.servers(), before)

    def test_reload_takes_the_new_routes(self):
        self.start()
        self.write_config(route="/other/**")
        self.reload()
        self.wait_until("the route is gone", lambda: self.get() == 404)
        self.assertEqual(self.get("/other/x"), 200)

    def test_a_list_of_endpoints_that_changes_is_taken_by_itself(self):
        other = Server(("127.0.0.1", 0), OtherService)
        threading.Thread(target=other.serve_forever, daemon=True).start()
        urls = [f"http://127.0.0.1:{one.server_address[1]}" for one in (self.service, other)]
        listed = self.path / "endpoints.yaml"

        def put(text):
            aside = self.path / "endpoints.new"
            aside.write_text(text)
            aside.rename(listed)

        put(f'["{urls[0]}"]\n')
        config = self.path / "sallyport.yaml"
        config.write_text(config.read_text().replace(f"endpoints: [\"{urls[0]}\"]",
                                                     "endpoints_file: endpoints.yaml"))
        self.assertIn("endpoints_file", config.read_text())
        self.start()
        before = self.servers()
        self.assertEqual(self.body(), b"ok")
        put(f'- {{url: "{urls[1]}", weight: 2}}\n')
        self.wait_until("the other one is asked", lambda: self.body() == b"other")
        put("- nonsense\n")
        self.wait_until("why it is not taken is said",
                        lambda: re.search(r"endpoints\.yaml:1:\d+", self.said()))
        self.assertEqual(self.body(), b"other")
        put(f'["{urls[0]}"]\n')
        self.wait_until("a good one is taken again", lambda: self.body() == b"ok")
        self.assertEqual(self.servers(), before)
        other.shutdown()
        other.server_close()

    def test_a_bad_reload_changes_nothing_and_says_why(self):
        self.start()
        before = self.servers()
        self.write_config(route="/other/**", tail="nonsense: 1\n")
        self.reload()
        self.assertIn("nonsense", self.said())
        self.assertRegex(self.said(), r"sallyport\.yaml:\d+")
        self.assertEqual(self.servers(), before)
        self.assertEqual(self.get(), 200)

    def test_other_listeners_and_workers_take_a_new_server_and_lose_nothing(self):
        self.start()
        before = self.servers()
        port = free_port()
        with Load(self.port) as kept, Load(self.port, keep_alive=False) as fresh:
            self.write_config(workers=3,
                              extra_listen=f"  - {{address: \"127.0.0.1:{port}\"}}\n")
            self.reload()
            self.assertEqual(self.get(port=port), 200)
            time.sleep(0.3)
            self.write_config(workers=1)
            self.reload()
            time.sleep(0.3)
            self.assertEqual([self.get() for _ in range(20)], [200] * 20)
        self.assert_no_errors(kept)
        self.assert_no_errors(fresh)
        self.wait_until("only one server is left", lambda: len(self.servers()) == 1)
        self.assertNotEqual(self.servers(), before)
        self.assertRaises(ConnectionRefusedError, self.get, port=port)

    def test_a_new_address_that_is_taken_changes_nothing(self):
        self.start()
        before = self.servers()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.write_config(extra_listen=f"  - {{address: \"127.0.0.1:{port}\"}}\n")
            self.reload()
        self.assertIn(f"127.0.0.1:{port}", self.said())
        self.assertEqual(self.servers(), before)
        self.assertEqual(self.get(), 200)

    def test_a_crashed_server_is_started_again(self):
        self.start()
        for _ in range(2):
            before = self.servers()
            os.kill(before[0], signal.SIGKILL)
            self.wait_until("another server", lambda: self.servers() not in ([], before))
            self.assertEqual(self.get(), 200)
        self.assertIn("supervisor.server_ended", self.said())

    def test_a_server_without_supervisor_ends(self):
        self.start()
        server = self.servers()[0]
        self.gateway.kill()
        self.gateway.wait(WAIT_S)
        self.wait_until("the server has ended",
                        lambda: not pathlib.Path(f"/proc/{server}/fd").exists()
                        or "server.ended" in self.said())
        self.assertIn("server.orphaned", self.said())

    def test_upgrade_under_load_loses_nothing(self):
        self.start()
        with Load(self.port) as kept, Load(self.port, keep_alive=False) as fresh:
            time.sleep(0.3)
            self.signal(signal.SIGUSR2)
            state = self.expect_state("MAINPID=")
            self.assertEqual(self.gateway.wait(WAIT_S), 0, self.said())
            time.sleep(0.3)
        self.assert_no_errors(kept)
        self.assert_no_errors(fresh)
        self.assertNotEqual(self.pid(), self.gateway.pid)
        self.assertIn(f"MAINPID={self.pid()}\n", state)
        self.assertEqual(self.get(), 200)

    def test_rate_limits_hold_over_reload_crash_and_upgrade(self):
        def limited(workers):
            self.write_config(workers=workers)
            config = self.path / "sallyport.yaml"
            config.write_text(config.read_text().replace(
                "auth: none}", "auth: none, limit: {per: address, rate: 1/h, burst: 8}}"))

        limited(2)
        self.start()
        self.assertEqual([self.get(), self.get()], [200, 200])
        self.reload()
        self.assertEqual([self.get(), self.get()], [200, 200])
        before = self.servers()
        limited(1)
        self.reload()
        self.wait_until("another server", lambda: self.servers() != before)
        self.assertEqual(self.get(), 200)
        before = self.servers()[-1]
        os.kill(before, signal.SIGKILL)
        self.wait_until("another server", lambda: before not in self.servers() and self.servers())
        self.assertEqual(self.get(), 200)
        self.signal(signal.SIGUSR2)
        self.expect_state("MAINPID=")
        self.assertEqual(self.gateway.wait(WAIT_S), 0, self.said())
        self.assertEqual([self.get() for _ in range(4)], [200, 200, 429, 429], self.said())
        self.assertNotIn("upgrade.limits", self.said())

    def test_the_server_process_has_no_privileges_left(self):
        if os.geteuid() != 0:
            self.skipTest("only root has something to give up")
        nobody = pwd.getpwnam("nobody")
        self.path.chmod(0o755)
        self.write_config(tail="user: nobody\n")
        self.start()
        self.assertEqual(self.get(), 200)
        pid = self.servers()[0]
        status = dict(line.split(":\t", 1) for line in
                      pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        self.assertEqual(status["Uid"].split(), [str(nobody.pw_uid)] * 4)
        self.assertEqual(status["Gid"].split(), [str(nobody.pw_gid)] * 4)
        self.assertEqual(status["Groups"].strip(), "")
        self.assertEqual(int(status["CapPrm"], 16) | int(status["CapEff"], 16)
                         | int(status["CapBnd"], 16) | int(status["CapAmb"], 16), 0)
        self.assertEqual(status["NoNewPrivs"].strip(), "1")
        self.assertEqual(status["Seccomp"].strip(), "2")
        # Every thread of it, and a reload that it does by itself needs nothing more.
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            self.assertIn("Seccomp:\t2\n", (task / "status").read_text())
        self.reload()
        self.assertEqual(self.get(), 200)
        self.assertEqual(self.servers(), [pid])

    def test_a_failed_upgrade_changes_nothing(self):
        self.start()
        before = self.servers()
        self.write_config(tail="nonsense: 1\n")
        self.signal(signal.SIGUSR2)
        self.wait_until("the upgrade has failed", lambda: "upgrade.failed" in self.said())
        self.assertEqual(self.pid(), self.gateway.pid)
        self.assertEqual(self.servers(), before)
        self.assertEqual(self.get(), 200)

    def test_log_files_are_opened_anew(self):
        log = self.path / "access.log"
        self.write_config(tail=f"log: {{access: \"{log}\"}}\n")
        self.start()
        self.get("/first")
        self.wait_until("it is logged", lambda: "/first" in log.read_text())
        log.rename(self.path / "access.log.1")
        self.signal(signal.SIGUSR1)
        self.wait_until("the file is there again", log.exists)
        self.get("/second")
        self.wait_until("it is logged anew", lambda: "/second" in log.read_text())
        self.assertNotIn("/second", (self.path / "access.log.1").read_text())

    def test_sockets_of_the_service_manager_are_used(self):
        code = ("import os,sys\n"
                "os.dup2(int(sys.argv[1]), 3)\n"
                "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
                "os.execv(sys.argv[2], sys.argv[2:])\n")
        self.log = open(self.path / "log", "w")
        with socket.create_server(("127.0.0.1", self.port)) as s:
            inherited = os.dup(s.fileno())
            os.set_inheritable(inherited, True)
            self.gateway = subprocess.Popen(
                [sys.executable, "-c", code, str(inherited), PROGRAM, "serve", "-c",
                 str(self.path / "sallyport.yaml"), "--pid-file", str(self.path / "pid")],
                stderr=self.log, pass_fds=[inherited],
                env=dict(os.environ, NOTIFY_SOCKET=str(self.path / "notify")))
            self.expect_state("READY=1")
            os.close(inherited)
        self.assertEqual([self.get() for _ in range(10)], [200] * 10)


if __name__ == "__main__":
    if len(sys.argv) < 2 or not hasattr(os, "fork"):
        sys.exit(77)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
