#!/usr/bin/python3
"""kill -9 at random while users, grants and revocations are written: what was acknowledged is there
afterwards, on SQLite and PostgreSQL, and so is its audit record. WRITES says how many."""

import http.client
import json
import os
import random
import threading
import time

from harness import run
from idp import Client, Flow, cli, make_user, server
from identity_replica_test import Servers

WRITES = int(os.environ.get("WRITES", "60"))
CALLBACK = "https://shop.example/callback"


class World:
    """A server that is killed again and again, and what it has acknowledged."""

    def __init__(self, store):
        self.gateway = server(store=store)
        self.user, self.browser = make_user(self.gateway, "alice")
        self.secret = cli(self.gateway, "client", "create", "shop", "--grants",
                          "code,refresh,client_credentials", "--scopes", "openid,offline_access",
                          "--redirects", CALLBACK)[0]["client_secret"]
        self.writes = 0
        self.users = []
        self.refreshes, self.maybe_used = [], 0
        self.revoked = []
        self.stopping = False
        self.kills = 0

    def keep_killing(self):
        while not self.stopping:
            time.sleep(random.uniform(0.3, 1.2))
            if self.stopping:
                return
            self.gateway.kill()
            self.kills += 1
            self.gateway.start()

    @staticmethod
    def ask(call):
        """None when the answer was lost, or the server said that it was not able to."""
        try:
            done = call()
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
            return None
        return done if done.status not in (502, 503) else None

    def one_user(self):
        name = f"user-{self.writes}-{random.randrange(1 << 30)}"
        made = cli(self.gateway, "user", "create", name)[0]
        self.users.append((name, made["id"]))

    def one_grant(self):
        flow = Flow(self.browser, "shop", CALLBACK, "openid offline_access")
        page = self.ask(flow.start)
        if not page or page.status != 303 or "code" not in page.query:
            return
        done = self.ask(lambda: flow.redeem(page.query["code"], secret=self.secret))
        if done and done.status == 200:
            self.refreshes.append(done.json["refresh_token"])

    def one_revocation(self):
        fields = {"client_id": "shop", "client_secret": self.secret}
        done = self.ask(lambda: self.browser.post("/identity/token", {
            "grant_type": "client_credentials", **fields}))
        if not done or done.status != 200:
            return
        token = done.json["access_token"]
        done = self.ask(lambda: self.browser.post("/identity/revoke", {"token": token, **fields}))
        if done and done.status == 200:
            self.revoked.append(token)

    def check(self):
        known = {line["name"]: line["id"] for line in cli(self.gateway, "user", "export")}
        for name, user in self.users:
            assert known.get(name) == user, name
        client = Client(self.gateway)
        for token in self.refreshes:
            done = client.token(secret=self.secret, client_id="shop", grant_type="refresh_token",
                                refresh_token=token)
            assert done.status == 200, done.text
        for token in self.revoked:
            assert client.get_with(token, "/api/x").status == 401
        self.check_audit()

    def check_audit(self):
        """Every acknowledged write has its record; a line that was being written may be cut."""
        events = {}
        with open(self.gateway.folder + "/audit.log", encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                events.setdefault(record["event"], []).append(record)
        made = {record.get("user") for record in events.get("user.created", [])}
        for name, user in self.users:
            assert user in made, ("no audit record of", name)
        assert len(events.get("token.revoked", [])) >= len(self.revoked)
        assert len(events.get("authorize.granted", [])) >= len(self.refreshes)


def check(store):
    world = World(store)
    killer = threading.Thread(target=world.keep_killing)
    killer.start()
    try:
        steps = [world.one_user, world.one_grant, world.one_revocation]
        while world.writes < WRITES or (not world.kills and world.writes < 20 * WRITES):
            steps[world.writes % 3]()
            world.writes += 1
    finally:
        world.stopping = True
        killer.join()
    try:
        print(f"{WRITES} writes, {world.kills} kills; acknowledged: {len(world.users)} users, "
              f"{len(world.refreshes)} grants, {len(world.revoked)} revocations")
        assert world.kills and world.users and world.refreshes and world.revoked
        world.check()
    finally:
        world.gateway.stop()


def nothing_acknowledged_is_lost_on_sqlite():
    check("sqlite:id.db")


def nothing_acknowledged_is_lost_on_postgresql():
    servers = Servers()
    try:
        check(servers.store)
    finally:
        servers.stop()


if __name__ == "__main__":
    run([nothing_acknowledged_is_lost_on_sqlite, nothing_acknowledged_is_lost_on_postgresql])
