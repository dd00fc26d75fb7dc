"""IAST: services under test, watched from inside while harmless requests are made."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from harness import PROGRAM, Skip, free_port, run

PYTHON = "/usr/bin/python3"
SERVICE = sys.argv[2] if len(sys.argv) > 2 else ""
BOARD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/vulnerable/board.py")
TIMEOUT_S = 60
del sys.argv[2:]

# The same as the board does, without its mistakes, and with values that stand in its statements too.
CAREFUL = '''
import html, os, shlex, sqlite3, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

lock = threading.Lock()
db = sqlite3.connect(":memory:", check_same_thread=False)
db.executescript("CREATE TABLE products (id INTEGER, name TEXT, kind TEXT); INSERT INTO products VALUES (1, 'lamp', 'light')")

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        parts = urlsplit(self.path)
        q = parse_qs(parts.query).get("q", [""])[0]
        with lock:
            rows = db.execute("SELECT id, name FROM products WHERE kind = 'light' AND name LIKE ? ORDER BY name",
                              (q,)).fetchall()
        if parts.path == "/run":
            subprocess.run(["/bin/echo", q], stdout=subprocess.DEVNULL)
            subprocess.run("echo fixed words; echo " + "done", shell=True, stdout=subprocess.DEVNULL)
            subprocess.run("echo " + shlex.quote(q + " "), shell=True, stdout=subprocess.DEVNULL)
        if parts.path == "/file":
            try:
                open(os.path.join("/tmp", os.path.basename(q))).close()
            except OSError:
                pass
        body = f"<p>{html.escape(q)}</p>{rows}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''

NODE = '''
const http = require('http'), fs = require('fs'), { exec } = require('child_process')
http.createServer((request, response) => {
  const q = new URL(request.url, 'http://h').searchParams.get('q')
  exec('echo ' + q, () => fs.readFile('/srv/none/' + q, () => response.end('ok')))
}).listen(+process.argv[2], '127.0.0.1')
'''


def fetch(port, path, data=None):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=data, timeout=TIMEOUT_S) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.read()


def q(value):
    return "q=" + urllib.parse.quote(value)


class Watch:
    """`sallyport iast` around a service, which is ready when it listens."""

    def __init__(self, command, *options):
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="sallyport-iast-test.")
        command = [word.replace("PORT", str(self.port)) for word in command]
        self.process = subprocess.Popen(
            [PROGRAM, "iast", "-f", "json", "-o", self.folder + "/out", *options, "--", *command],
            stdout=subprocess.DEVNULL, stderr=open(self.folder + "/log", "wb"))
        until = time.monotonic() + TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return
            except OSError:
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < until, self.log()
                time.sleep(0.05)

    def log(self):
        with open(self.folder + "/log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(TIMEOUT_S)
        assert "AddressSanitizer" not in self.log(), self.log()
        with open(self.folder + "/out", encoding="utf-8") as file:
            report = json.load(file)
        shutil.rmtree(self.folder)
        return sorted((f["rule"], f["subject"]) for f in findings_of(report))


def findings_of(report):
    """Objects with a rule, wherever the report has them."""
    if isinstance(report, list):
        return [f for item in report for f in findings_of(item)]
    if not isinstance(report, dict):
        return []
    own = [report] if "rule" in report and "subject" in report else []
    return own + [f for item in report.values() for f in findings_of(item)]


def need_python():
    if not os.path.exists(PYTHON):
        raise Skip("python3 of the system is needed")


def holes_show_with_harmless_requests_alone():
    need_python()
    watch = Watch([PYTHON, BOARD, "PORT"])
    for category in ("light", "furniture"):
        fetch(watch.port, "/products?category=" + category)
    for word in ("lamp", "chair"):
        fetch(watch.port, "/search?" + q(word))
    for name in ("localhost", "ip6-localhost"):
        fetch(watch.port, "/host?name=" + name)
    for name, password in (("anna", "secret1"), ("bert", "secret2")):
        fetch(watch.port, "/login", f"name={name}&password={password}".encode())
    found = watch.end()
    assert found == [
        ("iast-command-concatenation", "GET /host query:name"),
        ("iast-sql-concatenation", "GET /products query:category"),
        ("iast-sql-concatenation", "POST /login form:name"),
        ("iast-sql-concatenation", "POST /login form:password")], found
    assert watch.process.returncode == 1


def attacks_show_for_what_they_do():
    need_python()
    watch = Watch([PYTHON, BOARD, "PORT"])
    fetch(watch.port, "/products?category=" + urllib.parse.quote("x' OR '1'='1"))
    fetch(watch.port, "/host?name=" + urllib.parse.quote("x;id"))
    fetch(watch.port, "/download?file=" + urllib.parse.quote("../../../etc/hostname"))
    fetch(watch.port, "/search?" + q("<b>hi</b>"))
    found = watch.end()
    assert found == [
        ("iast-command-injection", "GET /host query:name"),
        ("iast-cross-site-scripting", "GET /search query:q"),
        ("iast-path-traversal", "GET /download query:file"),
        ("iast-sql-injection", "GET /products query:category")], found


def a_careful_service_gives_no_finding():
    need_python()
    watch = Watch([PYTHON, "-c", CAREFUL, "PORT"])
    values = ["lamp", "light", "name", "products", "kind", "1", "id", "O'Neil", "x' OR '1'='1", "<b>hi</b>", "$(id)",
              "a;b", "../../etc/passwd", "fixed words", "SELECT id", "FROM products", "%", "done", "echo"]
    for path in ("/", "/run", "/file"):
        for value in values:
            fetch(watch.port, path + "?" + q(value))
    found = watch.end()
    assert not found, found
    assert watch.process.returncode == 0


def what_a_service_answers_stays_the_same():
    need_python()
    watch = Watch([PYTHON, "-c", CAREFUL, "PORT"])
    port = free_port()
    with subprocess.Popen([PYTHON, "-c", CAREFUL, str(port)]) as bare:
        try:
            until = time.monotonic() + TIMEOUT_S
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 5).close()
                    break
                except OSError:
                    assert time.monotonic() < until
                    time.sleep(0.05)
            for value in ("lamp", "<b>", "x" * 40000, "\u00fc"):
                assert fetch(port, "/?" + q(value)) == fetch(watch.port, "/?" + q(value))
        finally:
            bare.terminate()
    watch.end()


def a_service_lives_on_without_its_collector():
    need_python()
    watch = Watch([PYTHON, BOARD, "PORT"])
    fetch(watch.port, "/products?category=light")
    with open(f"/proc/{watch.process.pid}/task/{watch.process.pid}/children", encoding="ascii") as file:
        child = int(file.read().split()[0])
    watch.process.kill()
    watch.process.wait(TIMEOUT_S)
    try:
        for category in ("light", "furniture", "x' OR '1'='1"):
            assert b"found" in fetch(watch.port, "/products?category=" + urllib.parse.quote(category))
    finally:
        os.kill(child, signal.SIGTERM)
    shutil.rmtree(watch.folder)


def statements_of_libpq_are_seen_in_processes_too(how=()):
    if not SERVICE:
        raise Skip("the service was not built")
    watch = Watch([SERVICE, "PORT", *how])
    for path in ("/joined", "/bound"):
        for value in ("lamp", "chair", "lamp"):
            fetch(watch.port, f"{path}?q={value}")
    found = watch.end()
    assert found == [("iast-sql-concatenation", "GET /joined query:q")], found


def a_service_that_forks_is_watched_in_all_its_processes():
    statements_of_libpq_are_seen_in_processes_too(["fork"])


def node_is_watched_as_well():
    node = shutil.which("node")
    if not node:
        raise Skip("node is needed")
    folder = tempfile.mkdtemp(prefix="sallyport-iast-node.")
    with open(folder + "/service.js", "w", encoding="utf-8") as file:
        file.write(NODE)
    watch = Watch([node, folder + "/service.js", "PORT"])
    for value in ("lamp", "chair", "../../etc/hostname"):
        fetch(watch.port, "/?" + q(value))
    found = watch.end()
    shutil.rmtree(folder)
    assert ("iast-command-concatenation", "GET / query:q") in found, found


def mistakes_are_told():
    done = subprocess.run([PROGRAM, "iast", "--", "/nonexistent/service"], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)
    assert done.returncode == 1 and "/nonexistent/service" in done.stderr, done
    done = subprocess.run([PROGRAM, "iast", "--agent", "/nonexistent.so", "--", "true"], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)
    assert done.returncode == 1 and "/nonexistent.so" in done.stderr, done
    done = subprocess.run([PROGRAM, "iast", "-f", "sarif", "--", "true"], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0 and json.loads(done.stdout)["version"] == "2.1.0", done


run([
    mistakes_are_told,
    holes_show_with_harmless_requests_alone,
    attacks_show_for_what_they_do,
    a_careful_service_gives_no_finding,
    what_a_service_answers_stays_the_same,
    a_service_lives_on_without_its_collector,
    statements_of_libpq_are_seen_in_processes_too,
    a_service_that_forks_is_watched_in_all_its_processes,
    node_is_watched_as_well,
])
