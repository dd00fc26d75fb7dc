#!/usr/bin/python3
"""The admin API, spoken to by curl: the same powers as the commands, by permission, audited."""

import json
import os
import re
import subprocess

from harness import run
from idp import Browser, Client, cli, make_user, server


class World:
    def __init__(self):
        self.gateway = server()
        self.client = Client(self.gateway)
        self.client.send("GET", "/identity/keys")  # answers when the store is open
        cli(self.gateway, "role", "set", "helpdesk", "--permissions", "identity:read,identity:write:users")
        self.tokens = {"": ""}
        for name, role in (("root", "administrator"), ("desk", "helpdesk"), ("shop", "clerk")):
            made = cli(self.gateway, "client", "create", name, "--grants", "client_credentials", "--roles", role)[0]
            answer = self.client.token(made["client_secret"], client_id=name, grant_type="client_credentials")
            self.tokens[name] = answer.json["access_token"]
        self.who = "root"

    def call(self, method, path, body=None, who=None, headers=()):
        """(status, JSON, fields)"""
        who = self.who if who is None else who
        command = ["curl", "-s", "-i", "-X", method, f"http://127.0.0.1:{self.gateway.port}/identity/admin/{path}"]
        if self.tokens[who]:
            command += ["-H", "Authorization: Bearer " + self.tokens[who]]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "--data-binary",
                        body if isinstance(body, str) else json.dumps(body)]
        for header in headers:
            command += ["-H", header]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        head, _, text = done.stdout.partition("\n\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head.splitlines()[1:])}
        return int(head.split()[1]), json.loads(text) if text.strip() else None, fields

    def audit(self):
        return open(os.path.join(self.gateway.folder, "audit.log"), encoding="utf-8").read()


def in_world(test):
    def wrapped():
        world = World()
        try:
            test(world)
            assert "ERROR: AddressSanitizer" not in world.gateway.log_text(), world.gateway.log_text()
        finally:
            world.gateway.stop()

    wrapped.__name__ = test.__name__
    return wrapped


@in_world
def users_are_made_changed_and_removed(world):
    status, made, _ = world.call("POST", "users", {"name": "Alice", "email": "Alice@Example.test", "roles": ["clerk"]})
    assert status == 201 and made["user"]["name"] == "alice" and made["user"]["email"] == "alice@example.test", made
    page = Browser(world.gateway).log_in("alice", made["one_time_password"])
    assert "Choose a new password" in page.text
    user = made["user"]["id"]
    status, shown, fields = world.call("GET", "users/" + user)
    assert status == 200 and "password_hash" not in shown and shown["has_password"], shown
    etag = fields["etag"]
    assert world.call("GET", "users/alice")[1]["id"] == user
    status, shown, _ = world.call("PATCH", "users/" + user, {"display": "A", "groups": ["staff"]}, headers=[f"If-Match: {etag}"])
    assert status == 200 and shown["groups"] == ["staff"] and shown["roles"] == ["clerk"], shown
    # Who has read the old one does not overwrite the new one.
    status, problem, fields = world.call("PATCH", "users/" + user, {"display": "B"}, headers=[f"If-Match: {etag}"])
    assert status == 412 and fields["content-type"] == "application/problem+json", problem
    assert world.call("GET", "users/alice")[1]["display"] == "A"
    status, shown, _ = world.call("PATCH", "users/alice", {"disabled": True})
    assert status == 200 and shown["disabled"]
    assert world.call("POST", "users/alice/unlock")[0] == 200
    assert world.call("POST", "users/alice/remove-factors")[0] == 200
    status, again, _ = world.call("POST", "users/alice/password")
    assert status == 200 and again["one_time_password"] != made["one_time_password"]
    assert world.call("DELETE", "users/alice")[0] == 200
    assert world.call("GET", "users/alice")[0] == 404
    text = world.audit()
    for event in ("user.created", "user.changed", "user.unlocked", "user.password_reset", "user.removed"):
        assert re.search(rf'"{event}".*"by":"root"', text), (event, text)
    assert made["one_time_password"] not in text


@in_world
def what_makes_no_sense_is_refused_with_the_reason(world):
    cases = [
        ("POST", "users", {"name": "a b"}, 422), ("POST", "users", {}, 422), ("POST", "users", None, 400),
        ("POST", "users", "[1]", 400), ("POST", "users", "{", 400),
        ("POST", "users", {"name": "x", "password_hash": "y"}, 422), ("POST", "users", {"name": "x", "roles": "y"}, 422),
        ("POST", "users", {"name": "x", "permissions": ["a::b"]}, 422), ("POST", "users", {"name": "x", "email": "y"}, 422),
        ("POST", "users", {"name": "admin"}, 409), ("PUT", "users", {"name": "x"}, 405), ("GET", "users?limit=0", None, 400),
        ("POST", "users/nobody/unlock", None, 404), ("POST", "users/admin/dance", None, 404), ("GET", "nothing", None, 404),
        ("PUT", "roles/a", {"includes": ["a"]}, 422), ("PUT", "roles/a", {"permissions": ["::"]}, 422),
        ("POST", "clients", {"client_id": "c", "redirect_uris": ["http://evil.test/#x"]}, 422),
        ("POST", "clients", {"client_id": "root", "client_name": "x"}, 409), ("DELETE", "sessions/none", None, 404),
        ("DELETE", "sessions", None, 405),
    ]
    for method, path, body, expected in cases:
        status, problem, fields = world.call(method, path, body)
        assert status == expected, (method, path, body, status, problem)
        assert fields["content-type"] == "application/problem+json" and problem["status"] == status, problem
        assert problem["type"].startswith("urn:sallyport:problem:"), problem
    status, _, _ = world.call("POST", "users", None, headers=["Content-Type: text/plain", "Content-Length: 0"])
    assert status == 400


@in_world
def only_who_has_the_permission_may(world):
    for path in ("users", "roles", "groups", "clients", "sessions", "keys", "nothing"):
        assert world.call("GET", path, who="")[0] == 401, path
        assert world.call("GET", path, who="shop")[0] in (403, 404), path
    # The helpdesk reads all and changes users only.
    for path in ("users", "roles", "groups", "clients", "sessions", "keys"):
        assert world.call("GET", path, who="desk")[0] == 200, path
    assert world.call("POST", "users", {"name": "bob"}, who="desk")[0] == 201
    assert world.call("PUT", "roles/x", {"permissions": ["*"]}, who="desk")[0] == 403
    assert world.call("POST", "keys/rotate", who="desk")[0] == 403
    assert world.call("DELETE", "clients/root", who="desk")[0] == 403
    assert world.call("POST", "clients/root/secret", who="desk")[0] == 403
    # A login in a browser is no way in: a page could use it.
    _, browser = make_user(world.gateway, "eve", "a long password", "--roles", "administrator")
    assert browser.exchange("GET", "/identity/admin/users").status == 401


@in_world
def roles_and_groups_are_kept_with_versions(world):
    status, role, fields = world.call("PUT", "roles/packer", {"permissions": ["orders:read", "parcels:*"], "includes": ["clerk"]})
    assert status == 200 and role["includes"] == ["clerk"], role
    first = fields["etag"]
    assert world.call("PUT", "roles/packer", {"permissions": []}, headers=[f"If-Match: {first}"])[0] == 200
    assert world.call("PUT", "roles/packer", {"permissions": ["*"]}, headers=[f"If-Match: {first}"])[0] == 412
    assert any(r["name"] == "packer" and r["permissions"] == [] for r in world.call("GET", "roles")[1]["roles"])
    status, group, fields = world.call("PUT", "groups/staff", {"roles": ["packer"]})
    assert status == 200 and group["roles"] == ["packer"]
    assert cli(world.gateway, "group", "list") == [{"name": "staff", "roles": ["packer"]}]
    assert world.call("DELETE", "groups/staff", headers=['If-Match: "1"'])[0] in (200, 412)
    world.call("DELETE", "groups/staff")
    assert world.call("GET", "groups/staff")[0] == 404
    assert world.call("DELETE", "roles/packer")[0] == 200 and world.call("GET", "roles/packer")[0] == 404


@in_world
def clients_sessions_and_keys_are_looked_after(world):
    status, made, _ = world.call("POST", "clients", {
        "client_id": "web", "client_name": "Web", "grant_types": ["authorization_code"],
        "redirect_uris": ["https://web.test/cb"], "scopes": ["openid"]})
    assert status == 201 and made["client_secret"], made
    status, client, fields = world.call("GET", "clients/web")
    assert status == 200 and "secret_sha256" not in client and client["confidential"], client
    client["redirect_uris"].append("https://web.test/other")
    status, client, _ = world.call("PUT", "clients/web", client, headers=["If-Match: " + fields["etag"]])
    assert status == 200 and len(client["redirect_uris"]) == 2 and client["confidential"], client
    assert world.call("PUT", "clients/web", client, headers=["If-Match: " + fields["etag"]])[0] == 412
    status, renewed, _ = world.call("POST", "clients/web/secret")
    assert status == 200 and renewed["client_secret"] != made["client_secret"]
    assert world.call("DELETE", "clients/web")[0] == 200 and world.call("GET", "clients/web")[0] == 404
    user, browser = make_user(world.gateway, "alice")
    sessions = world.call("GET", "sessions?user=" + user)[1]["sessions"]
    assert len(sessions) == 1 and sessions[0]["amr"] == ["pwd"], sessions
    assert world.call("DELETE", "sessions/" + sessions[0]["id"])[0] == 200
    assert "Log in" in browser.get("/identity").text
    keys = world.call("GET", "keys")[1]["keys"]
    status, rotated, _ = world.call("POST", "keys/rotate")
    assert status == 200 and len(rotated["keys"]) == len(keys) + 1
    assert '"key.rotated"' in world.audit()


@in_world
def lists_come_in_pages(world):
    for number in range(5):
        assert world.call("POST", "users", {"name": f"user{number}"})[0] == 201
    seen, after = [], ""
    while True:
        status, page, _ = world.call("GET", f"users?limit=2&after={after}")
        assert status == 200 and len(page["users"]) <= 2
        seen += [user["name"] for user in page["users"]]
        if "next" not in page:
            break
        after = page["next"]
    assert sorted(seen) == ["admin"] + [f"user{n}" for n in range(5)], seen


@in_world
def users_are_exported_and_imported(world):
    make_user(world.gateway, "alice", "a long password", "--roles", "clerk")
    status, page, _ = world.call("GET", "users?secrets=1")
    assert status == 200
    alice = [user for user in page["users"] if user["name"] == "alice"][0]
    assert alice["password_hash"].startswith("$argon2id$")
    assert "password_hash" not in json.dumps(world.call("GET", "users")[1])
    # Looking is not enough for secrets.
    cli(world.gateway, "role", "set", "viewer", "--permissions", "identity:read")
    made = cli(world.gateway, "client", "create", "eye", "--grants", "client_credentials", "--roles", "viewer")[0]
    world.tokens["eye"] = world.client.token(
        made["client_secret"], client_id="eye", grant_type="client_credentials").json["access_token"]
    assert world.call("GET", "users", who="eye")[0] == 200
    assert world.call("GET", "users?secrets=1", who="eye")[0] == 403
    assert world.call("POST", "users/import", {"users": []}, who="eye")[0] == 403
    # Away, and back again with everything.
    assert world.call("DELETE", "users/alice")[0] == 200
    status, page, _ = world.call("POST", "users/import", {"users": [alice, {"name": "bob", "roles": ["clerk"]}]})
    assert status == 200 and page == {"created": 2, "changed": 0}, page
    assert "Your account" in Browser(world.gateway).log_in("alice", "a long password").text
    status, page, _ = world.call("POST", "users/import", {"users": [{"name": "alice", "display": "Alice"}]})
    assert page == {"created": 0, "changed": 1}, page
    assert "Your account" in Browser(world.gateway).log_in("alice", "a long password").text
    status, page, _ = world.call("POST", "users/import", {"users": [{"name": "carol"}, {"name": ""}]})
    assert status == 422 and "user 2" in page["detail"], page
    assert world.call("GET", "users/carol")[0] == 200  # as with the command
    for bad in ({}, {"users": "x"}, {"users": [7]}):
        assert world.call("POST", "users/import", bad)[0] in (400, 422), bad
    for event in ("user.exported", "user.imported"):
        assert event in world.audit(), event


if __name__ == "__main__":
    run([
        users_are_exported_and_imported,
        users_are_made_changed_and_removed,
        what_makes_no_sense_is_refused_with_the_reason,
        only_who_has_the_permission_may,
        roles_and_groups_are_kept_with_versions,
        clients_sessions_and_keys_are_looked_after,
        lists_come_in_pages,
    ])
