#!/usr/bin/python3
"""Procedures: what is done about a service that is not well, and how it comes back."""

import http.client
import json
import os
import re
import signal
import socket
import threading
import time

from harness import DEADLINE_S, Gateway, Service, answer, field, run

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 2
admin: {address: "127.0.0.1:{admin}", actions: on}
store: "sqlite:state/store.db"
log: {audit: audit.log}
services:
  sick:
    endpoints: ["http://127.0.0.1:%(sick)d"]
    timeout: {request: 500ms}
    breaker: {window: 10, minimum: 5, open: 500ms, probes: 2}
    fallback: {status: 200, body: kept, on: [connect, reset, timeout, 5xx]}
    %(service)s
  replica: {endpoints: ["http://127.0.0.1:%(replica)d"]}
routes:
  - {path: "/core", service: sick, auth: none, priority: core}
  - {path: "/low", service: sick, auth: none, priority: low}
webhooks:
  ops: {url: "http://127.0.0.1:%(hook)d/ops", secret: "a secret of enough bytes"}
  duty: {url: "http://127.0.0.1:%(hook)d/duty", secret: "a secret of enough bytes"}
  all: {url: "http://127.0.0.1:%(hook)d/all", secret: "a secret of enough bytes", events: procedures}
%(mail)s
procedures:
  orders_sick:
    service: sick
    when: %(when)s
    steps:
      - {notify: ops}
      - {page: duty, severity: critical}
      - %(step)s
      - {shed: low}
      %(more)s
    recovery: {after: 1s, canary: 30%%, hold: 2s, ramp: 2s}
"""


WHEN = "[{breaker: open, for: 1s}, {error_rate: 50%, minimum: 5, window: 2s, for: 1s}]"


class Setup:
    def __init__(self, step="{shift: replica}", more="", mail="", when=WHEN, service=""):
        self.well = True
        self.delay = 0
        self.told = []
        self.changed = threading.Condition()
        self.sick = Service(self.serve_sick)
        self.replica = Service(lambda c, *_: answer(c, b"replica") or b"")
        self.hook = Service(self.receive)
        self.values = dict(sick=self.sick.port, replica=self.replica.port, hook=self.hook.port,
                           step=step, more=more, mail=mail, when=when, service=service)
        self.gateway = Gateway(CONFIG % self.values)

    def serve_sick(self, connection, _head, _number, _rest):
        time.sleep(self.delay)
        if self.well:
            answer(connection, b"service")
        else:
            answer(connection, b"no", "500 Internal Server Error")
        return b""

    def receive(self, connection, head, _number, rest):
        length = int(field(head, "content-length")[0])
        while len(rest) < length:
            rest += connection.recv(65536)
        with self.changed:
            self.told.append((head.split(b" ")[1].decode(), json.loads(rest[:length])))
            self.changed.notify_all()
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        return rest[length:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        for service in (self.sick, self.replica, self.hook):
            service.close()
        assert code == 0, f"the gateway ended with {code}"

    def get(self, path="/core"):
        status, fields, body = self.gateway.request("GET", path)
        return status, body, fields.get("Sallyport-Fallback") or fields.get("sallyport-fallback")

    def admin(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.admin,
                                                timeout=DEADLINE_S)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def state(self):
        return json.loads(self.admin("/guard/procedures"))["procedures"][0]

    def events(self):
        return [entry["event"] for entry in
                reversed(json.loads(self.admin("/guard/timeline"))["timeline"])]

    def until(self, wanted, load=True):
        """Sends requests until the procedure is in that state; what they were answered."""
        answers = []
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if load:
                answers += [self.get() for _ in range(5)]
            if self.state()["state"] == wanted:
                return answers
            time.sleep(0.02)
        raise AssertionError((wanted, self.state(), self.events(), self.gateway.log_text()))

    def wait_told(self, path, kind):
        with self.changed:
            assert self.changed.wait_for(
                lambda: any(to == path and event["type"] == kind for to, event in self.told),
                DEADLINE_S), (path, kind, self.told, self.gateway.log_text())
            return next(event for to, event in self.told if to == path and event["type"] == kind)


def test_a_sick_service_is_relieved_and_gets_its_requests_back():
    with Setup() as setup:
        assert setup.get() == (200, b"service", None)
        setup.well = False
        setup.until("active")
        time.sleep(0.1)
        answers = [setup.get() for _ in range(50)]
        assert answers == [(200, b"replica", "shift")] * 50, answers
        # The fallback is what those who are shed get, too.
        assert setup.get("/low") == (200, b"kept", "fixed")
        began = setup.wait_told("/ops", "procedure.began")["data"]
        assert began["procedure"] == "orders_sick" and began["service"] == "sick"
        assert setup.wait_told("/duty", "procedure.page")["data"]["severity"] == "critical"
        setup.wait_told("/all", "procedure.began")
        # Still sick: the canary finds it out, and everybody is on the replica again.
        setup.until("canary")
        setup.until("active")
        assert setup.state()["relapses"] == 1
        setup.well = True
        setup.until("canary")
        setup.until("ramp")
        setup.until("watching")
        time.sleep(0.1)
        answers = [setup.get() for _ in range(20)]
        assert answers == [(200, b"service", None)] * 20, answers
        events = setup.events()
        assert [e for e in events if e != "step"] == [
            "began", "canary", "relapsed", "canary", "ramp", "recovered"], events
        assert events.count("step") == 4
        setup.wait_told("/ops", "procedure.recovered")
        setup.wait_told("/duty", "procedure.recovered")
        metrics = setup.admin("/metrics")
        assert 'sallyport_procedure_episodes_total{procedure="orders_sick"} 1' in metrics
        assert re.search(r'sallyport_fallbacks_total\{kind="shift"\} [1-9]', metrics)
        with open(os.path.join(setup.gateway.folder, "audit.log"), encoding="utf-8") as file:
            audited = [json.loads(line)["event"] for line in file]
        assert "procedure.began" in audited and "procedure.recovered" in audited


def test_each_condition_begins_a_procedure_alone():
    def begin(setup):
        setup.until("active")
        entries = json.loads(setup.admin("/guard/timeline"))["timeline"]
        return next(entry["detail"] for entry in entries if entry["event"] == "began")

    with Setup(when="[{breaker: open, for: 1s}]") as setup:
        setup.well = False
        assert "breaker is not closed" in begin(setup)
    with Setup(when="[{error_rate: 40%, minimum: 5, window: 2s, for: 1s}]") as setup:
        setup.well = False
        assert re.match(r"\d+ of \d+ calls failed", begin(setup))
    with Setup(when="[{latency: 100ms, percentile: 50, minimum: 3, window: 2s, for: 1s}]") as setup:
        setup.delay = 0.2
        assert re.match(r"percentile 50 of \d+ calls took \d+ ms", begin(setup))
    with Setup(when="[{healthy: 50%, for: 1s}]",
               service="health: {path: /, interval: 100ms, unhealthy: 1}") as setup:
        setup.well = False
        assert begin(setup) == "0% of the endpoints are well"


def test_the_time_line_survives_the_end_of_the_server():
    with Setup() as setup:
        setup.well = False
        setup.until("active")
        setup.well = True
        setup.until("watching")
        before = setup.events()
        path = os.path.join(setup.gateway.folder, "audit.log")
        end = time.monotonic() + DEADLINE_S
        while "procedure.recovered" not in open(path, encoding="utf-8").read():
            assert time.monotonic() < end
            time.sleep(0.05)
        with open(path, "a", encoding="utf-8") as file:
            file.write('{"event":"procedure.torn')
        pid = setup.gateway.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
            server = int(file.read().split()[0])
        os.kill(server, signal.SIGKILL)
        while "server_ended" not in setup.gateway.log_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        setup.gateway.wait_serving(DEADLINE_S)
        assert setup.events() == before, (setup.events(), before)
        setup.well = False
        setup.until("active")
        assert setup.events()[:len(before) + 1] == before + ["began"]


def test_the_fallback_is_given_without_asking_the_service():
    with Setup("{fallback: on}") as setup:
        setup.well = False
        setup.until("active")
        time.sleep(0.1)
        count = len(setup.sick.heads)
        assert [setup.get() for _ in range(20)] == [(200, b"kept", "fixed")] * 20
        assert len(setup.sick.heads) == count


def test_a_reload_goes_on_with_what_is_going_on():
    with Setup() as setup:
        setup.well = False
        setup.until("active")
        setup.gateway.write((CONFIG % setup.values) + "\nlimits: {body: 1M}\n")
        setup.gateway.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + DEADLINE_S
        while "reload.done" not in setup.gateway.log_text() and time.monotonic() < end:
            time.sleep(0.05)
        assert setup.state()["episodes"] == 1
        assert setup.get()[1] in (b"replica", b"kept")
        setup.well = True
        setup.until("watching")
        assert setup.events().count("began") == 1


SCRIPT = b"""#!/bin/sh
echo "for $SALLYPORT_PROCEDURE of $SALLYPORT_SERVICE with ${SECRET_OF_OURS:-nothing}"
echo kept >"$TMPDIR/file" && echo "own folder"
(echo x >/etc/sallyport-procedure-test) 2>/dev/null && echo "wrote to /etc"
(echo x >"$1") 2>/dev/null && echo "wrote where it may"
/usr/bin/python3 -c '
import socket
try:
    socket.create_connection(("127.0.0.1", %d), 2)
    print("reached the network")
except PermissionError:
    print("no network")
'
kill -9 $PPID 2>/dev/null && echo "killed its parent"
exit 3
"""


def test_a_command_runs_in_the_sandbox():
    import tempfile
    with tempfile.TemporaryDirectory(prefix="sallyport-command.") as folder:
        os.chmod(folder, 0o777)
        script = os.path.join(folder, "restart.sh")
        target = os.path.join(folder, "open")
        os.mkdir(target)
        os.chmod(target, 0o777)
        os.environ["SECRET_OF_OURS"] = "leaked"
        more = "- {run: [%s, %s/out], write: %s, timeout: 10s}\n      " % (script, target, target)
        more += "- {run: [/bin/sleep, 60], timeout: 300ms}"
        setup = None
        probe = socket.create_server(("127.0.0.1", 0))
        with open(script, "wb") as file:
            file.write(SCRIPT % probe.getsockname()[1])
        os.chmod(script, 0o755)
        try:
            setup = Setup(more=more)
            with setup:
                setup.well = False
                setup.until("active")
                end = time.monotonic() + DEADLINE_S
                while setup.events().count("step_ended") < 2 and time.monotonic() < end:
                    time.sleep(0.1)
                entries = json.loads(setup.admin("/guard/timeline"))["timeline"]
                ended = [e["detail"] for e in entries if e["event"] == "step_ended"]
                assert any("killed after its time" in detail for detail in ended), entries
                said = next(d for d in ended if "status 3" in d)
                for wanted in ("for orders_sick of sick with nothing", "own folder",
                               "wrote where it may", "no network"):
                    assert wanted in said, said
                assert "/etc" not in said and "killed its" not in said, said
        finally:
            probe.close()
            del os.environ["SECRET_OF_OURS"]
        # Those of other tests that are there now go away as ours have to.
        left = {name for name in os.listdir("/tmp") if name.startswith("sallyport-run.")}
        end = time.monotonic() + DEADLINE_S
        while left & set(os.listdir("/tmp")):
            assert time.monotonic() < end, left
            time.sleep(0.1)


def serve_smtp(listener, mails):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"220 test\r\n")
            stream.flush()
            data = None
            for line in stream:
                if data is not None:
                    if line == b".\r\n":
                        mails.append(data)
                        data = None
                        stream.write(b"250 ok\r\n")
                    else:
                        data += line
                elif line.upper().startswith(b"DATA"):
                    data = b""
                    stream.write(b"354 go\r\n")
                elif line.upper().startswith(b"QUIT"):
                    stream.write(b"221 bye\r\n")
                    stream.flush()
                    break
                else:
                    stream.write(b"250 ok\r\n")
                stream.flush()


def test_people_get_mail():
    mails = []
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve_smtp, args=(listener, mails), daemon=True).start()
    mail = 'mail: {url: "smtp://127.0.0.1:%d", from: gate@example.test, tls: off}' % (
        listener.getsockname()[1])
    try:
        with Setup(more="- {mail: [duty@example.test]}", mail=mail) as setup:
            setup.well = False
            setup.until("active")
            end = time.monotonic() + DEADLINE_S
            while "step_ended" not in setup.events() and time.monotonic() < end:
                time.sleep(0.1)
            entries = json.loads(setup.admin("/guard/timeline"))["timeline"]
            ended = [e["detail"] for e in entries if e["event"] == "step_ended"]
            assert ended == ["mail: sent to 1 of 1"], entries
            assert b"orders_sick" in mails[0] and b"duty@example.test" in mails[0]
    finally:
        listener.close()


run([
    test_a_sick_service_is_relieved_and_gets_its_requests_back,
    test_each_condition_begins_a_procedure_alone,
    test_the_time_line_survives_the_end_of_the_server,
    test_the_fallback_is_given_without_asking_the_service,
    test_a_reload_goes_on_with_what_is_going_on,
    test_a_command_runs_in_the_sandbox,
    test_people_get_mail,
])
