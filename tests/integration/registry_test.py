"""The firewall before package registries, between the real npm client and a registry of the test."""

import base64
import hashlib
import http.client
import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import zipfile

from harness import DEADLINE_S, PROGRAM, Gateway, Skip, run

NPM_TIMEOUT_S = 120


def tarball(name, version, files=None):
    """As npm packs it."""
    manifest = {"name": name, "version": version, "license": "MIT"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path, text in {"package.json": json.dumps(manifest), **(files or {})}.items():
            member = tarfile.TarInfo("package/" + path)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def integrity(content):
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


class Upstream:
    """A registry: packages are {name: {version: bytes of its file}}."""

    def __init__(self):
        upstream = self
        self.packages, self.tags, self.times, self.more = {}, {}, {}, {}
        self.files, self.asked, self.redirects = {}, [], {}
        self.lock = threading.Lock()
        self.slow_s, self.away = 0, False

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # pylint: disable=invalid-name
                if upstream.away:
                    self.close_connection = True
                    return
                with upstream.lock:
                    upstream.asked.append((self.path, dict(self.headers)))
                upstream.reply(self)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *args):
                pass  # the gate may leave in the middle

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name, version, content=None, **more):
        content = content or tarball(name, version)
        file = f"{name.rsplit('/', 1)[-1]}-{version}.tgz"
        self.packages.setdefault(name, {})[version] = {
            "name": name, "version": version, "license": "MIT", **more,
            "dist": {"tarball": f"{self.url}/{name}/-/{file}", "integrity": integrity(content),
                     "shasum": hashlib.sha1(content).hexdigest()}}
        self.files[f"/{name}/-/{file}"] = content
        self.tags.setdefault(name, {})["latest"] = version
        self.times.setdefault(name, {"created": "2020-01-01T00:00:00.000Z",
                                     "modified": "2020-01-01T00:00:00.000Z"})[version] = "2020-01-01T00:00:00.000Z"

    def index(self, name):
        return {"_id": name, "name": name, "dist-tags": self.tags[name], "versions": self.packages[name],
                "time": self.times[name], **self.more.get(name, {})}

    def reply(self, handler):
        path = handler.path.replace("%2f", "/")
        status, body, fields = 404, b"{}", {}
        if path in self.redirects:
            status, fields = 302, {"Location": self.redirects[path]}
        elif path in self.files:
            time.sleep(self.slow_s)
            status, body = 200, self.files[path]
        elif path[1:] in self.packages:
            body = json.dumps(self.index(path[1:])).encode()
            fields["ETag"] = '"' + hashlib.md5(body).hexdigest() + '"'
            status = 304 if handler.headers.get("If-None-Match") == fields["ETag"] else 200
        handler.send_response(status)
        for name, value in fields.items():
            handler.send_header(name, value)
        if status != 304:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if status != 304:
            handler.wfile.write(body)

    def count(self, part):
        with self.lock:
            return sum(part in path for path, _ in self.asked)

    def close(self):
        """Also for connections that it has already."""
        self.away = True
        self.server.shutdown()
        self.server.server_close()


def advisory(ident, name, introduced="0", fixed=None, severity="HIGH", summary="a defect"):
    events = [{"introduced": introduced}] + ([{"fixed": fixed}] if fixed else [])
    return {"schema_version": "1.6.0", "id": ident, "modified": "2024-01-01T00:00:00Z",
            "published": "2024-01-01T00:00:00Z", "summary": summary,
            "database_specific": {"severity": severity},
            "affected": [{"package": {"ecosystem": "npm", "name": name},
                          "ranges": [{"type": "SEMVER", "events": events}]}]}


ADVISORIES = [
    advisory("GHSA-aaaa-aaaa-aaaa", "left", fixed="1.1.0", summary="code injection in left"),
    advisory("GHSA-bbbb-bbbb-bbbb", "@scope/tool", introduced="2.0.0", fixed="2.0.5"),
    advisory("MAL-2024-1", "evil", summary="steals credentials"),
]


def build_database(path, advisories):
    """Compiles it beside, and puts it in its place in one step."""
    source = path + ".jsonl"
    with open(source, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(a) + "\n" for a in advisories)
    subprocess.run([PROGRAM, "db", "import", "--fresh", "-d", path, source], check=True,
                   capture_output=True, timeout=DEADLINE_S)


class Gate:
    """A gateway whose registry has the upstream behind it."""

    def __init__(self, upstream, more="", top="", advisories=ADVISORIES, policy=None, upstream_more="",
                 upstream_name="npm"):
        self.state = tempfile.mkdtemp(prefix="sallyport-registry.")
        os.chmod(self.state, 0o755)
        self.database = os.path.join(self.state, "advisories.db")
        if advisories is not None:
            build_database(self.database, advisories)
        if policy is not None:
            self.write_policy(policy)
            more += f"\n  policy: {self.state}/policy.yaml"
        self.gateway = Gateway(
            "listen: 127.0.0.1:{port}\nadmin: {address: '127.0.0.1:{admin}'}\n"
            "routes: [{path: '/registry/**', service: registry, auth: none}]\n"
            f"{top}\n"
            f"registry:\n  cache: {self.state}/cache\n  database: {self.database}\n"
            f"  upstreams: {{{upstream_name}: {{url: '{upstream.url}'{upstream_more}}}}}\n  {more}\n")
        self.url = f"http://127.0.0.1:{self.gateway.port}/registry/npm/"

    def write_policy(self, text):
        path = os.path.join(self.state, "policy.yaml")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def get(self, path, headers=None):
        status, fields, body = self.gateway.request("GET", "/registry/npm" + path, headers=headers)
        return status, {key.lower(): value for key, value in fields.items()}, body

    def index(self, name):
        status, _, body = self.get("/" + name)
        assert status == 200, (status, body)
        return json.loads(body)

    def stop(self):
        self.gateway.stop()
        shutil.rmtree(self.state, ignore_errors=True)


class Npm:
    """A project of its own, whose registry is the gate."""

    def __init__(self, gate, dependencies, lock=None):
        if not shutil.which("npm"):
            raise Skip("npm is needed")
        self.folder = tempfile.mkdtemp(prefix="sallyport-npm.")
        self.environment = {**os.environ, "npm_config_cache": self.folder + "/cache",
                            "npm_config_registry": gate.url, "npm_config_audit": "false",
                            "npm_config_fund": "false", "npm_config_update_notifier": "false",
                            "npm_config_fetch_retries": "0", "HOME": self.folder}
        self.write("package.json", {"name": "app", "version": "1.0.0", "dependencies": dependencies})
        if lock:
            self.write("package-lock.json", lock)

    def write(self, name, content):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            json.dump(content, file)

    def run(self, *arguments):
        done = subprocess.run(["npm", *arguments], cwd=self.folder, env=self.environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=NPM_TIMEOUT_S)
        return done.returncode, done.stdout

    def version(self, name):
        with open(os.path.join(self.folder, "node_modules", name, "package.json"), encoding="utf-8") as file:
            return json.load(file)["version"]

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def with_gate(test, fill, **options):
    upstream = Upstream()
    gate = None
    try:
        fill(upstream)
        gate = Gate(upstream, **options)
        test(upstream, gate)
        assert "AddressSanitizer" not in gate.gateway.log_text(), gate.gateway.log_text()
    finally:
        if gate:
            gate.stop()
        upstream.close()


def left(upstream):
    for version in ("1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1"):
        upstream.add("left", version)
    upstream.tags["left"] = {"latest": "1.2.0", "old": "1.0.0", "next": "2.0.0-rc.1"}
    for version in ("2.0.0", "2.0.5"):
        upstream.add("@scope/tool", version)
    upstream.add("evil", "1.0.0")


def npm_installs_what_is_allowed_and_nothing_else():
    def test(upstream, gate):
        npm = Npm(gate, {"left": "^1.0.0", "@scope/tool": "^2.0.0"})
        try:
            status, said = npm.run("install")
            assert status == 0, said
            assert npm.version("left") == "1.2.0" and npm.version("@scope/tool") == "2.0.5"
            with open(npm.folder + "/package-lock.json", encoding="utf-8") as file:
                lock = json.load(file)
            assert lock["packages"]["node_modules/left"]["resolved"].startswith(gate.url), lock
            shutil.rmtree(npm.folder + "/node_modules")
            status, said = npm.run("ci")
            assert status == 0, said
        finally:
            npm.close()
        # A range that only what is vulnerable fits.
        npm = Npm(gate, {"left": "~1.0.0"})
        try:
            status, said = npm.run("install")
            assert status != 0 and "ETARGET" in said, said
        finally:
            npm.close()
        assert upstream.count("left-1.0.0.tgz") == 0

    with_gate(test, left)


def npm_is_told_why_and_what_to_use_instead():
    def test(upstream, gate):
        npm = Npm(gate, {"evil": "1.0.0"})
        try:
            status, said = npm.run("install")
            assert status != 0 and "E403" in said, said
            assert "MAL-2024-1" in said and "steals credentials" in said, said
        finally:
            npm.close()
        # A lock file of before the advisory asks for the file itself.
        content = upstream.files["/left/-/left-1.0.0.tgz"]
        npm = Npm(gate, {"left": "1.0.0"}, {
            "name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": True,
            "packages": {"": {"name": "app", "version": "1.0.0", "dependencies": {"left": "1.0.0"}},
                         "node_modules/left": {"version": "1.0.0", "resolved": gate.url + "left/-/left-1.0.0.tgz",
                                               "integrity": integrity(content)}}})
        try:
            status, said = npm.run("ci")
            assert status != 0 and "E403" in said, said
            assert "GHSA-aaaa-aaaa-aaaa" in said and "code injection in left" in said, said
            assert "Use 1.2.0." in said, said
        finally:
            npm.close()
        status, fields, body = gate.get("/left/-/left-1.0.0.tgz")
        problem = json.loads(body)
        assert status == 403 and fields["content-type"] == "application/problem+json", (status, fields)
        assert problem["type"] == "urn:sallyport:problem:component-refused", problem
        assert problem["error"] == problem["detail"] == (
            "left 1.0.0 is refused: GHSA-aaaa-aaaa-aaaa (high): code injection in left, fixed in 1.1.0. "
            "Use 1.2.0."), problem
        status, _, body = gate.get("/evil")
        assert status == 403 and json.loads(body)["type"] == "urn:sallyport:problem:malicious-component", body
        assert upstream.count(".tgz") == 0
        assert '"registry.refused"' in gate.gateway.log_text()

    with_gate(test, left)


def an_index_is_as_the_upstream_has_it_but_for_what_is_refused():
    def test(upstream, gate):
        full = gate.index("left")
        assert list(full["versions"]) == ["1.1.0", "1.2.0", "2.0.0-rc.1"], full
        assert full["dist-tags"] == {"latest": "1.2.0", "next": "2.0.0-rc.1"}, full
        assert set(full["time"]) == {"created", "modified", "1.1.0", "1.2.0", "2.0.0-rc.1"}, full
        assert full["readme"] == "how to" and full["_id"] == "left", full
        version = full["versions"]["1.2.0"]
        assert version["dist"]["tarball"] == gate.url + "left/-/left-1.2.0.tgz", version
        assert version["dist"]["integrity"] == integrity(upstream.files["/left/-/left-1.2.0.tgz"])
        assert version["scripts"] == {"postinstall": "true"}, version
        brief_type = "application/vnd.npm.install-v1+json"
        status, fields, body = gate.get("/left", {"Accept": brief_type + "; q=1.0, application/json; q=0.8"})
        brief = json.loads(body)
        assert status == 200 and fields["content-type"] == brief_type and fields["vary"] == "accept", fields
        assert set(brief) == {"name", "modified", "dist-tags", "versions"}, brief
        assert "scripts" not in brief["versions"]["1.2.0"] and brief["versions"]["1.2.0"]["hasInstallScript"], brief
        again, _, _ = gate.get("/left", {"Accept": brief_type, "If-None-Match": fields["etag"]})
        other, _, _ = gate.get("/left", {"If-None-Match": fields["etag"]})
        assert (again, other) == (304, 200)
        # One release, by its version or a tag; scoped names with and without %2f.
        assert json.loads(gate.get("/left/latest")[2])["version"] == "1.2.0"
        assert json.loads(gate.get("/left/1.1.0")[2])["dist"]["tarball"] == gate.url + "left/-/left-1.1.0.tgz"
        assert gate.get("/left/1.0.0")[0] == 403 and gate.get("/left/9.9.9")[0] == 404
        assert gate.index("@scope%2ftool") == gate.index("@scope/tool") == gate.index("@scope%2Ftool")
        assert list(gate.index("@scope/tool")["versions"]) == ["2.0.5"]
        assert gate.get("/@scope/tool/-/tool-2.0.5.tgz")[2] == upstream.files["/@scope/tool/-/tool-2.0.5.tgz"]
        status, fields, body = gate.gateway.request("HEAD", "/registry/npm/left/-/left-1.2.0.tgz")
        assert status == 200 and body == b"", (status, body)
        assert int(dict(fields)["Content-Length"]) == len(upstream.files["/left/-/left-1.2.0.tgz"]), fields

    def fill(upstream):
        left(upstream)
        upstream.add("left", "1.2.0", scripts={"postinstall": "true"})
        upstream.tags["left"]["latest"] = "1.2.0"
        upstream.more["left"] = {"readme": "how to"}

    with_gate(test, fill)


def latest_goes_to_the_newest_that_is_allowed():
    def fill(upstream):
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            upstream.add("right", version)
        upstream.add("right", "2.0.0-beta.1")
        upstream.tags["right"] = {"latest": "1.2.0", "lts": "1.2.0"}

    def test(_, gate):
        assert gate.index("right")["dist-tags"] == {"latest": "1.1.0"}
        assert json.loads(gate.get("/right/latest")[2])["version"] == "1.1.0"

    with_gate(test, fill, advisories=[advisory("GHSA-cccc-cccc-cccc", "right", "1.2.0", "2.0.0-beta.1")])


def what_the_firewall_does_not_know_is_not_passed_on():
    def test(upstream, gate):
        before = len(upstream.asked)
        for path in ("/", "/-/all", "/-/v1/search?text=left", "/.hidden", "/left/-/a/b.tgz", "/@scope",
                     "/-/user/org.couchdb.user:bob"):
            assert gate.get(path)[0] in (400, 404), path
        assert gate.gateway.request("GET", "/registry/pypi/simple/")[0] == 404
        for method in ("PUT", "POST", "DELETE"):
            assert gate.gateway.request(method, "/registry/npm/left", b"{}")[0] in (404, 405), method
        assert len(upstream.asked) == before, upstream.asked[before:]
        assert gate.get("/-/ping")[0] == 200
        assert gate.get("/absent")[0] == 404 and gate.get("/left/-/left-7.0.0.tgz")[0] == 404
        assert gate.get("/@acme/secret")[0] == 403 and gate.get("/@acme%2fsecret")[0] == 403
        assert upstream.count("acme") == 0

    with_gate(test, left, more="internal: ['@acme/*']")


def a_file_must_be_what_its_index_promises():
    def test(upstream, gate):
        good = upstream.files["/left/-/left-1.2.0.tgz"]
        upstream.files["/left/-/left-1.2.0.tgz"] = good + b"more"
        status, _, body = gate.get("/left/-/left-1.2.0.tgz")
        assert status == 403 and json.loads(body)["type"] == "urn:sallyport:problem:file-altered", body
        upstream.files["/left/-/left-1.2.0.tgz"] = good
        assert gate.get("/left/-/left-1.2.0.tgz")[2] == good
        # What was changed on the disk is not served, but fetched anew.
        changed = 0
        for folder, _, names in os.walk(gate.state + "/cache/file"):
            for name in names:
                with open(os.path.join(folder, name), "r+b") as file:
                    file.seek(5)
                    file.write(b"\xff\xff\xff")
                    changed += 1
        asked = upstream.count("left-1.2.0.tgz")
        assert changed == 1 and gate.get("/left/-/left-1.2.0.tgz")[2] == good
        assert upstream.count("left-1.2.0.tgz") == asked + 1
        assert not os.listdir(gate.state + "/cache/new")

    with_gate(test, left)


def what_is_in_the_cache_is_there_while_the_upstream_is_away():
    def test(upstream, gate):
        good = gate.get("/left/-/left-1.2.0.tgz")[2]
        asked = len(upstream.asked)
        assert gate.get("/left/-/left-1.2.0.tgz")[2] == good
        assert [path for path, _ in upstream.asked[asked:]] == ["/left"], "a file is fetched once"
        assert upstream.asked[-1][1].get("If-None-Match"), upstream.asked[-1]
        upstream.close()
        status, fields, body = gate.get("/left")
        assert status == 200 and fields["warning"].startswith("110") and b"1.2.0" in body, (status, fields)
        assert gate.get("/left/-/left-1.2.0.tgz")[2] == good
        status, fields, _ = gate.get("/left/-/left-1.1.0.tgz")
        assert status == 503 and fields["retry-after"], status
        assert gate.get("/@scope/tool")[0] == 503

    with_gate(test, left, more="index_age: 0s")


def an_index_that_is_too_old_is_not_used():
    def test(upstream, gate):
        gate.index("left")
        upstream.close()
        until = time.monotonic() + DEADLINE_S
        while gate.get("/left")[0] != 503:
            assert time.monotonic() < until
            time.sleep(0.1)

    with_gate(test, left, more="index_age: 0s\n  stale: 1s")


def an_index_is_asked_for_again_only_when_it_is_old():
    def test(upstream, gate):
        for _ in range(3):
            gate.index("left")
        assert upstream.count("/left") == 1

    with_gate(test, left)


def nonsense_from_the_upstream_is_never_passed_on():
    def test(upstream, gate):
        gate.index("left")
        for nonsense in (b"", b"{", b"[]", b"<html>", b'{"name":"left"}', b'{"name":"other","versions":{}}',
                         b'{"name":"left","versions":{"1":1,"1":2}}', b'{"name":"left","versions":[]}'):
            upstream.files["/right"] = nonsense.replace(b"left", b"right")
            assert gate.get("/right")[0] == 503, nonsense
        # Releases whose file cannot be checked, or that lie about themselves, are not there.
        upstream.add("right", "1.0.0")
        upstream.add("right", "1.0.1")
        upstream.add("right", "1.0.2")
        upstream.packages["right"]["1.0.0"]["dist"] = {"tarball": upstream.url + "/right/-/right-1.0.0.tgz"}
        upstream.packages["right"]["1.0.1"]["version"] = "1.0.2"
        del upstream.files["/right"]
        assert list(gate.index("right")["versions"]) == ["1.0.2"]
        # What was good stays when nonsense comes later.
        upstream.files["/left"] = b"nonsense"
        status, fields, _ = gate.get("/left")
        assert status == 200 and "warning" in fields, (status, fields)

    with_gate(test, left, more="index_age: 0s")


def what_is_too_large_is_not_taken():
    def fill(upstream):
        upstream.add("big", "1.0.0", tarball("big", "1.0.0", {"random": os.urandom(40000).hex()}))
        upstream.add("wide", "1.0.0", readme="x" * 70000)

    def test(_, gate):
        assert gate.get("/big")[0] == 200
        assert gate.get("/big/-/big-1.0.0.tgz")[0] == 503
        assert gate.get("/wide")[0] == 503
        assert not os.listdir(gate.state + "/cache/new")

    with_gate(test, fill, more="max_file: 20K\n  max_index: 64K")


def the_token_goes_to_the_upstream_alone():
    def test(upstream, gate):
        other = Upstream()
        try:
            content = upstream.files["/left/-/left-1.2.0.tgz"]
            other.files["/left/-/left-1.2.0.tgz"] = content
            assert gate.get("/left/-/left-1.1.0.tgz")[0] == 200
            assert upstream.asked[-1][1]["Authorization"] == "Bearer sesame"
            # Neither a redirect nor an index may lead elsewhere.
            upstream.redirects["/left/-/left-1.2.0.tgz"] = other.url + "/left/-/left-1.2.0.tgz"
            assert gate.get("/left/-/left-1.2.0.tgz")[0] == 503
            assert not other.asked
            gate.gateway.write(open(gate.gateway.config, encoding="utf-8").read().replace(
                "token: sesame", f"token: sesame, origins: ['{other.url}']"))
            gate.gateway.process.send_signal(1)
            until = time.monotonic() + DEADLINE_S
            while gate.get("/left/-/left-1.2.0.tgz")[2] != content:
                assert time.monotonic() < until
                time.sleep(0.1)
            assert other.asked and "Authorization" not in other.asked[-1][1], other.asked
        finally:
            other.close()

    with_gate(test, left, upstream_more=", token: sesame")


def one_file_is_fetched_once_however_many_ask():
    def test(upstream, gate):
        upstream.slow_s = 0.5
        content = upstream.files["/left/-/left-1.2.0.tgz"]
        results = []
        threads = [threading.Thread(target=lambda: results.append(gate.get("/left/-/left-1.2.0.tgz")[2]))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert results == [content] * 8, [len(result) for result in results]
        assert upstream.count("left-1.2.0.tgz") == 1 and upstream.count("/left") == 2

    with_gate(test, left)


def another_database_counts_without_a_restart():
    def test(_, gate):
        assert "1.2.0" in gate.index("left")["versions"]
        build_database(gate.database, ADVISORIES + [advisory("GHSA-dddd-dddd-dddd", "left", "1.2.0", "2.0.0-rc.1")])
        until = time.monotonic() + DEADLINE_S
        while "1.2.0" in gate.index("left")["versions"]:
            assert time.monotonic() < until
            time.sleep(0.1)
        # One that cannot be read leaves the last.
        with open(gate.database + ".bad", "wb") as file:
            file.write(b"nonsense")
        os.rename(gate.database + ".bad", gate.database)
        time.sleep(1.5)
        assert list(gate.index("left")["versions"]) == ["1.1.0", "2.0.0-rc.1"]

    with_gate(test, left)


def without_a_database_nothing_is_let_through():
    def test(upstream, gate):
        for path in ("/left", "/left/-/left-1.2.0.tgz", "/left/1.2.0"):
            status, _, body = gate.get(path)
            assert status == 503 and b"none is let through" in body and b"advisories.db" not in body, (status, body)
        assert "advisories.db: no such file" in gate.gateway.log_text()
        assert '"registry.not_ready"' in gate.gateway.log_text()
        build_database(gate.database, ADVISORIES)
        assert gate.get("/left/-/left-1.2.0.tgz")[2] == upstream.files["/left/-/left-1.2.0.tgz"]

    with_gate(test, left, advisories=None)


def the_policy_decides_as_it_does_for_scans():
    def fill(upstream):
        left(upstream)
        upstream.add("copyleft", "1.0.0", license="GPL-3.0-only")
        upstream.add("copyleft", "0.9.0")
        upstream.add("banned", "1.0.0")
        upstream.add("young", "1.0.0")
        upstream.add("young", "1.0.1")
        upstream.times["young"]["1.0.1"] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())

    def test(_, gate):
        assert "1.0.0" in gate.index("left")["versions"], "an exception counts"
        assert list(gate.index("copyleft")["versions"]) == ["0.9.0"]
        assert list(gate.index("young")["versions"]) == ["1.0.0"]
        status, _, body = gate.get("/banned")
        detail = json.loads(body)["detail"]
        assert status == 403 and "nobody looks after it" in detail and "Use pkg:npm/kept." in detail, detail
        # Malicious code is refused whatever is said of severities.
        assert gate.get("/evil")[0] == 403
        gate.write_policy("vulnerabilities: {fail: low")
        time.sleep(1.5)
        assert list(gate.index("young")["versions"]) == ["1.0.0"], "a policy that cannot be read leaves the last"

    with_gate(test, fill, policy=(
        "vulnerabilities: {fail: critical, unfixed: ignore}\n"
        "licences: {deny: ['GPL-*']}\n"
        "components: {min_age: 2d, deny: [{purl: pkg:npm/banned, reason: nobody looks after it, instead: pkg:npm/kept}]}\n"
        "exceptions: [{id: GHSA-aaaa-aaaa-aaaa, reason: not reachable}]\n"))


def an_old_database_is_refused_where_the_policy_says_so():
    def test(_, gate):
        until = time.monotonic() + DEADLINE_S
        while gate.get("/left")[0] != 503:  # in its first second it is not older than 0 s
            assert time.monotonic() < until
            time.sleep(0.1)
        assert "days old" in gate.gateway.log_text()

    with_gate(test, left, policy="database: {max_age: 0s, stale: fail}\n")


def only_what_somebody_has_approved_passes_where_that_is_asked_for():
    def test(_, gate):
        command = [PROGRAM, "registry"]
        settings = ["-c", gate.gateway.config, "--by", "carol"]

        def decide(*words, status=0):
            done = subprocess.run([*command, *words, *settings], capture_output=True, text=True, timeout=DEADLINE_S)
            assert done.returncode == status, done
            return done.stdout, done.stderr

        def check(purl):
            done = subprocess.run([*command, "check", purl, "-c", gate.gateway.config, "-f", "json"],
                                  capture_output=True, text=True, timeout=DEADLINE_S)
            said = json.loads(done.stdout)
            assert done.returncode == (1 if said["refused"] else 0), done
            return said

        status, _, body = gate.get("/left")
        assert status == 403 and "left 1.2.0 is refused: nobody has approved it." in json.loads(body)["error"], body
        assert "No other version of it may be used either." in json.loads(body)["error"], body
        decide("approve", "pkg:npm/left@1.1.0", "--reason", "read it")
        assert list(gate.index("left")["versions"]) == ["1.1.0"]
        assert gate.index("left")["dist-tags"] == {"latest": "1.1.0"}
        status, _, body = gate.get("/left/-/left-1.2.0.tgz")
        assert status == 403 and json.loads(body)["error"].endswith("Use 1.1.0."), body
        # All releases of a package; but what the policy refuses stays refused.
        decide("approve", "pkg:npm/left")
        assert list(gate.index("left")["versions"]) == ["1.1.0", "1.2.0", "2.0.0-rc.1"]
        assert "GHSA-aaaa-aaaa-aaaa" in check("pkg:npm/left@1.0.0")["why"]
        decide("approve", "pkg:npm/%40scope/tool", "--until", "2999-12-31")
        assert list(gate.index("@scope/tool")["versions"]) == ["2.0.5"]
        # A denial of one release goes before the approval of its package.
        decide("deny", "pkg:npm/left@1.2.0", "--reason", "it breaks", "--instead", "left 1.1.0")
        assert list(gate.index("left")["versions"]) == ["1.1.0", "2.0.0-rc.1"]
        status, _, body = gate.get("/left/-/left-1.2.0.tgz")
        assert json.loads(body)["error"] == (
            "left 1.2.0 is refused: denied by carol: it breaks. Use left 1.1.0."), body
        assert check("pkg:npm/left@1.2.0") == {
            "purl": "pkg:npm/left@1.2.0", "refused": True, "malicious": False,
            "why": "denied by carol: it breaks", "instead": "Use left 1.1.0."}
        assert not check("pkg:npm/left@1.1.0")["refused"] and check("pkg:npm/other@1.0.0")["refused"]
        listed = [json.loads(line) for line in subprocess.run(
            [*command, "list", "-c", gate.gateway.config], capture_output=True, text=True, check=True,
            timeout=DEADLINE_S).stdout.splitlines()]
        assert [(d["purl"], d["decision"]) for d in listed] == [
            ("pkg:npm/%40scope/tool", "approved"), ("pkg:npm/left", "approved"),
            ("pkg:npm/left@1.1.0", "approved"), ("pkg:npm/left@1.2.0", "denied")], listed
        assert listed[0]["until"].startswith("3000-01-01") and listed[3]["by"] == "carol", listed
        decide("forget", "pkg:npm/left")
        decide("forget", "pkg:npm/left", status=1)
        assert list(gate.index("left")["versions"]) == ["1.1.0"]
        _, said = decide("approve", "left", status=1)
        assert "no package URL" in said, said
        _, said = decide("approve", "pkg:npm/left", "--until", "2001-01-01", status=1)
        assert "is over" in said, said
        with open(gate.gateway.folder + "/audit.log", encoding="utf-8") as file:
            audit = file.read()
        for event in ("registry.approved", "registry.denied", "registry.forgotten"):
            assert event in audit, audit
        assert "component-refused" in audit, "refusals are audited, too"

    with_gate(test, left, more="mode: approved", top="store: sqlite:state/s.db\nlog: {audit: audit.log}")


def decisions_are_needed_for_nothing_in_the_open_mode_but_denials_count():
    def test(_, gate):
        assert gate.get("/left")[0] == 200
        subprocess.run([PROGRAM, "registry", "deny", "pkg:npm/left", "--by", "carol", "-c", gate.gateway.config],
                       check=True, capture_output=True, timeout=DEADLINE_S)
        status, _, body = gate.get("/left")
        assert status == 403 and b"denied by carol" in body, body

    with_gate(test, left, top="store: sqlite:state/s.db")


def wheel(name, version):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = f"{name}-{version}.dist-info/"
        archive.writestr(name + ".py", f"VERSION = '{version}'\n")
        archive.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
                                         "Tag: py3-none-any\n")
        archive.writestr(info + "RECORD", "")
    return out.getvalue()


def python_packages(upstream):
    """Under the names of files, as the simple API of PEP 691 has them."""
    upstream.simple = {}
    for name, version in (("left_pad", "1.0.0"), ("left_pad", "1.1.0"), ("left_pad", "2.0.0rc1"), ("evil", "1.0")):
        file, content = f"{name}-{version}-py3-none-any.whl", wheel(name, version)
        upstream.files["/packages/" + file] = content
        upstream.simple.setdefault(name.replace("_", "-"), []).append({
            "filename": file, "url": f"{upstream.url}/packages/{file}", "requires-python": ">=3.6",
            "hashes": {"sha256": hashlib.sha256(content).hexdigest()}, "core-metadata": {"sha256": "0" * 64},
            "upload-time": "2020-01-01T00:00:00Z", "yanked": "it broke" if version == "2.0.0rc1" else False})
    for name, files in upstream.simple.items():
        upstream.files[f"/simple/{name}/"] = json.dumps(
            {"meta": {"api-version": "1.1"}, "name": name.replace("-", "_"), "files": files}).encode()


PYTHON_ADVISORIES = [
    {**advisory("PYSEC-2024-1", "left-pad", fixed="1.1.0", summary="a hole"), "affected": [{
        "package": {"ecosystem": "PyPI", "name": "left-pad"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1.0"}]}]}]},
    {**advisory("MAL-2024-2", "evil"), "affected": [{
        "package": {"ecosystem": "PyPI", "name": "evil"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]},
]


def python_clients_get_what_is_allowed_and_nothing_else():
    def test(upstream, gate):
        def get(path, accept="text/html"):
            status, fields, body = gate.gateway.request("GET", "/registry/pypi" + path, headers={"Accept": accept})
            return status, {key.lower(): value for key, value in fields.items()}, body

        base = f"http://127.0.0.1:{gate.gateway.port}/registry/pypi"
        status, fields, body = get("/simple/left-pad/", "application/vnd.pypi.simple.v1+json, text/html; q=0.1")
        index = json.loads(body)
        assert status == 200 and fields["content-type"] == "application/vnd.pypi.simple.v1+json", fields
        assert index["versions"] == ["1.1.0", "2.0.0rc1"] and index["name"] == "left-pad", index
        assert [file["url"] for file in index["files"]] == [
            f"{base}/files/left-pad/left_pad-{v}-py3-none-any.whl" for v in ("1.1.0", "2.0.0rc1")], index
        assert "core-metadata" not in index["files"][0] and index["files"][1]["yanked"] == "it broke", index
        status, fields, body = get("/simple/Left_Pad")
        assert status == 200 and fields["content-type"].startswith("text/html"), fields
        digest = hashlib.sha256(upstream.files["/packages/left_pad-1.1.0-py3-none-any.whl"]).hexdigest()
        assert (f'<a href="{base}/files/left-pad/left_pad-1.1.0-py3-none-any.whl#sha256={digest}" '
                'data-requires-python="&gt;=3.6">left_pad-1.1.0-py3-none-any.whl</a>') in body.decode(), body
        assert b"1.0.0" not in body and b'data-yanked="it broke"' in body, body
        status, _, body = get("/files/left-pad/left_pad-1.0.0-py3-none-any.whl")
        assert status == 403 and json.loads(body)["detail"].endswith("Use 1.1.0."), body
        assert get("/files/left-pad/left_pad-1.1.0-py3-none-any.whl")[2] == upstream.files[
            "/packages/left_pad-1.1.0-py3-none-any.whl"]
        status, _, body = get("/simple/evil/")
        assert status == 403 and json.loads(body)["type"].endswith(":malicious-component"), body
        assert get("/simple/absent/")[0] == 404 and get("/pypi/left-pad/json")[0] == 404
        assert get("/simple/")[0] == 404 and get("/files/left-pad/../x")[0] == 404
        if shutil.which("pip"):
            pip(base)

    def pip(base):
        folder = tempfile.mkdtemp(prefix="sallyport-pip.")
        command = ["pip", "download", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0",
                   "-i", base + "/simple", "-d", folder]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        environment.update(PIP_CONFIG_FILE="/dev/null", HOME=folder)

        def wheels():
            return [name for name in os.listdir(folder) if name.endswith(".whl")]

        done = subprocess.run([*command, "left-pad"], capture_output=True, text=True, env=environment,
                              timeout=NPM_TIMEOUT_S, check=False)
        assert done.returncode == 0 and wheels() == ["left_pad-1.1.0-py3-none-any.whl"], done
        done = subprocess.run([*command, "left-pad==1.0.0"], capture_output=True, text=True, env=environment,
                              timeout=NPM_TIMEOUT_S, check=False)
        assert done.returncode != 0 and "left-pad==1.0.0" in done.stderr, done
        done = subprocess.run([*command, "evil"], capture_output=True, text=True, env=environment,
                              timeout=NPM_TIMEOUT_S, check=False)
        assert done.returncode != 0 and wheels() == ["left_pad-1.1.0-py3-none-any.whl"], done
        shutil.rmtree(folder)

    with_gate(test, python_packages, advisories=PYTHON_ADVISORIES, upstream_name="pypi")


def figures_are_counted():
    def test(_, gate):
        gate.index("left")
        gate.get("/evil")
        gate.get("/left/-/left-1.2.0.tgz")
        connection = http.client.HTTPConnection("127.0.0.1", gate.gateway.admin, timeout=DEADLINE_S)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("sallyport_registry_"))
        assert figures == {"sallyport_registry_indexes_total": "2", "sallyport_registry_files_total": "1",
                           "sallyport_registry_refused_total": "1", "sallyport_registry_failed_total": "0",
                           "sallyport_registry_upstream_requests_total": "3",
                           "sallyport_registry_upstream_failures_total": "0",
                           "sallyport_registry_cache_hits_total": "0"}, figures

    with_gate(test, left)


run([
    npm_installs_what_is_allowed_and_nothing_else,
    npm_is_told_why_and_what_to_use_instead,
    an_index_is_as_the_upstream_has_it_but_for_what_is_refused,
    latest_goes_to_the_newest_that_is_allowed,
    what_the_firewall_does_not_know_is_not_passed_on,
    a_file_must_be_what_its_index_promises,
    what_is_in_the_cache_is_there_while_the_upstream_is_away,
    an_index_that_is_too_old_is_not_used,
    an_index_is_asked_for_again_only_when_it_is_old,
    nonsense_from_the_upstream_is_never_passed_on,
    what_is_too_large_is_not_taken,
    the_token_goes_to_the_upstream_alone,
    one_file_is_fetched_once_however_many_ask,
    another_database_counts_without_a_restart,
    without_a_database_nothing_is_let_through,
    the_policy_decides_as_it_does_for_scans,
    an_old_database_is_refused_where_the_policy_says_so,
    only_what_somebody_has_approved_passes_where_that_is_asked_for,
    decisions_are_needed_for_nothing_in_the_open_mode_but_denials_count,
    python_clients_get_what_is_allowed_and_nothing_else,
    figures_are_counted,
])
