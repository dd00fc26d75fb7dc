#!/usr/bin/python3
"""The web application firewall with the Core Rule Set, through the real program."""

import atexit
import gzip
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse

from dns_server import Names
from harness import PROGRAM, Gateway, Service, Skip, answer, field, refusal, run

CRS = "/usr/share/modsecurity-crs"
CACHE = tempfile.mkdtemp(prefix="sallyport-waf-cache.")

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {access: off}
limits: {body_buffer: 64k, body: 0}
services:
  up: {endpoints: ["http://127.0.0.1:%(port)d"]}
routes:
  - {path: "/**", service: up, auth: none}
  - {path: "/watched/**", service: up, auth: none, waf: observe}
  - {path: "/open/**", service: up, auth: none, waf: off}
waf: {%(waf)s}
"""

SQL = "1' UNION SELECT username, password FROM users--"
atexit.register(shutil.rmtree, CACHE, True)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


class Setup:
    def __init__(self, waf="rules: owasp-crs", files=None):
        if "owasp-crs" in waf:
            if not os.path.isdir(CRS):
                raise Skip("the package modsecurity-crs is not installed")
            if os.environ.get("SALLYPORT_SANITIZED"):
                raise Skip("compiling the Core Rule Set takes minutes under sanitizers")
            waf += f", cache: {CACHE}"
            os.makedirs(CACHE, exist_ok=True)
        self.bodies = []
        self.service = Service(self.script)
        self.gateway = Gateway(CONFIG % {"port": self.service.port, "waf": waf}, files, wait=False)
        self.gateway.wait_serving(150)

    def script(self, connection, head, _number, rest):
        length = int((field(head, "content-length") or ["0"])[0])
        while len(rest) < length:
            rest += connection.recv(65536)
        self.bodies.append(rest[:length])
        answer(connection)
        return rest[length:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def get(self, path, headers=None):
        return self.gateway.request("GET", path, None, dict(
            {"User-Agent": "shop/1", "Accept": "*/*", "Host": "shop.example"}, **(headers or {})))[0]

    def post(self, path, body, headers):
        return self.gateway.request("POST", path, body, dict(
            {"User-Agent": "shop/1", "Accept": "*/*", "Host": "shop.example"}, **headers))[0]


def query(text):
    return "?q=" + urllib.parse.quote(text)


def test_attacks_are_refused_and_ordinary_requests_pass():
    attacks = [SQL, "<script>alert(document.cookie)</script>", "../../../../etc/passwd",
               "; cat /etc/passwd", "() { :; }; /bin/bash -c id", "<?php system($_GET[0]); ?>"]
    ordinary = ["lamp", "O'Neil & sons", "50% off", "select a lamp from the shop",
                "caf\u00e9 au lait", "a@shop.example"]
    with Setup() as setup:
        for text in ordinary:
            assert setup.get("/items" + query(text)) == 200, text
        served = len(setup.bodies)
        assert served == len(ordinary)
        for text in attacks:
            assert setup.get("/items" + query(text)) == 403, text
            assert setup.post("/items", "q=" + urllib.parse.quote(text), FORM) == 403, text
            assert setup.post("/items", json.dumps({"a": [{"b": text}]}), JSON) == 403, text
        assert setup.get("/items", {"Referer": "http://a/" + query(SQL)}) == 403
        assert setup.get("/items", {"User-Agent": "sqlmap/1.7"}) == 403
        assert len(setup.bodies) == served, "nothing of an attack reaches the service"
        assert setup.post("/items", json.dumps({"item": "lamp", "quantity": 2}), JSON) == 200


def test_routes_can_observe_or_be_left_alone():
    with Setup("rules: owasp-crs, log: waf.log") as setup:
        assert setup.get("/watched/" + query(SQL)) == 200
        assert setup.get("/open/" + query(SQL)) == 200
        assert setup.get("/" + query(SQL)) == 403
        records = []
        until = time.monotonic() + 10
        while len(records) < 2 and time.monotonic() < until:
            time.sleep(0.1)
            with open(os.path.join(setup.gateway.folder, "waf.log"), encoding="utf-8") as file:
                records = [json.loads(line) for line in file]
        assert [one["action"] for one in records] == ["observed", "blocked"], records
        match = next(one for one in records[1]["matches"] if one["rule"] == 942100)
        assert match["variable"] == "ARGS:q" and match["score"] > 0, match
        assert "password" not in match["piece"], "what matched is masked"
        assert "942100" in match["exclusion"] and "ARGS:q" in match["exclusion"], match


def test_without_a_file_a_record_is_a_line_of_standard_error_however_long_it_is():
    rules = b"SecRuleEngine On\n" + b"".join(
        b"SecRule ARGS \"@contains bad\" \"id:%d,phase:1,pass,log,msg:'%s'\"\n" % (i, b"m" * 100)
        for i in range(1, 41))
    with Setup("rules: own.conf", {"own.conf": rules}) as setup:
        assert setup.get("/?x=bad") == 200
        records = []
        until = time.monotonic() + 10
        while not records and time.monotonic() < until:
            time.sleep(0.1)
            lines = [json.loads(line) for line in setup.gateway.log_text().splitlines()]
            records = [line for line in lines if line["event"] == "waf"]
        assert len(records) == 1 and len(json.dumps(records[0])) > 8192, records
        assert [one["rule"] for one in records[0]["matches"]] == list(range(1, 41)), records


def test_an_exclusion_that_a_record_names_silences_the_rule():
    exclusions = "[{target: \"ARGS:q\", path: \"/search\"}]"
    with Setup("rules: owasp-crs, exclusions: " + exclusions) as setup:
        assert setup.get("/search" + query(SQL)) == 200
        assert setup.get("/search?p=" + urllib.parse.quote(SQL)) == 403
        assert setup.get("/other" + query(SQL)) == 403


def test_a_body_too_long_to_inspect_is_refused_or_inspected_at_its_beginning():
    long = "a=" + "b" * 70000 + "&q=" + urllib.parse.quote(SQL)
    with Setup() as setup:
        assert setup.post("/", long, FORM) == 413
        assert setup.post("/open/", long, FORM) == 200
    with Setup("rules: owasp-crs, large: inspect_beginning") as setup:
        assert setup.post("/", "q=" + urllib.parse.quote(SQL) + "&a=" + "b" * 30000, FORM) == 403
        assert setup.post("/", long, FORM) == 200
        assert setup.bodies[-1] == long.encode()
        assert setup.post("/", "q=" + urllib.parse.quote(SQL) + "&" + long, FORM) == 403
        assert len(setup.bodies) == 1, "nothing of it reaches the service"


RULES = b"""
SecRuleEngine On
SecRequestBodyAccess On
SecRule ARGS:x "@streq bad" "id:1,phase:2,deny,status:418,log,msg:'a bad x'"
SecRule REQUEST_HEADERS:X-Go "@streq away" "id:2,phase:1,redirect:https://shop.example/,log"
"""


def test_an_attack_in_a_compressed_body_is_seen():
    with Setup("rules: ./own.conf", {"own.conf": RULES}) as setup:
        body = gzip.compress(b"x=bad")
        assert setup.post("/", body, dict(FORM, **{"Content-Encoding": "gzip"})) == 418
        assert setup.post("/", body, dict(FORM, **{"Content-Encoding": "br"})) == 415
        body = gzip.compress(b"x=good")
        assert setup.post("/", body, dict(FORM, **{"Content-Encoding": "gzip"})) == 200
        assert setup.bodies == [b"x=good"]


def test_rules_of_our_own_decide_status_and_redirect():
    with Setup("rules: ./own.conf", {"own.conf": RULES}) as setup:
        assert setup.get("/?x=good") == 200
        status, fields, _ = setup.gateway.request("GET", "/?x=bad")
        assert status == 418, status
        assert setup.post("/", "x=bad", FORM) == 418
        status, fields, _ = setup.gateway.request("GET", "/", None, {"X-Go": "away"})
        assert status == 302 and fields["location"] == "https://shop.example/", fields


def test_a_share_of_the_requests_is_inspected():
    with Setup("rules: ./own.conf, sample: 50%", {"own.conf": RULES}) as setup:
        refused = sum(setup.get("/?x=bad") == 418 for _ in range(80))
        # As likely to fail by chance as a coin to fall on one side 70 times of 80.
        assert 10 < refused < 70, refused
    with Setup("rules: ./own.conf, sample: 0%", {"own.conf": RULES}) as setup:
        assert setup.get("/?x=bad") == 200


def test_a_construct_that_is_not_supported_is_named_with_its_line():
    log = refusal(CONFIG % {"port": 1, "waf": "rules: ./own.conf"},
                  {"own.conf": RULES + b"SecRule ARGS \"@noSuchThing x\" \"id:3,pass\"\n"})
    assert "own.conf:6" in log, log


def command(*words, text=""):
    done = subprocess.run([PROGRAM, "waf", *words], input=text, capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_request_can_be_explained_and_a_log_becomes_exclusions():
    scoring = RULES + b"""
SecRule ARGS:y "@contains odd" "id:4,phase:2,pass,log,msg:'odd',setvar:'tx.anomaly_score=+5'"
"""
    with tempfile.NamedTemporaryFile(suffix=".conf") as rules:
        rules.write(scoring)
        rules.flush()
        request = "GET /?x=%s&y=%s HTTP/1.1\nHost: shop.example\n\n"
        code, out, _ = command("explain", "--rules", rules.name, "-", text=request % ("bad", "1"))
        assert code == 1 and "blocked by rule 1 with status 418" in out, (code, out)
        code, out, _ = command("explain", "--rules", rules.name, "--format", "json", "-",
                               text=request % ("good", "odd"))
        explained = json.loads(out)
        assert code == 0 and not explained["blocked"], explained
        assert [one["rule"] for one in explained["steps"] if one["matched"]] == [4], explained
        code, _, error = command("explain", "--rules", rules.name, "-", text="GET / HTTP/1.1\n\n")
        assert code == 2 and "400" in error, (code, error)
    record = {"event": "waf", "action": "blocked", "matches": [
        {"rule": 4, "score": 5, "message": "odd", "exclusion": '{rule: 4, target: "ARGS:y"}'},
        {"rule": 949110, "score": 0, "message": "sum", "exclusion": "{rule: 949110}"}]}
    observed = dict(record, action="observed")
    log = json.dumps(record) + "\n" + json.dumps(observed) + "\nnot a record\n"
    code, out, error = command("tune", "-", text=log)
    assert code == 0, error
    assert "# 2 records, 1 lines that are none" in out, out
    assert '# 2 times, 1 blocked: odd\n    - {rule: 4, target: "ARGS:y"}' in out, out
    assert "949110" not in out, "a sum is no cause"


def wait_for(condition, what):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def metric(setup, name):
    connection = http.client.HTTPConnection("127.0.0.1", setup.gateway.admin, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return next(int(line.split()[1]) for line in text.splitlines()
                if line.startswith(f"sallyport_waf_{name}_total "))


LIST_RULES = b"""
SecRule ARGS:who "@rbl list.example" "id:1,phase:2,deny,status:418,log,msg:'listed'"
SecRule ARGS:who "@rbl closed.example" "id:2,phase:2,deny,status:419,log"
SecRule ARGS:only "@rbl list.example" "id:3,phase:2,deny,status:418,log"
"""


def test_block_lists_are_asked_and_remembered_and_failures_match_nothing():
    names = Names()
    names.ttl = 600
    names.address("7.2.0.192.list.example", "127.0.0.2")
    names.address("8.2.0.192.closed.example", "127.255.255.254")
    asking = (f"rules: ./own.conf, block_lists: {{servers: \"127.0.0.1:{names.port}\", "
              "timeout: 5s}")
    with Setup(asking, {"own.conf": LIST_RULES}) as setup:
        assert setup.get("/?who=192.0.2.7") == 418
        asked = names.asked
        assert setup.get("/?who=192.0.2.7") == 418
        assert names.asked == asked, "the answer has been remembered"
        assert setup.get("/?who=192.0.2.9") == 200
        assert setup.get("/?who=192.0.2.8") == 200, "a list that serves us not lists nothing"
        assert metric(setup, "lookups_failed") == 1
        assert "does not serve this name server" in setup.gateway.log_text()
        names.failure = 2
        assert setup.get("/?who=192.0.2.10") == 200
        assert metric(setup, "lookups_failed") == 3
        assert metric(setup, "lookups") == 8, "two a request, one where the first has denied"
        # Nobody else waits for a name server that is silent.
        names.failure = "silent"
        slow = threading.Thread(target=setup.get, args=("/?only=192.0.2.11",))
        slow.start()
        assert setup.get("/?who=a%20b") == 200
        slow.join()
    names.close()


APPROVER = b"""#!/bin/sh
if [ -f "$1" ]; then content=$(cat "$1"); else content=$1; fi
case $content in
*virus*) echo "0 a virus" ;;
*slow*) sleep 60 ;;
*silent*) ;;
*) echo "1 clean" ;;
esac
"""

TELLER = b"""#!/bin/sh
echo "$RULE_ID $KIND $REQUEST_METHOD $REQUEST_URI" >>"$(dirname "$0")/told/log"
"""

PROGRAM_RULES = b"""
SecRule ARGS:x "@inspectFile ./approve" "id:1,phase:2,deny,status:418,capture,log,\\
  msg:'%{TX.0}'"
SecRule FILES_TMPNAMES "@inspectFile ./approve" "id:2,phase:2,deny,status:419,log"
SecRule ARGS:tell "@streq yes" "id:3,phase:2,pass,log,setenv:KIND=told,exec:./tell"
"""


def multipart(content):
    body = ("--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n\r\n"
            f"{content}\r\n--x--\r\n")
    return body, {"Content-Type": "multipart/form-data; boundary=x"}


def test_programs_approve_and_are_told():
    folder = tempfile.mkdtemp(prefix="sallyport-programs.")
    os.chmod(folder, 0o755)
    os.mkdir(os.path.join(folder, "told"))
    for name, text in (("approve", APPROVER), ("tell", TELLER), ("own.conf", PROGRAM_RULES)):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(text)
        os.chmod(path, 0o755)
    told = os.path.join(folder, "told", "log")

    def lines():
        if not os.path.exists(told):
            return []
        with open(told, encoding="utf-8") as file:
            return file.read().splitlines()

    programs = (f"programs: {{allow: [{folder}/approve, {folder}/tell], timeout: 8s, "
                f"write: {folder}/told, read: {folder}}}")
    try:
        with Setup(f"rules: {folder}/own.conf, {programs}") as setup:
            assert setup.get("/?x=good") == 200
            assert setup.get("/?x=a+virus%3B+touch+/tmp/x") == 418
            assert setup.post("/", *multipart("ordinary")) == 200
            assert setup.post("/", *multipart("a virus " * 4000)) == 419
            assert setup.get("/?tell=yes") == 200
            wait_for(lambda: len(lines()) == 1, "the program has not been told")
            assert lines() == ["3 told GET /?tell=yes"], lines()
            served = len(setup.bodies)
            # Without an answer nobody knows: mode block fails closed, observe goes on.
            assert setup.get("/?x=silent") == 503
            assert setup.get("/?x=slow") == 503
            assert len(setup.bodies) == served
            assert setup.get("/watched/?x=silent") == 200
            assert metric(setup, "programs_failed") >= 1
            assert "killed after its time" in setup.gateway.log_text()
            assert metric(setup, "failed") == 3
            # What may be run is known to a helper from before: it takes a new server.
            with open(f"{folder}/own.conf", "ab") as file:
                file.write(b'SecRule ARGS:y "@inspectFile ./third" "id:4,phase:2,deny"\n')
            shutil.copy(f"{folder}/approve", f"{folder}/third")
            with open(setup.gateway.config, encoding="utf-8") as file:
                config = file.read().replace("allow: [", f"allow: [{folder}/third, ")
            setup.gateway.write(config)
            setup.gateway.process.send_signal(signal.SIGHUP)
            wait_for(lambda: setup.get("/?y=virus") == 403, "the new program is not asked")
            assert setup.get("/?x=a+virus") == 418, "the others are"
    finally:
        shutil.rmtree(folder)


def test_programs_that_are_not_allowed_are_refused_with_their_line():
    rules = RULES + b"SecRule ARGS \"@inspectFile /bin/sh\" \"id:3,pass\"\n"
    log = refusal(CONFIG % {"port": 1, "waf": "rules: ./own.conf"}, {"own.conf": rules})
    assert "own.conf:6" in log and "waf.programs.allow" in log, log
    with tempfile.NamedTemporaryFile(suffix=".conf") as file:
        file.write(b"SecRule ARGS:x \"@inspectFile /bin/sh\" \"id:1,phase:2,deny\"\n"
                   b"SecRule ARGS:x \"@rbl a.example\" \"id:2,phase:2,deny\"\n")
        file.flush()
        code, out, error = command("explain", "--all", "--rules", file.name, "-",
                                   text="GET /?x=bad HTTP/1.1\nHost: shop.example\n\n")
        assert code == 0 and "the program is not run here" in out, (code, out, error)
        assert "the block list is not asked here" in out, out


run([value for name, value in list(globals().items()) if name.startswith("test_")])
