#!/usr/bin/env python3
"""The program as builds use it: exit statuses, policies, waivers, VEX, comparisons with git and
with earlier reports, and each form of report held against its official JSON Schema by ajv.
Usage: scan_test.py SALLYPORT PROJECT"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from schemas import validate

LOCK = {
    "name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": True,
    "packages": {
        "": {"name": "shop", "version": "1.0.0", "dependencies": {"left": "^1.0.0"}},
        "node_modules/left": {"version": "1.0.0", "license": "MIT",
                              "dependencies": {"right": "^1.0.0"}},
        "node_modules/right": {"version": "1.2.0", "license": "AGPL-3.0-only"},
    },
}
ADVISORY = {
    "schema_version": "1.6.0", "id": "GHSA-aaaa-bbbb-cccc", "modified": "2024-01-01T00:00:00Z",
    "published": "2024-01-01T00:00:00Z", "aliases": ["CVE-2024-1"], "summary": "right <turns> left",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "affected": [{"package": {"ecosystem": "npm", "name": "right"},
                  "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"},
                                                           {"fixed": "1.2.1"}]}]}],
}


class Scans:
    def __init__(self, program, work):
        self.program, self.work = program, work
        self.tree = os.path.join(work, "tree")
        os.mkdir(self.tree)
        self.database = os.path.join(work, "db")
        self.write("advisory.json", json.dumps(ADVISORY))
        self.write("tree/package-lock.json", json.dumps(LOCK, indent=1))
        self.write("tree/Dockerfile", "FROM debian:12\nRUN sudo id\nUSER 1\n")
        self.run("db", "import", "-d", self.database, self.path("advisory.json"), status=0)

    def path(self, name):
        return os.path.join(self.work, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def run(self, *arguments, status=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SALLYPORT_")}
        done = subprocess.run([self.program, *arguments], capture_output=True, check=False,
                              text=True, env=env, timeout=120)
        if status is not None:
            assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def scan(self, *arguments, status=None, path=None):
        return self.run("scan", "-d", self.database, *arguments, path or self.tree, status=status)

    def advisories(self, *arguments, status=None, path=None):
        """The same without rules and the search for secrets."""
        return self.scan("--only", "vulnerabilities", *arguments, status=status, path=path)

    def report(self, *arguments):
        return json.loads(self.scan("-f", "json", *arguments).stdout)


def states(report):
    return {v["id"]: v["state"] for v in report["vulnerabilities"]} | {
        f["rule"]: f["state"] for f in report["findings"]}


def exit_statuses(s):
    s.scan(status=1)
    s.advisories("--fail-on", "none", status=0)
    s.advisories("--fail-on", "critical", status=1)
    s.scan("--only", "config", "--fail-on", "critical", status=0)
    s.scan(status=2, path=s.path("missing"))
    s.advisories("--policy", s.path("missing"), status=2)
    s.run("scan", "-d", s.path("missing"), s.tree, status=2)
    policy = s.write("policy.yaml", "vulnerabilities: none\nmisconfigurations: none\n")
    s.advisories("--policy", policy, status=0)
    s.advisories("--policy", policy, "--fail-on", "critical", status=1)
    bad = s.write("bad.yaml", "vulnerabilities:\n  fial: high\n")
    done = s.advisories("--policy", bad, status=2)
    assert "bad.yaml:2:3" in done.stderr and "did you mean 'fail'" in done.stderr, done.stderr
    s.run("policy", "check", bad, status=1)
    s.run("policy", "check", policy, status=0)


def policies(s):
    policy = s.write("policy.yaml", """
vulnerabilities: none
misconfigurations: none
licences: {deny: ["AGPL-*"]}
components: {deny: [{purl: "pkg:npm/left", reason: it is left}]}
exceptions: [{id: dockerfile-sudo, reason: we like it}]
""")
    report = s.report("--policy", policy)
    fails = sorted(f["rule"] for f in report["findings"] if f["fails"])
    assert fails == ["component-denied", "licence-denied"], fails
    line = next(f["line"] for f in report["findings"] if f["rule"] == "licence-denied")
    assert "node_modules/right" in json.dumps(LOCK, indent=1).split("\n")[line - 1]


def waivers(s):
    key, file = s.path("alice.pem"), s.path("waivers.yaml")
    public = s.run("waiver", "key", "--new", key, status=0).stdout.strip()
    policy = s.write("policy.yaml", f'champions: [{{name: alice, key: "{public}"}}]\n')
    s.run("waiver", "create", "--id", "CVE-2024-1", "--component", "pkg:npm/right", "--reason",
          "a test", "--owner", "bob", "--expires", "2999-12-31", file, status=0)
    s.run("waiver", "create", "--id", "x", "--reason", "r", "--owner", "o", "--expires", "soon",
          file, status=1)
    done = s.advisories("--policy", policy, "--waivers", file, "--fail-on", "critical", status=1)
    assert "nobody has signed it" in done.stderr, done.stderr
    s.run("waiver", "verify", "-p", policy, file, status=1)
    s.run("waiver", "sign", "--key", key, "--champion", "alice", file, status=0)
    s.run("waiver", "verify", "-p", policy, file, status=0)
    s.advisories("--policy", policy, "--waivers", file, "--fail-on", "critical", status=0)
    report = s.report("--only", "vulnerabilities", "--policy", policy, "--waivers", file)
    assert states(report)["GHSA-aaaa-bbbb-cccc"] == "waived", report
    with open(file, encoding="utf-8") as text:
        s.write("waivers.yaml", text.read().replace("2999-12-31", "2999-12-30"))
    done = s.advisories("--policy", policy, "--waivers", file, "--fail-on", "critical", status=1)
    assert "the signature is not" in done.stderr, done.stderr


def vex(s):
    statement = {"vulnerability": {"name": "CVE-2024-1"},
                 "products": [{"@id": "pkg:npm/shop",
                               "subcomponents": [{"@id": "pkg:npm/right"}]}],
                 "status": "not_affected", "justification": "vulnerable_code_not_present"}
    file = s.write("vex.json", json.dumps(
        {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "a", "author": "b", "version": 1,
         "timestamp": "2026-01-01T00:00:00Z", "statements": [statement]}))
    s.advisories("--vex", file, "--fail-on", "critical", status=1)
    s.advisories("--vex", file, "--product", "pkg:npm/shop@1.0.0", "--fail-on", "critical", status=0)
    written = s.path("written.json")
    s.advisories("--vex", file, "--product", "pkg:npm/shop", "-f", "openvex", "-o", written)
    s.advisories("--vex", written, "--product", "pkg:npm/shop", "--fail-on", "critical", status=0)


def comparisons(s):
    def git(*arguments):
        subprocess.run(["git", "-C", s.tree, "-c", "user.name=t", "-c", "user.email=t@example",
                        *arguments], check=True, capture_output=True, timeout=60)

    earlier = s.path("earlier.json")
    s.scan("-f", "json", "-o", earlier)
    if shutil.which("git"):
        git("init", "-q")
        git("add", ".")
        git("commit", "-q", "-m", "a")
        bases = ("HEAD", earlier)
        index = os.stat(os.path.join(s.tree, ".git", "index")).st_mtime_ns
    else:
        print("git is not there: comparing with commits is not tested")
        bases = (earlier,)
    # Lines move, and nothing is new.
    with open(os.path.join(s.tree, "Dockerfile"), encoding="utf-8") as file:
        dockerfile = file.read()
    s.write("tree/Dockerfile", "# a comment\n\n" + dockerfile)
    for base in bases:
        s.scan("--diff", base, status=0)
    # One more of the same kind is new, alone.
    s.write("tree/Dockerfile", dockerfile.replace("USER", "RUN sudo ls\nUSER"))
    for base in bases:
        done = s.scan("-f", "json", "--diff", base, status=1)
        found = json.loads(done.stdout)
        assert [f["rule"] for f in found["findings"]] == ["dockerfile-sudo"], found["findings"]
        assert found["vulnerabilities"] == []
    s.scan("--diff", "no-such-commit", status=2)
    if len(bases) == 2:
        assert os.stat(os.path.join(s.tree, ".git", "index")).st_mtime_ns == index
        shutil.rmtree(os.path.join(s.tree, ".git"))
    s.write("tree/Dockerfile", dockerfile)
    assert not [n for n in os.listdir("/tmp") if n.startswith("sallyport-base-")
                and os.stat("/tmp/" + n).st_uid == os.getuid()
                and os.stat("/tmp/" + n).st_ctime > os.stat(earlier).st_ctime]


def standards(s):
    """What a rule stands for reaches those who read reports."""
    found = {f["rule"]: f for f in s.report("--only", "config")["findings"]}
    assert found["dockerfile-sudo"]["standards"] == ["OWASP Docker D01", "DL3004"], found
    rules = json.loads(s.scan("--only", "config", "-f", "sarif", status=1).stdout)[
        "runs"][0]["tool"]["driver"]["rules"]
    assert {r["id"]: r["properties"].get("tags") for r in rules}["dockerfile-sudo"] == [
        "OWASP Docker D01", "DL3004"], rules
    assert "OWASP Docker D01" in s.scan("--only", "config", "-f", "html", status=1).stdout


def paths_of_code_hosts(s):
    """They begin at the top of the repository, though a folder below it is scanned."""
    def paths(target, form, cwd):
        done = subprocess.run([s.program, "scan", "-d", s.database, "-f", form, target], cwd=cwd,
                              capture_output=True, check=False, text=True, timeout=120)
        found = json.loads(done.stdout)
        if form == "gitlab":
            return {v["location"]["file"] for v in found["vulnerabilities"]}
        if form == "gitlab-quality":
            return {i["location"]["path"] for i in found}
        return {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
                for r in found["runs"][0]["results"]}

    below = {"tree/package-lock.json", "tree/Dockerfile"}
    assert paths("./tree/", "sarif", s.work) == below
    assert paths("tree", "gitlab-quality", s.work) == below
    assert paths("tree", "gitlab", s.work) == {"tree/package-lock.json"}
    assert paths("tree/Dockerfile", "sarif", s.work) == {"tree/Dockerfile"}
    for target in (".", s.tree, "../tree"):
        assert paths(target, "sarif", s.tree) == {"package-lock.json", "Dockerfile"}, target


def rules_of_the_user(s):
    rules = s.write("rules.yaml", "- {id: mine, kind: dockerfile, severity: critical, what: w, "
                    "why: y, fix: f, jq: '.instructions[0]'}\n")
    found = s.report("--only", "config", "--rules", rules)["findings"]
    assert found[0]["rule"] == "mine" and found[0]["line"] == 1, found
    # A mistake is told though nothing that is scanned is of its kind.
    rules = s.write("rules.yaml", "- {id: mine, kind: sshd, severity: low, what: w, jq: '.a | ('}\n")
    done = s.scan("--only", "config", "--rules", rules, status=2)
    assert "rules.yaml: rule mine: " in done.stderr, done.stderr


def imports(s):
    log = s.write("other.sarif", json.dumps({"version": "2.1.0", "runs": [{
        "tool": {"driver": {"name": "other", "rules": [{"id": "R1"}]}},
        "results": [{"ruleId": "R1", "level": "error", "message": {"text": "bad"}, "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": "a.c"},
                                  "region": {"startLine": 3}}}]}]}]}))
    merged = json.loads(s.scan("-f", "sarif", "--import", log, status=1).stdout)
    assert [r["tool"]["driver"]["name"] for r in merged["runs"]] == ["sallyport", "other"]
    assert merged["runs"][1]["results"][0]["ruleId"] == "R1"
    s.scan("--import", s.path("advisory.json"), status=2)


def gateways(s):
    config = s.write("gateway.yaml", """
listen: [{address: "127.0.0.1:0"}]
services: {shop: {endpoints: ["http://127.0.0.1:9"]}, other: {endpoints: ["http://127.0.0.1:9"]}}
routes: [{path: "/shop", service: shop, auth: none}]
""")
    policy = s.write("policy.yaml",
                     "services: [{name: shop, paths: package-lock.json}]\n")

    def exposure(*arguments):
        found = s.report("--only", "vulnerabilities", "--gateway", config, *arguments)["vulnerabilities"][0]
        return found["exposure"], found["priority"], found.get("route")

    public, hidden = exposure("--policy", policy), exposure("--service", "other")
    assert public[0] == "public" and hidden[0] == "none" and public[1] > hidden[1], (public, hidden)
    assert (public[2], hidden[2]) == ("/shop", None), (public, hidden)
    assert exposure()[0] == "unknown"


def forms(s, project, data):
    """Each form is well formed, and valid by its schema."""
    trees = [s.tree] + [p for p in (os.path.join(data, "apps", "nodejs-goof"),)
                        if os.path.isdir(p)]
    files = []
    for i, tree in enumerate(trees):
        for form in ("json", "sarif", "openvex", "gitlab", "gitlab-quality"):
            out = s.path(f"{i}.{form}")
            s.advisories("-f", form, "-o", out, path=tree)
            with open(out, encoding="utf-8") as file:
                json.load(file)
            if form == "sarif":
                files.append("sarif=" + out)
        xml.etree.ElementTree.fromstring(s.advisories("-f", "junit", path=tree).stdout)
        page = s.advisories("-f", "html", path=tree).stdout
        assert "default-src 'none'" in page and "<turns>" not in page
        assert "src=" not in page.replace("default-src", "") and "url(" not in page
        with open(s.path(f"{i}.sarif"), encoding="utf-8") as file:
            assert file.read() == s.advisories("-f", "sarif", path=tree).stdout, "the bytes differ"
        out = s.path(f"{i}.cyclonedx")
        with open(out, "w", encoding="utf-8") as file:
            file.write(s.run("sbom", "-f", "cyclonedx", tree, status=0).stdout)
        files.append("cyclonedx=" + out)
    validate(project, files)


def main():
    program, project = map(os.path.abspath, sys.argv[1:3])
    data = os.environ.get("SALLYPORT_TEST_DATA", os.path.join(project, "..", "shared", "data"))
    with tempfile.TemporaryDirectory() as work:
        scans = Scans(program, work)
        for test in (exit_statuses, policies, waivers, vex, comparisons, standards,
                     paths_of_code_hosts, rules_of_the_user, imports,
                     gateways):
            test(scans)
            print("ok", test.__name__)
        forms(scans, project, data)
        print("ok forms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
