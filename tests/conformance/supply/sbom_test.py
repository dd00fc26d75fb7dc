#!/usr/bin/env python3
"""The program's SBOMs of the applications in the test data: the same bytes each time, the same
components after each form, and valid by the official JSON Schemas, where those are at hand:
$SALLYPORT_SBOM_SCHEMAS is a folder with bom-1.6.SNAPSHOT.schema.json and what it refers to (of the
CycloneDX library for JavaScript), spdx-2.3.json and spdx-3.0.json (of the SPDX specification).
Usage: sbom_test.py SALLYPORT PROJECT"""
import json
import os
import subprocess
import sys
import tempfile

SKIPPED = 77
FORMS = ("cyclonedx", "spdx", "spdx3")


def sbom(program, form, path, *more):
    done = subprocess.run([program, "sbom", "--format", form, *more, path], capture_output=True,
                          check=False, env={k: v for k, v in os.environ.items()
                                            if k != "SOURCE_DATE_EPOCH"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def validators():
    """By form; empty without schemas or the Python package."""
    folder = os.environ.get("SALLYPORT_SBOM_SCHEMAS")
    try:
        import jsonschema
        import referencing
    except ImportError:
        return {}
    if not folder:
        return {}

    def load(name):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return json.load(file)

    registry = referencing.Registry()
    for name in os.listdir(folder):
        if name.endswith(".SNAPSHOT.schema.json"):
            resource = referencing.Resource.from_contents(
                load(name), default_specification=referencing.jsonschema.DRAFT7)
            registry = registry.with_resource("http://cyclonedx.org/schema/" + name, resource)
    return {"cyclonedx": jsonschema.Draft7Validator(load("bom-1.6.SNAPSHOT.schema.json"),
                                                    registry=registry),
            "spdx": jsonschema.Draft7Validator(load("spdx-2.3.json")),
            "spdx3": jsonschema.Draft202012Validator(load("spdx-3.0.json"))}


def check(program, path, schemas, work):
    first = sbom(program, "cyclonedx", path)
    assert first == sbom(program, "cyclonedx", path), "the bytes differ"
    components = {c["bom-ref"] for c in json.loads(first)["components"]}
    assert components
    for form in FORMS:
        document = sbom(program, form, path)
        if form in schemas:
            schemas[form].validate(json.loads(document))
        name = os.path.join(work, form + ".json")
        with open(name, "wb") as file:
            file.write(document)
        again = json.loads(sbom(program, "cyclonedx", name))
        assert {c["bom-ref"] for c in again["components"]} == components, form
        assert again["dependencies"] == json.loads(first)["dependencies"], form
    stamped = json.loads(sbom(program, "cyclonedx", path, "--timestamp", "1000000000"))
    assert stamped["metadata"]["timestamp"] == "2001-09-09T01:46:40Z"
    pretty = sbom(program, "cyclonedx", path, "--pretty")
    assert json.loads(pretty) == json.loads(first) and b"\n  " in pretty


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
        schemas = validators()
        # The validators of Python take minutes for the large ones.
        small = os.path.join(apps, "kubernetes-goat", "platforms")
        check(program, small, schemas, work)
        print("valid by the official schemas" if schemas else "no schemas at hand")
        for app in sorted(os.listdir(apps)):
            check(program, os.path.join(apps, app), {}, work)
            print(f"{app}: good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
