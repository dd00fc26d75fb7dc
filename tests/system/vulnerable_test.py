#!/usr/bin/python3
"""Attack tools find the holes of the vulnerable example, and nothing behind the firewall."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
# pylint: disable=wrong-import-position
from harness import Gateway, Skip, free_port, run  # noqa: E402

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "vulnerable")
CRS = "/usr/share/modsecurity-crs"
CACHE = tempfile.mkdtemp(prefix="sallyport-waf-cache.")
atexit.register(shutil.rmtree, CACHE, True)
START_S = 120
TOOL_S = 240
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

WORDS = [
    "lamp", "Reading chair", "children's blanket", "O'Neil & sons", "50% off", "C++ or C#?",
    "select a lamp from the shop", "table, 2 x 3 m", "union of furniture makers", "café au lait",
    "a@shop.example", "and/or", "where is it?", "it's 5 o'clock", "Größe: 40", "drop by tomorrow",
    "(see below)", "1 + 1 = 2", "order by Monday, please", "日本語", "script for a play", "<3",
    "#1 choice", "rock & roll", "price < 20", "is like new", "having said that: yes!", "$5 or less",
    "https://shop.example/lamps?page=2", "Anna (from next door)", "no. 7, second floor", "a;b",
]


class Board:
    """The board, and the gateway in front of it as the example configures it."""

    def __init__(self):
        if not os.path.isdir(CRS):
            raise Skip("the package modsecurity-crs is not installed")
        if os.environ.get("SALLYPORT_SANITIZED"):
            raise Skip("compiling the Core Rule Set takes minutes under sanitizers")
        self.state = tempfile.mkdtemp(prefix="sallyport-board.")
        self.service_port = free_port()
        self.service = subprocess.Popen(
            [sys.executable, os.path.join(EXAMPLE, "board.py"), str(self.service_port)])
        with open(os.path.join(EXAMPLE, "sallyport.yaml"), encoding="utf-8") as file:
            config = file.read()
        with open(os.path.join(EXAMPLE, "board.openapi.yaml"), "rb") as file:
            contract = file.read()
        os.environ.update({
            "BOARD_SERVICE_PORT": str(self.service_port), "BOARD_CACHE": CACHE,
            "BOARD_LOG": os.path.join(self.state, "waf.log"), "BOARD_PARANOIA": "1",
            "BOARD_MODE": "block"})
        config = config.replace("${BOARD_PORT:-8080}", "{port}")
        config = config.replace("${BOARD_ADMIN_PORT:-9901}", "{admin}")
        self.gateway = Gateway(config, {"board.openapi.yaml": contract}, wait=False)
        self.wait()

    def wait(self):
        """Compiling the rules takes a while when nothing is cached."""
        until = time.monotonic() + START_S
        try:
            self.gateway.wait_serving(START_S)
            while self.ask("GET", "/")[0] != 200:
                assert time.monotonic() < until, "the board does not answer"
                time.sleep(0.1)
        except AssertionError:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.terminate()
        self.service.wait(10)
        shutil.rmtree(self.state, ignore_errors=True)
        assert code == 0, f"the gateway ended with {code}"

    def bare(self):
        return f"http://localhost:{self.service_port}"

    def guarded(self):
        return f"http://localhost:{self.gateway.port}"

    def ask(self, method, path, fields=None):
        text = urllib.parse.urlencode(fields or {})
        headers = {"User-Agent": "Mozilla/5.0", "Accept": "text/html", "Host": "board.example"}
        if method == "POST":
            return self.gateway.request(method, path, text, dict(headers, **FORM))
        return self.gateway.request(method, path + ("?" + text if text else ""), None, headers)


def tool(*command):
    if not shutil.which(command[0]):
        raise Skip(f"{command[0]} is not installed")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=TOOL_S, check=False)
    return done.stdout


def sqlmap(folder, url, *options):
    return tool("sqlmap", "-u", url, "--batch", "--disable-coloring", "--flush-session", "--threads=4",
                "--random-agent", f"--output-dir={folder}", *options)


def wapiti(folder, url):
    """What it found, as (kind, path, parameter)."""
    report = os.path.join(folder, "wapiti.json")
    said = tool("wapiti", "-u", url + "/", "-m", "sql,timesql,xss,permanentxss,file,exec", "-f", "json",
                "-o", report, "--flush-session", "--no-bugreport", "--max-scan-time", "120",
                "--store-session", os.path.join(folder, "session"))
    assert os.path.exists(report), said[-2000:]
    with open(report, encoding="utf-8") as file:
        found = json.load(file)
    return {(kind, one["path"], one["parameter"]) for part in ("vulnerabilities", "anomalies")
            for kind, ones in found[part].items() for one in ones}


def test_ordinary_use_is_never_refused():
    with Board() as board:
        for path in ("/", "/products", "/search", "/notes"):
            assert board.ask("GET", path)[0] == 200, path
        for category in ("light", "furniture", "textile", "nothing"):
            assert board.ask("GET", "/products", {"category": category})[0] == 200, category
        assert board.ask("GET", "/download", {"file": "manual.txt"})[0] == 200
        assert board.ask("GET", "/download", {"file": "price-list.txt"})[0] == 404
        assert board.ask("GET", "/host", {"name": "localhost"})[0] == 200
        for text in WORDS:
            assert board.ask("GET", "/search", {"q": text})[0] == 200, text
            assert board.ask("POST", "/notes", {"author": "anna", "text": text})[0] == 201, text
        assert board.ask("POST", "/notes", {"text": " ".join(WORDS[:20])})[0] == 201
        assert board.ask("POST", "/login", {"name": "anna", "password": "correct horse"})[0] == 200
        for password in ("wrong", "Tr0ub4dor&3", "pa$$word!", "a b c d", "x#y@z%1"):
            fields = {"name": "anna", "password": password}
            assert board.ask("POST", "/login", fields)[0] == 401, password


def test_a_page_of_the_database_s_words_is_kept_back():
    with Board() as board:
        status, _, body = board.ask("POST", "/login", {"name": "anna", "password": "it's me"})
        assert status == 503 and b"sqlite" not in body, (status, body)


def test_sqlmap_gets_in_at_the_board_and_finds_nothing_behind_the_firewall():
    with Board() as board:
        said = sqlmap(board.state, board.bare() + "/products?category=light")
        assert "is vulnerable" in said and "SQLite" in said, said[-2000:]
        said = sqlmap(board.state, board.guarded() + "/products?category=light")
        assert "do not appear to be injectable" in said, said[-2000:]
        said = sqlmap(board.state, board.guarded() + "/login", "--data=name=anna&password=secret",
                      "--level=2", "-p", "password", "--ignore-code=401")
        assert "do not appear to be injectable" in said, said[-2000:]


def test_wapiti_finds_the_holes_of_the_board_and_none_behind_the_firewall():
    with Board() as board:
        found = wapiti(board.state, board.bare())
        for hole in (("SQL Injection", "/products", "category"), ("SQL Injection", "/login", "name"),
                     ("Cross Site Scripting", "/search", "q"), ("Path Traversal", "/download", "file"),
                     ("Cross Site Scripting", "/notes", "text"), ("Command execution", "/host", "name")):
            assert hole in found, (hole, found)
        assert wapiti(board.state, board.guarded()) == set()


run([value for name, value in list(globals().items()) if name.startswith("test_")])
