#!/usr/bin/python3
"""Logins at other providers that users join to their accounts by themselves, and cut off again."""

import json
import re
import time
import urllib.parse

from harness import run
from idp import Browser, cli, make_user, server
from identity_federation_test import World, in_world
from identity_login_test import reload_config, turn_totp_on

IN, SECURITY = "Your account", "/identity/security"


def press(browser, what, name="corp", follow=True, headers=None, **changes):
    """The button of the security page that joins (`link`) or cuts off (`unlink`)."""
    page = browser.get(SECURITY)
    found = re.search(rf'<form method="post" action="/identity/federation/{name}/{what}">(.*?)</form>', page.text, re.S)
    assert found, page.text
    token = re.search(r'name="form_token" value="([^"]+)"', found[1])[1]
    body = urllib.parse.urlencode({"form_token": token, **changes})
    headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {"Origin": browser.issuer})}
    browser.page = browser.exchange("POST", f"/identity/federation/{name}/{what}", body, headers)
    return browser.follow() if follow else browser.page


def way(page):
    """What the provider is asked, behind the link of the page."""
    found = re.search(r'<a class="button" href="([^"]+)">Go on to', page.text)
    assert page.status == 200 and found, (page.status, page.text)
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(found[1].replace("&amp;", "&")).query))


def join(world, browser, **changes):
    return world.back(way(press(browser, "link")), browser, **changes)


def links(world, name):
    return world.users()[name]["links"]


@in_world("create: false, roles_claim: [groups], role_map: [{value: staff, roles: [clerk]}]")
def a_user_joins_a_login_and_cuts_it_off_again(world):
    _, alice = make_user(world.gateway, "alice")
    before = alice.cookies["__Host-sallyport"]
    world.provider.claims = {"sub": "alice-1", "groups": ["staff"]}
    asked = way(press(alice, "link"))
    # The provider is to ask who it is, whoever is logged in there.
    assert asked["prompt"] == "login" and asked["code_challenge_method"] == "S256"
    page = world.back(asked, alice)
    assert "Cut off" in page.text, page.text
    assert links(world, "alice") == [world.provider.issuer + " alice-1"]
    assert alice.cookies["__Host-sallyport"] != before
    assert "user.linked" in world.audit()
    # It is a way in now, with the roles that the provider gives.
    elsewhere = Browser(world.gateway)
    page = world.log_in(elsewhere)
    assert IN in page.text and "alice" in page.text, page.text
    assert world.users()["alice"]["roles"] == ["clerk"]
    page = press(alice, "unlink")
    assert "not joined" in page.text, page.text
    assert links(world, "alice") == [] and world.users()["alice"]["roles"] == []
    assert "user.unlinked" in world.audit()
    # No way in any more; what was begun so is over.
    assert IN not in elsewhere.get("/identity").text
    world.refuses(world.log_in())
    assert IN in alice.get("/identity").text


@in_world("create: true")
def the_last_way_in_is_not_cut_off(world):
    world.provider.claims = {"sub": "bob-1", "preferred_username": "bob"}
    assert IN in world.log_in().text
    page = press(world.browser, "unlink")
    assert page.status == 422 and "only way" in page.text, page.text
    assert links(world, "corp:bob") == [world.provider.issuer + " bob-1"]


@in_world("create: true", second=True)
def another_login_is_a_way_in_too(world):
    world.provider.claims = {"sub": "bob-1", "preferred_username": "bob"}
    assert IN in world.log_in().text
    world.other.claims = {"sub": "robert"}
    asked = way(press(world.browser, "link", "other"))
    page = world.back(asked, name="other", provider=world.other)
    assert len(links(world, "corp:bob")) == 2, page.text
    assert "not joined" in press(world.browser, "unlink").text
    assert links(world, "corp:bob") == [world.other.issuer + " robert"]
    page = press(world.browser, "unlink", "other")
    assert page.status == 422, page.text


@in_world("create: false")
def a_login_is_joined_to_one_account(world):
    _, alice = make_user(world.gateway, "alice")
    _, mallory = make_user(world.gateway, "mallory")
    assert "Cut off" in join(world, alice).text
    page = join(world, mallory)
    assert page.status == 403 and "another account" in page.text, page.text
    assert links(world, "mallory") == [] and len(links(world, "alice")) == 1
    # Nor are two logins of one provider joined to an account.
    page = alice.exchange("POST", "/identity/federation/corp/link", urllib.parse.urlencode(
        {"form_token": re.search(r'name="form_token" value="([^"]+)"', alice.get(SECURITY).text)[1]}),
        {"Content-Type": "application/x-www-form-urlencoded", "Origin": alice.issuer})
    assert page.status == 409, page.text


@in_world("create: false")
def an_answer_joins_nothing_outside_of_its_own_session(world):
    _, alice = make_user(world.gateway, "alice")
    _, mallory = make_user(world.gateway, "mallory")
    # Mallory's answer in the browser of alice: her cookie has begun nothing.
    asked = way(press(mallory, "link"))
    assert world.back(asked, alice).status == 403
    # With his cookie planted, too: it is another session.
    asked = way(press(mallory, "link"))
    alice.cookies["__Host-sallyport-federation"] = mallory.cookies["__Host-sallyport-federation"]
    page = world.back(asked, alice)
    assert page.status == 403 and "session" in page.text, page.text
    # Nor after logging out, or in anew, in between.
    asked = way(press(alice, "link"))
    alice.get("/identity/logout")
    alice.submit()
    assert world.back(asked, alice).status == 403
    alice.log_in("alice", "a long password")
    asked = way(press(alice, "link"))
    alice.cookies.pop("__Host-sallyport")
    alice.log_in("alice", "a long password")
    assert world.back(asked, alice).status == 403
    # A login that began as one is none that joins.
    asked = world.start(alice)
    page = world.back(asked, alice)
    assert page.status == 403, page.text
    assert links(world, "alice") == [] and links(world, "mallory") == []
    assert "Cut off" in join(world, alice).text


@in_world("create: false")
def no_other_site_joins_or_cuts_off(world):
    _, alice = make_user(world.gateway, "alice")
    for headers in ({"Origin": "https://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert press(alice, "link", headers=headers, follow=False).status == 403, headers
    assert press(alice, "link", form_token="x", follow=False).status == 403
    for what in ("link", "unlink"):
        assert alice.get(f"/identity/federation/corp/{what}").status == 404
    assert "Cut off" in join(world, alice).text
    for headers in ({"Origin": "https://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert press(alice, "unlink", headers=headers, follow=False).status == 403, headers
    assert len(links(world, "alice")) == 1


def an_old_login_shows_anew_who_it_is_before():
    gateway = server(more='session: {fresh: 1s}\n  federation: [{name: corp, issuer: "http://127.0.0.1:9", client_id: g}]')
    try:
        _, alice = make_user(gateway, "alice")
        time.sleep(2.1)
        page = press(alice, "link", follow=False)
        assert page.status == 303 and "/identity/login?again=1" in page.location, page.text
        assert "Log in" in alice.follow().text
    finally:
        gateway.stop()


@in_world("create: false")
def who_has_a_second_factor_shows_it_before(world):
    _, alice = make_user(world.gateway, "alice")
    turn_totp_on(alice)
    assert "Cut off" in join(world, alice).text
    # The new way in asks for it all the same.
    page = world.log_in(Browser(world.gateway))
    assert "code" in page.text.lower() and IN not in page.text, page.text


@in_world("create: false")
def a_provider_that_is_away_joins_nothing(world):
    _, alice = make_user(world.gateway, "alice")
    asked = way(press(alice, "link"))
    world.provider.close()
    assert world.back(asked, alice).status == 503
    time.sleep(0.1)
    assert links(world, "alice") == []


@in_world("create: false")
def the_admin_api_shows_what_users_have_joined(world):
    _, alice = make_user(world.gateway, "alice")
    join(world, alice)
    shown = cli(world.gateway, "user", "show", "alice")[0]
    assert shown["links"] == [world.provider.issuer + " bob-1"], json.dumps(shown)
    reload_config(world.gateway)
    assert "Cut off" in alice.get(SECURITY).text


if __name__ == "__main__":
    run([
        a_user_joins_a_login_and_cuts_it_off_again,
        the_last_way_in_is_not_cut_off,
        another_login_is_a_way_in_too,
        a_login_is_joined_to_one_account,
        an_answer_joins_nothing_outside_of_its_own_session,
        no_other_site_joins_or_cuts_off,
        an_old_login_shows_anew_who_it_is_before,
        who_has_a_second_factor_shows_it_before,
        a_provider_that_is_away_joins_nothing,
        the_admin_api_shows_what_users_have_joined,
    ])
