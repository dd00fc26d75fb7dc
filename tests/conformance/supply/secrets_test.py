#!/usr/bin/env python3
"""Secrets through the whole program: in folders, in each layer of an image, in every form of report,
which never shows one. Usage: secrets_test.py SALLYPORT
"""
import json
import os
import random
import string
import sys
import tempfile

from hostile_test import entry, image, layer, run

FORMS = ("table", "json", "sarif", "markdown", "junit")


def made(length):
    """Made up for this run, so that no file of ours holds one."""
    return "".join(random.choices(string.ascii_letters + string.digits, k=length))


def find(path, *options):
    done = run("scan", "--only", "secrets", "--format", "json", *options, path)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)["findings"]
    assert bool(found) == (done.returncode == 1), done
    return found


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def folders_are_searched_and_values_masked(work):
    values = {"key": "sk_live_" + made(24), "password": made(20), "url": made(18)}
    write(work, "src/app.py", f"# x\nKEY = '{values['key']}'\n")
    write(work, "deploy/.env", f"DB_PASSWORD={values['password']}\n")
    write(work, "ci.yml", f"url: postgres://app:{values['url']}@db.internal/shop\n")
    write(work, "package-lock.json", f'{{"a": "{values["key"]}"}}')
    write(work, "node_modules/a/index.js", f"'{values['key']}'")
    write(work, ".git/config", f"'{values['key']}'")
    write(work, "image.png", f"'{values['key']}'")
    write(work, "binary", f"\0 '{values['key']}'")
    found = {(f["rule"], f["file"], f["line"], f["column"]) for f in find(work)}
    assert found == {("secret-stripe-key", "src/app.py", 2, 8),
                     ("secret-password-unquoted", "deploy/.env", 1, 13),
                     ("secret-database-url", "ci.yml", 1, 21)}, found
    for form in FORMS:
        done = run("scan", "--only", "secrets", "--format", form, work)
        for value in values.values():
            assert value.encode() not in done.stdout + done.stderr, form
        # Markdown escapes stars.
        assert b"****" in done.stdout.replace(b"\\", b""), form


def rules_of_the_user_and_comments_count(work):
    value = "acme_" + made(16)
    write(work, "tree/a.txt", value + "\n" + value + " # sallyport:allow mine-acme\n")
    write(work, "rules.yaml", "- {id: mine-acme, kind: secret, severity: low, what: a token, why: a,"
          " fix: b, keywords: [acme_], pattern: '\\bacme_([0-9A-Za-z]{16})\\b',"
          " bad: 'acme_{{alnum:16}}', good: 'acme_x'}\n")
    rules = os.path.join(work, "rules.yaml")
    assert run("policy", "test", rules).stdout == b"1 rules, 0 failed\n"
    tree = os.path.join(work, "tree")
    assert not find(tree)
    assert [f["line"] for f in find(tree, "--rules", rules)] == [1]


def every_layer_of_an_image_is_searched(work):
    values = [("sk_live_" + made(24)) for _ in range(3)]

    def lowest(tar):
        entry(tar, "srv/removed.conf", f"a={values[0]}\n".encode())
        entry(tar, "srv/stays.conf", f"\na={values[1]}\n".encode())

    def top(tar):
        entry(tar, "srv/.wh.removed.conf")
        entry(tar, "srv/new.conf", f"a={values[2]}\n".encode())

    path = os.path.join(work, "image.tar")
    image(path, layer(lowest), layer(top))
    found = {(f["file"], f["line"]): f["subject"] for f in find(path)}
    assert set(found) == {("srv/removed.conf", 1), ("srv/stays.conf", 2), ("srv/new.conf", 1)}
    assert found["srv/removed.conf", 1] == "layer 0.tar, removed or replaced by a later one"
    assert found["srv/stays.conf", 2] == "layer 0.tar", found
    assert found["srv/new.conf", 1] == "layer 1.tar", found
    done = run("scan", "--only", "secrets", path)
    assert not any(value.encode() in done.stdout for value in values)


def large_files_are_passed_over(work):
    write(work, "large.txt", "x" * 3000 + " sk_live_" + made(24))
    assert len(find(work)) == 1
    assert not find(work, "--max-file-size", "2")


def main():
    failed = 0
    for case in (folders_are_searched_and_values_masked, rules_of_the_user_and_comments_count,
                 every_layer_of_an_image_is_searched, large_files_are_passed_over):
        with tempfile.TemporaryDirectory() as work:
            try:
                case(work)
                print(f"[       OK ] {case.__name__}")
            except AssertionError as why:
                failed += 1
                print(f"[  FAILED  ] {case.__name__}: {str(why)[:2000]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
