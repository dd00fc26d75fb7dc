#!/usr/bin/env python3
"""The program's SBOMs of the applications in the test data: the same bytes each time, the same
components after each form, and valid by the official JSON Schemas, or by what is known of them where
they are absent (see schemas.py). Usage: sbom_test.py SALLYPORT PROJECT"""
import json
import os
import subprocess
import sys
import tempfile

from schemas import shape_of_spdx, shape_of_spdx3, validate

SKIPPED = 77
FORMS = ("cyclonedx", "spdx", "spdx3")
SHAPES = {"spdx": shape_of_spdx, "spdx3": shape_of_spdx3}


def sbom(program, form, path, *more):
    done = subprocess.run([program, "sbom", "--format", form, *more, path], capture_output=True,
                          check=False, env={k: v for k, v in os.environ.items()
                                            if k != "SOURCE_DATE_EPOCH"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(program, path, work):
    """Checks all forms, and returns the files, as schemas.py wants them."""
    first = sbom(program, "cyclonedx", path)
    assert first == sbom(program, "cyclonedx", path), "the bytes differ"
    components = {c["bom-ref"] for c in json.loads(first)["components"]}
    assert components
    files = []
    for form in FORMS:
        document = sbom(program, form, path)
        if form in SHAPES:
            SHAPES[form](json.loads(document))
        name = os.path.join(work, f"{os.path.basename(path)}.{form}.json")
        with open(name, "wb") as file:
            file.write(document)
        files.append(f"{form}={name}")
        again = json.loads(sbom(program, "cyclonedx", name))
        assert {c["bom-ref"] for c in again["components"]} == components, form
        assert again["dependencies"] == json.loads(first)["dependencies"], form
    stamped = json.loads(sbom(program, "cyclonedx", path, "--timestamp", "1000000000"))
    assert stamped["metadata"]["timestamp"] == "2001-09-09T01:46:40Z"
    pretty = sbom(program, "cyclonedx", path, "--pretty")
    assert json.loads(pretty) == json.loads(first) and b"\n  " in pretty
    return files


def check_statuses(program, work):
    def status(*words):
        return subprocess.run([program, "sbom", *words], capture_output=True, check=False)

    broken = os.path.join(work, "broken")
    os.mkdir(broken)
    with open(os.path.join(broken, "poetry.lock"), "w", encoding="ascii") as file:
        file.write("\n[[package]\n")
    assert status(os.path.join(work, "absent")).returncode == 1
    assert status("--format", "none", broken).returncode == 2
    told = status(broken)
    assert told.returncode == 0 and b"poetry.lock:2: warning: " in told.stderr
    assert status("--strict", broken).returncode == 1
    output = os.path.join(work, "out.json")
    assert status("--output", output, broken).stdout == b""
    with open(output, "rb") as file:
        assert file.read() == told.stdout


def main():
    program, project = sys.argv[1:3]
    data = os.environ.get("SALLYPORT_TEST_DATA") or os.path.join(project, "../shared/data")
    apps = os.path.join(data, "apps")
    with tempfile.TemporaryDirectory() as work:
        check_statuses(program, work)
        if not os.path.isdir(apps):
            print(f"{apps} is not there: skipped")
            return SKIPPED
        files = []
        for app in sorted(os.listdir(apps)):
            files += check(program, os.path.join(apps, app), work)
            print(f"{app}: good")
        validate(project, files)
    return 0


if __name__ == "__main__":
    sys.exit(main())
