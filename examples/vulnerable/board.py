#!/usr/bin/env python3
"""A notice board that does everything wrong, to see what a firewall in front of it is worth.

It has an SQL injection, a login that can be talked round, cross-site scripting (reflected and
stored), a path traversal and a command injection, each marked "hole:" below. It listens on the
loopback interface alone. Never put it anywhere else.

Usage: board.py PORT
"""

import html
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SCHEMA = """
CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, category TEXT, price REAL);
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, password TEXT);
INSERT INTO products (name, category, price) VALUES
  ('Brass lamp', 'light', 24.50), ('Oak table', 'furniture', 310.00),
  ('Reading chair', 'furniture', 185.00), ('Candle', 'light', 3.20),
  ('Children''s blanket', 'textile', 42.00);
INSERT INTO users (name, password) VALUES ('anna', 'correct horse'), ('admin', 'battery staple');
"""
COMMAND_SECONDS = 10
NOTES_KEPT = 200

FORMS = """
<ul>
<li><a href="/products?category=light">Products: light</a></li>
<li><a href="/search?q=lamp">Search</a></li>
<li><a href="/download?file=manual.txt">The manual</a></li>
<li><a href="/host?name=localhost">Is that host known?</a></li>
<li><a href="/notes">Notes</a></li>
</ul>
<form action="/login" method="post"><input name="name" value="anna"><input name="password"
 type="password" value="secret"><input type="submit" value="Log in"></form>
"""
NOTE_FORM = """
<form action="/notes" method="post"><input name="author" value="anna"><input name="text"
 value="hello"><input type="submit" value="Say it"></form>
"""


class Board:
    """What the board knows; one thread at a time."""

    def __init__(self, folder):
        self.lock = threading.Lock()
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.database.executescript(SCHEMA)
        self.notes = []
        self.files = os.path.join(folder, "files")
        os.mkdir(self.files)
        with open(os.path.join(self.files, "manual.txt"), "w", encoding="utf-8") as file:
            file.write("Turn it on. Turn it off.\n")

    def select(self, query):
        with self.lock:
            return self.database.execute(query).fetchall()

    def products(self, fields):
        category = fields.get("category", "")
        # hole: SQL injection, and the database's own words about it
        query = f"SELECT name, price FROM products WHERE category = '{category}'"
        try:
            rows = self.select(query)
        except sqlite3.Error as error:
            return 500, f"<p>sqlite3.OperationalError: {html.escape(str(error))}</p>"
        items = "".join(f"<li>{html.escape(str(a))}: {html.escape(str(b))}</li>" for a, b in rows)
        return 200, f"<h1>Products</h1><ul>{items}</ul><p>{len(rows)} found</p>"

    def login(self, fields):
        # hole: SQL injection that lets anybody in
        query = "SELECT name FROM users WHERE name = '%s' AND password = '%s'" % (
            fields.get("name", ""), fields.get("password", ""))
        try:
            rows = self.select(query)
        except sqlite3.Error as error:
            return 500, f"<p>sqlite3.OperationalError: {html.escape(str(error))}</p>"
        if not rows:
            return 401, "<p>Wrong name or password.</p>"
        return 200, f"<p>Welcome, {html.escape(str(rows[0][0]))}.</p>"

    def search(self, fields):
        asked = fields.get("q", "")
        with self.lock:
            rows = self.database.execute(
                "SELECT name FROM products WHERE name LIKE ?", (f"%{asked}%",)).fetchall()
        items = "".join(f"<li>{html.escape(name)}</li>" for (name,) in rows)
        # hole: reflected cross-site scripting
        return 200, f"<h1>You searched for {asked}</h1><ul>{items}</ul>"

    def download(self, fields):
        # hole: path traversal
        path = os.path.join(self.files, fields.get("file", ""))
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return 200, file.read(65536)
        except (OSError, ValueError):
            return 404, "<p>No such file.</p>"

    @staticmethod
    def host(fields):
        # hole: command injection
        try:
            done = subprocess.run(
                "getent hosts " + fields.get("name", "").replace("\0", ""), shell=True, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=COMMAND_SECONDS, check=False, errors="replace")
        except subprocess.TimeoutExpired:
            return 504, "<p>It took too long.</p>"
        return 200, f"<pre>{html.escape(done.stdout)}</pre>"

    def write_note(self, fields):
        with self.lock:
            self.notes.append((fields.get("author", ""), fields.get("text", "")))
            del self.notes[:-NOTES_KEPT]
        return 201, '<p>Thank you. <a href="/notes">Back</a></p>'

    def read_notes(self, _):
        with self.lock:
            notes = list(self.notes)
        # hole: stored cross-site scripting
        items = "".join(f"<li>{author}: {text}</li>" for author, text in notes)
        return 200, f"<h1>Notes</h1><ul>{items}</ul>{NOTE_FORM}"


def serve(port, folder):
    board = Board(folder)
    operations = {
        ("GET", "/"): lambda _: (200, f"<h1>The board</h1>{FORMS}{NOTE_FORM}"),
        ("GET", "/products"): board.products,
        ("POST", "/login"): board.login,
        ("GET", "/search"): board.search,
        ("GET", "/download"): board.download,
        ("GET", "/host"): board.host,
        ("GET", "/notes"): board.read_notes,
        ("POST", "/notes"): board.write_note,
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def handle_any(self):
            url = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sent = raw.decode("utf-8", "replace") if self.command == "POST" else url.query
            fields = {name: values[0]
                      for name, values in parse_qs(sent, keep_blank_values=True).items()}
            operation = operations.get((self.command, url.path))
            status, text = operation(fields) if operation else (404, "<p>There is nothing.</p>")
            body = f"<!doctype html><title>Board</title>{text}\n".encode("utf-8", "replace")
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = handle_any

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="board.") as state:
        serve(int(sys.argv[1]), state)
