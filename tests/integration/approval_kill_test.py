#!/usr/bin/python3
"""kill -9 while approvals are asked for, granted and used; KILLS says how often."""

import http.client
import json
import os
import random
import re
import threading
import time
import urllib.parse

from approval_test import Setup, headers
from harness import answer, field, run

KILLS = int(os.environ.get("KILLS", "10"))
# On a machine that is busy most of the first kills meet a server that has hardly begun.
DEADLINE_S = 120
CLIENTS = 4


class World(Setup):
    def __init__(self):
        self.lock = threading.Lock()
        self.received = {}  # body: how often the service got it
        self.granting = set()  # bodies somebody has begun to approve
        self.unapproved = []
        self.asked = {}  # body: id of the approval, acknowledged
        self.granted, self.passed = set(), set()  # bodies, acknowledged
        self.by_link = 0
        self.stopping = False
        # A use whose answer was lost leaves another one waiting.
        super().__init__(pending=0)

    def script(self, connection, head, _number, rest):
        length = int((field(head, "content-length") or ["0"])[0])
        while len(rest) < length:
            data = connection.recv(65536)
            if not data:
                return None
            rest += data
        body = rest[:length].decode()
        with self.lock:
            self.received[body] = self.received.get(body, 0) + 1
            if body not in self.granting:
                self.unapproved.append(body)
        answer(connection)
        return rest[length:]

    def try_once(self, call):
        """The answer; None when the program was killed meanwhile."""
        try:
            return call()
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
            return None

    def until_answered(self, call):
        while not self.stopping:
            got = self.try_once(call)
            if got and got[0] not in (502, 503):
                return got
        return None

    def put(self, body):
        return self.gateway.request("PUT", "/orders/7", body.encode(),
                                    headers("ann", **{"Content-Type": "text/plain"}))

    def decide_by_link(self, approval):
        """As a person does who has been sent a signed link: looks at the page, and sends its form."""
        link = self.command("approval", "link", approval, "--for", "zoe", "--url",
                            "https://shop.example/approvals").strip()
        got = self.until_answered(
            lambda: self.gateway.request("GET", link.removeprefix("https://shop.example")))
        if not got:
            return None
        token = re.search(rb'name="t" value="([^"]+)"', got[2])
        if not token:
            return got  # it is decided already: no form any more
        form = urllib.parse.urlencode({"t": token.group(1).decode(), "decision": "approve"})
        return self.until_answered(lambda: self.gateway.request(
            "POST", "/approvals/link", form,
            {"Content-Type": "application/x-www-form-urlencoded"}))

    def grant(self, body):
        if hash(body) % 3 == 0:
            self.by_link += 1
            return self.decide_by_link(self.asked[body])
        return self.until_answered(lambda: self.decide("eve", self.asked[body]))

    def one_request(self, body):
        got = self.until_answered(lambda: self.put(body))
        if not got:
            return
        assert got[0] == 202, got
        self.asked[body] = json.loads(got[2])["approval"]
        self.granting.add(body)
        got = self.grant(body)
        if not got:
            return
        # 409: the vote of a try whose answer was lost is there.
        assert got[0] in (200, 409), got
        self.granted.add(body)
        got = self.until_answered(lambda: self.put(body))
        # 202: it was used by a try whose answer was lost.
        assert got is None or got[0] in (200, 202), got
        if got and got[0] == 200:
            self.passed.add(body)

    def client(self, name, errors):
        number = 0
        try:
            while not self.stopping:
                number += 1
                self.one_request(f"{name}-{number}")
        except Exception as error:  # pylint: disable=broad-except
            errors.append(repr(error))

    def has_met_enough(self):
        with self.lock:
            return len(self.granted) > KILLS / 4 and bool(self.received)

    def check(self):
        twice = {body: count for body, count in self.received.items() if count > 1}
        assert not twice, f"granted twice: {twice}"
        assert not self.unapproved, f"forwarded without an approval: {self.unapproved}"
        for body, approval in self.asked.items():
            status, _, text = self.gateway.request("GET", f"/approvals/{approval}", None,
                                                   headers("eve"))
            assert status == 200, f"the approval of {body} is lost: {status}"
            state = json.loads(text)["state"]
            assert body not in self.granted or state in ("approved", "used"), (body, state)
            assert body not in self.received or state == "used", (body, state)
            if state == "approved":
                assert self.put(body)[0] == 200, f"{body} is approved and does not pass"
        assert self.passed <= set(self.received), "answered, but not by the service"
        assert all(count == 1 for count in self.received.values())


def test_no_kill_loses_an_approval_or_grants_one_twice():
    with World() as world:
        errors, kills = [], 0
        clients = [threading.Thread(target=world.client, args=(f"c{i}", errors))
                   for i in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            until = time.monotonic() + DEADLINE_S
            while (kills < KILLS or not world.has_met_enough()) and not errors:
                assert time.monotonic() < until, "the kills met nothing"
                time.sleep(random.uniform(0.005, 0.15 * max(1, kills / KILLS)))
                world.gateway.kill()
                kills += 1
                world.gateway.start()
        finally:
            world.stopping = True
            for client in clients:
                client.join(60)
        assert not errors, errors
        world.check()
        print(f"{kills} kills: {len(world.asked)} asked for, {len(world.granted)} granted, "
              f"{world.by_link} of them by links, {len(world.received)} forwarded")


if __name__ == "__main__":
    run([test_no_kill_loses_an_approval_or_grants_one_twice])
