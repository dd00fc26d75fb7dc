"""The language server with a real editor: Neovim, headless, does what editor.lua says.

Usage: editor_test.py SALLYPORT
"""
import json
import os
import random
import shutil
import string
import subprocess
import sys
import tempfile

SKIPPED = 77

ADVISORY = {
    "id": "GHSA-1", "modified": "2024-01-01T00:00:00Z", "summary": "everything is lost",
    "severity": [{"type": "CVSS_V3",
                  "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "affected": [{"package": {"ecosystem": "npm", "name": "a"},
                  "ranges": [{"type": "SEMVER",
                              "events": [{"introduced": "0"}, {"fixed": "1.2.4"}]}]}],
}


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)


def main():
    program = os.path.abspath(sys.argv[1])
    editor = shutil.which("nvim")
    if not editor:
        print("nvim is not there: skipped")
        return SKIPPED
    with tempfile.TemporaryDirectory() as work:
        write(work, "advisory.json", json.dumps(ADVISORY))
        subprocess.run([program, "db", "import", "--database", work + "/advisories.db",
                        work + "/advisory.json"], check=True, stdout=subprocess.DEVNULL)
        # A character of two bytes stands before the version: places count in UTF-16.
        write(work, "package.json", '{\n  "name": "x",\n  "dependencies": {\n'
              '    "größe": "1.0.0", "a": "^1.2.3",\n    "b": "1.0.0"\n  }\n}\n')
        write(work, "package-lock.json", '{\n  "packages": [}\n')
        os.mkdir(os.path.join(work, "locked"))
        write(work, "locked/package-lock.json", '{\n "lockfileVersion": 3,\n "packages": {\n'
              '  "node_modules/a": {"version": "1.2.3"}\n }\n}\n')
        write(work, "Dockerfile", "FROM debian:12\nRUN sudo id\nUSER a\n")
        made = "".join(random.choices(string.ascii_letters + string.digits, k=24))
        write(work, "settings.env", "# made up\nAPI_TOKEN=sk_live_" + made + "\n")
        done = subprocess.run(
            [editor, "--headless", "-u", "NONE", "-i", "NONE", "-n", "-c",
             "luafile " + os.path.join(os.path.dirname(os.path.abspath(__file__)), "editor.lua")],
            env={**os.environ, "WORK": work, "PROGRAM": program, "HOME": work,
                 "XDG_STATE_HOME": work, "XDG_CACHE_HOME": work}, cwd=work, timeout=240,
            stdin=subprocess.DEVNULL, capture_output=True, check=False)
    print(done.stdout.decode(errors="replace"))
    print(done.stderr.decode(errors="replace"))
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
