#!/usr/bin/env python3
"""db update against a server of this test, on loopback: ranges, checksums, files that are cut or
replaced on the way, and what is left of the old database then. Usage: db_test.py SALLYPORT"""
import gzip
import hashlib
import http.server
import io
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

CVE, KNOWN = "CVE-2024-1000", "CVE-2024-2000"


def advisory(name, cve, package, fixed):
    return {"id": name, "modified": "2024-01-01T00:00:00Z", "aliases": [cve], "summary": "a hole",
            "affected": [{"package": {"ecosystem": "npm", "name": package}, "ranges": [
                {"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]}


def archive(*advisories, padding=0):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for one in advisories:
            z.writestr(one["id"] + ".json", json.dumps({**one, "details": "x" * padding}))
    return out.getvalue()


class Files(http.server.ThreadingHTTPServer):
    """What is served: path -> bytes, or None: the server fails. Requests are kept as (path, headers, bytes sent)."""
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Who has read enough goes away."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.requests = {}, []
        self.cut_after = self.slow = None
        self.etags = True
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server, body, status = self.server, self.server.files.get(self.path), 200
        if body is None:
            server.requests.append((self.path, dict(self.headers), 0))
            self.send_response(500 if self.path in server.files else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        tag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
        begin, total = 0, len(body)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and server.etags and self.headers.get("If-Range") == tag:
            begin, status = int(asked[1]), 206
        if begin >= total and status == 206:
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(status)
        if server.etags:
            self.send_header("ETag", tag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        self.send_header("Content-Length", str(total - begin))
        self.end_headers()
        body = body[begin:]
        if server.cut_after is not None and self.path.endswith(".zip"):
            body = body[:server.cut_after]
            self.close_connection = True
        server.requests.append((self.path, dict(self.headers), len(body)))
        for at in range(0, len(body), 65536):
            if server.slow:
                time.sleep(server.slow)
            self.wfile.write(body[at:at + 65536])
        self.wfile.flush()


class Updates:
    def __init__(self, program, work, server):
        self.program, self.work, self.server = program, work, server
        self.database = os.path.join(work, "advisories.db")
        self.folder = self.database + ".download"
        self.first = archive(advisory("GHSA-1", CVE, "left", "1.0.1"))
        self.second = archive(advisory("GHSA-1", CVE, "left", "1.0.1"),
                              advisory("GHSA-2", KNOWN, "right", "2.0.0"), padding=400000)

    def run(self, *words, status=None, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SALLYPORT_")}
        env["no_proxy"] = "*"
        done = subprocess.run([self.program, *words], stdout=subprocess.PIPE, check=False, env=env,
                              timeout=120, text=True, **({"stderr": subprocess.PIPE} | more))
        if status is not None:
            assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return done

    def update(self, *words, status, **more):
        self.server.requests.clear()
        return self.run("db", "update", "-d", self.database, "--url", self.server.url,
                        "--ecosystems", "npm", *words, status=status, **more)

    def counts(self):
        return json.loads(self.run("db", "info", "-d", self.database, "--format", "json",
                                   status=0).stdout)

    def content(self):
        with open(self.database, "rb") as file:
            return file.read()

    def part(self):
        return os.path.join(self.folder, "npm.zip.part")


def all_that_a_server_has_is_compiled(u):
    files = u.server.files
    files["/npm/all.zip"] = u.first
    files["/npm/all.zip.sha256"] = hashlib.sha256(u.first).hexdigest().encode() + b"  all.zip\n"
    files["/epss"] = gzip.compress(b"#model_version:v1,score_date:2026-11-01T00:00:00+0000\n"
                                   b"cve,epss,percentile\nCVE-2024-1000,0.5,0.9\n"
                                   b"CVE-2024-2000,0.25,0.8\n")
    files["/kev"] = json.dumps({"catalogVersion": "1", "dateReleased": "2026-11-02T00:00:00Z",
                                "vulnerabilities": [{"cveID": KNOWN, "dateAdded": "2026-10-01",
                                                     "dueDate": "2026-10-21"}]}).encode()
    done = u.update("--epss-url", u.server.url + "/epss", "--kev-url", u.server.url + "/kev",
                    status=0)
    assert "1 advisories" in done.stdout and "2 EPSS scores" in done.stdout, done.stdout
    assert done.stderr == "", "no progress where there is no terminal"
    got = u.counts()
    assert (got["advisories"], got["epss"], got["kev"]) == (1, 2, 1), got
    assert not os.path.exists(u.folder)


def a_download_that_was_cut_goes_on_where_it_ended(u):
    before = u.content()
    u.server.files["/npm/all.zip"] = u.second
    u.server.files.pop("/npm/all.zip.sha256")
    u.server.cut_after = 100000
    done = u.update(status=1)
    assert u.server.url in done.stderr, done.stderr
    assert u.content() == before, "the old database stays"
    assert os.path.getsize(u.part()) == 100000
    u.server.cut_after = None
    u.update(status=0)
    path, headers, sent = u.server.requests[0]
    assert (path, headers["Range"]) == ("/npm/all.zip", "bytes=100000-"), u.server.requests
    assert "If-Range" in headers and sent == len(u.second) - 100000
    got = u.counts()
    assert (got["advisories"], got["epss"], got["kev"]) == (2, 2, 1), "scores are kept"


def a_file_that_has_changed_is_fetched_from_the_start(u):
    u.server.cut_after = 100000
    u.update(status=1)
    u.server.cut_after = None
    u.server.files["/npm/all.zip"] = other = archive(advisory("GHSA-3", CVE, "up", "1.0.0"),
                                                     padding=300000)
    u.update(status=0)
    assert u.server.requests[0][2] == len(other), u.server.requests
    assert u.counts()["advisories"] == 3


def a_server_without_tags_sends_all_again(u):
    u.server.etags = False
    u.server.cut_after = 100000
    u.update(status=1)
    u.server.cut_after = None
    u.update(status=0)
    assert "Range" not in u.server.requests[0][1], u.server.requests
    u.server.etags = True


def a_part_that_is_longer_than_the_file_is_thrown_away(u):
    os.makedirs(u.folder)
    tag = '"' + hashlib.sha256(u.second).hexdigest()[:16] + '"'
    u.server.files["/npm/all.zip"] = u.second
    with open(u.part(), "wb") as file:
        file.write(b"x" * (len(u.second) + 10))
    with open(os.path.join(u.folder, "npm.zip.etag"), "w", encoding="ascii") as file:
        file.write(tag)
    u.update(status=0)
    assert u.server.requests[-2][2] == len(u.second), u.server.requests
    assert not os.path.exists(u.folder)


def a_wrong_checksum_changes_nothing(u):
    before = u.content()
    u.server.files["/npm/all.zip.sha256"] = b"0" * 64
    done = u.update(status=1)
    assert "SHA-256" in done.stderr, done.stderr
    assert u.content() == before and not os.path.exists(u.part())
    u.server.files["/npm/all.zip.sha256"] = None
    done = u.update(status=1)
    assert "SHA-256 cannot be fetched" in done.stderr and u.content() == before, done.stderr
    u.server.files.pop("/npm/all.zip.sha256")


def what_is_no_archive_changes_nothing(u):
    before = u.content()
    for broken in (u.second[:-2000], b"<html>a page</html>",
                   archive({"id": "GHSA-9", "affected": 7})):
        u.server.files["/npm/all.zip"] = broken
        done = u.update(status=1)
        assert done.stderr.startswith("sallyport: "), done.stderr
        assert u.content() == before
    u.server.files.pop("/npm/all.zip")
    done = u.update(status=1)
    assert "no such file" in done.stderr and u.content() == before
    u.server.files["/npm/all.zip"] = u.second
    u.update(status=0)


def who_has_the_old_one_open_keeps_it(u):
    before = u.content()
    with open(u.database, "rb") as file:
        u.update("--fresh", status=0)
        assert file.read() == before
        assert os.fstat(file.fileno()).st_ino != os.stat(u.database).st_ino
    assert u.counts()["advisories"] == 2
    assert u.counts()["epss"] == 0, "--fresh keeps nothing"
    assert not [n for n in os.listdir(u.work) if n.endswith(".new")]


def an_update_that_is_killed_changes_nothing(u):
    before = u.content()
    u.server.files["/npm/all.zip"] = archive(advisory("GHSA-4", CVE, "on", "2.0.0"),
                                             padding=2000000)
    u.server.slow = 0.05
    killed = subprocess.Popen([u.program, "db", "update", "-d", u.database, "--url",
                               u.server.url, "--ecosystems", "npm"], env={"no_proxy": "*"})
    deadline = time.monotonic() + 60
    while not os.path.exists(u.part()) or os.path.getsize(u.part()) == 0:
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait(60)
    u.server.slow = None
    assert u.content() == before
    have = os.path.getsize(u.part())
    u.update(status=0)
    assert u.server.requests[0][1]["Range"] == f"bytes={have}-", u.server.requests
    assert u.counts()["advisories"] == 3
    u.server.files["/npm/all.zip"] = u.second


def a_terminal_is_shown_the_progress(u):
    u.server.slow = 0.06
    ours, theirs = pty.openpty()
    shown = b""
    try:
        u.update(status=0, stderr=theirs)
        os.close(theirs)
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
    finally:
        os.close(ours)
        u.server.slow = None
    assert b"npm" in shown and b"[" in shown and b"#" in shown and b"MB" in shown, shown


def scores_and_ages_reach_the_report(u):
    u.update("--epss-url", u.server.url + "/epss", "--kev-url", u.server.url + "/kev", status=0)
    lock = os.path.join(u.work, "package-lock.json")
    with open(lock, "w", encoding="ascii") as file:
        json.dump({"lockfileVersion": 3, "packages": {
            "node_modules/left": {"version": "1.0.0"},
            "node_modules/right": {"version": "1.0.0"}}}, file)
    scan = ("scan", "--only", "vulnerabilities", "-d", u.database)
    report = json.loads(u.run(*scan, "-f", "json", lock, status=1).stdout)
    found = report["vulnerabilities"]
    assert [v["id"] for v in found] == ["GHSA-2", "GHSA-1"], "exploited ones are first"
    assert found[0]["known_exploited"] and not found[1]["known_exploited"]
    assert (found[0]["epss"], found[1]["epss"]) == (0.25, 0.5)
    table = u.run(*scan, lock, status=1).stdout
    assert re.search(r"^advisories of \d{4}-\d\d-\d\d$", table, re.M), table
    policy = os.path.join(u.work, "policy.yaml")
    with open(policy, "w", encoding="ascii") as file:
        file.write("vulnerabilities: none\ndatabase: {max_age: 1s, stale: fail}\n")
    deadline = time.monotonic() + 30
    while "database-stale" not in u.run(*scan, "-p", policy, lock, status=1).stdout:
        assert time.monotonic() < deadline, "the database does not become stale"
        time.sleep(0.3)


def main():
    server = Files()
    with tempfile.TemporaryDirectory() as work:
        updates = Updates(os.path.abspath(sys.argv[1]), work, server)
        for test in (all_that_a_server_has_is_compiled,
                     a_download_that_was_cut_goes_on_where_it_ended,
                     a_file_that_has_changed_is_fetched_from_the_start,
                     a_server_without_tags_sends_all_again,
                     a_part_that_is_longer_than_the_file_is_thrown_away,
                     a_wrong_checksum_changes_nothing, what_is_no_archive_changes_nothing,
                     who_has_the_old_one_open_keeps_it,
                     an_update_that_is_killed_changes_nothing,
                     a_terminal_is_shown_the_progress,
                     scores_and_ages_reach_the_report):
            test(updates)
            print("ok", test.__name__)
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
