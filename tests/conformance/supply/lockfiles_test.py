#!/usr/bin/env python3
"""What our parsers find in lock files of other projects, against what those files hold, read here by
other means: Python's own JSON and TOML readers, PyYAML, ElementTree, and short regular expressions.
Usage: lockfiles_test.py DUMP PROJECT"""
import json
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as xml

try:
    import yaml
except ImportError:
    yaml = None

SKIPPED = 77


class Broken(Exception):
    """The file is not what its name says: our parser must say so, too."""


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def load_json(path):
    try:
        root = json.loads(read(path))
    except ValueError as error:
        raise Broken(str(error)) from error
    if not isinstance(root, dict):
        raise Broken("no object")
    return root


def load_toml(path):
    try:
        return tomllib.loads(read(path))
    except tomllib.TOMLDecodeError as error:
        raise Broken(str(error)) from error


def load_yaml(path):
    if yaml is None:
        return None
    try:
        root = yaml.load(read(path), Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise Broken(str(error)) from error
    if root is None or root == "":
        return {}
    if not isinstance(root, dict):
        raise Broken("no map")
    return root


def load_xml(path):
    text = read(path)
    try:
        root = xml.fromstring(text)
    except xml.ParseError as error:
        raise Broken(str(error)) from error
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
    return root


def is_version(text):
    return not re.search(r":|/", text)


# --- One function a kind: the set of (name, version) that the file holds.

def npm(path):
    root = load_json(path)
    found = set()

    def walk(dependencies):
        for name, entry in dependencies.items():
            version = entry["version"]
            alias = re.fullmatch(r"npm:(.+)@([^@]+)", version)
            if alias:
                found.add((alias[1], alias[2]))
            else:
                found.add((name, version if is_version(version) else ""))
            walk(entry.get("dependencies", {}))

    if "packages" in root:
        for place, entry in root["packages"].items():
            if place == "":
                continue
            if entry.get("link"):
                target = root["packages"].get(entry.get("resolved"))
                if target is not None:
                    continue
            name = entry.get("name") or re.split(r"(?:^|/)node_modules/", place)[-1].split(
                "/" if "node_modules/" not in place else "\0")[-1]
            found.add((name, entry.get("version", "")))
    else:
        walk(root.get("dependencies", {}))
    return found


def yarn(path):
    text = read(path)
    found = set()
    berry = "__metadata:" in text
    for block in re.split(r"\n(?=\S)", re.sub(r"(?m)^#.*\n?", "", text)):
        header = block.split("\n")[0].strip()
        version = re.search(r'(?m)^  "?version"?:? "?([^"\n]+)"?$', block)
        if not header.endswith(":") or header == "__metadata:" or not version:
            continue
        if berry:
            resolution = re.search(r'(?m)^  "?resolution"?: "(@?[^@]+)@', block)
            found.add((resolution[1], version[1]))
        else:
            name, _, wanted = re.match(r'"?(@?[^@]+)(@([^",]*))?', header).groups()
            alias = re.match(r"npm:(@?[^@]+)@", wanted or "")
            found.add((alias[1] if alias else name, version[1]))
    return found


def pnpm(path):
    root = load_yaml(path)
    if root is None:
        return None
    if root and not root.get("lockfileVersion"):
        raise Broken("no version")
    old = root.get("lockfileVersion", "").startswith("5")
    found = set()
    for key, entry in (root.get("packages") or {}).items():
        entry = entry or {}
        if "name" in entry:
            found.add((entry["name"], entry["version"]))
            continue
        if old and not re.search(r"^[^/]*@\d", key):
            match = re.fullmatch(r"[^/]*/(@[^/]+/[^/]+|[^/]+)/(\d[^_]*)(_.*)?", key)
        else:
            match = re.fullmatch(r"/?(@?[^@]+)@([^(]+)(\(.*)?", key)
        if match and (match[2][0].isdigit() or not old):
            found.add((match[1], entry.get("version", match[2])))
    return found


def bundler(path):
    found, section, specs = set(), "", False
    for line in read(path).split("\n"):
        if re.match(r"\S", line):
            section, specs = line, False
        elif line == "  specs:":
            specs = section in ("GEM", "GIT", "PATH")
        elif specs:
            match = re.fullmatch(r" {4}(\S+) \(([^)-]+).*\)", line)
            if match:
                found.add((match[1], match[2]))
    return found


def cargo(path):
    return {(p["name"], p["version"]) for p in load_toml(path).get("package", [])}


def python_name(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def poetry(path):
    return {(python_name(n), v) for n, v in cargo(path)}


def pipfile(path):
    root = load_json(path)
    return {(python_name(name), re.sub("^===?", "", entry.get("version", "")))
            for group, entries in root.items() if group != "_meta"
            for name, entry in entries.items()}


def requirements(path):
    """Lines joined as pip does, without options; the version only where it is pinned."""
    text = re.sub(r"\r", "", read(path))
    lines, joined = [], ""
    for line in text.split("\n"):
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            joined += line.rstrip("\\")
            continue
        lines.append(joined + line)
        joined = ""
    lines.append(joined)
    found = set()
    for line in lines:
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line or line.startswith("-"):
            continue
        if re.match(r"[./]|\w+:", line):
            wheel = re.search(r"([^/]+?)-([^/-]+)-[^/]+\.whl$", line)
            if wheel:
                found.add((python_name(wheel[1]), wheel[2]))
            continue
        line = re.split(r"\s--|;", line)[0]
        name, pin = re.match(r"([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*(.*)", line).groups()
        exact = re.search(r"===?\s*([^,\s*]+)\s*(?:,|$)", pin)
        found.add((python_name(name), exact[1] if exact else ""))
    return found


def go_mod(path):
    text = re.sub(r"//.*", "", read(path))
    required, replaced = [], {}
    for block in re.findall(r"(?ms)^require\s*\((.*?)^\)|^require[ \t]+([^(\n]+)$", text):
        for line in "\n".join(block).split("\n"):
            if line.strip():
                required.append(line.split()[:2])
    for block in re.findall(r"(?ms)^replace\s*\((.*?)^\)|^replace[ \t]+([^(\n]+)$", text):
        for line in "\n".join(block).split("\n"):
            if "=>" in line:
                old, new = (side.split() for side in line.split("=>"))
                replaced[tuple(old)] = new
    found = set()
    for name, version in required:
        new = replaced.get((name, version)) or replaced.get((name,)) or [name, version]
        found.add((new[0], new[1].lstrip("v") if len(new) > 1 else ""))
    go = re.search(r"(?m)^go\s+(\S+)", text)
    toolchain = re.search(r"(?m)^toolchain\s+go(\S+)", text)
    if go or toolchain:
        found.add(("stdlib", (toolchain or go)[1]))
    if text.strip() and not required and not go and "module" not in text:
        raise Broken("no directive")
    return found


def maven(path):
    root = load_xml(path)
    if root.tag != "project":
        raise Broken("no project")
    properties = {p.tag: (p.text or "").strip()
                  for p in root.findall("properties/*")}

    def resolve(text):
        for _ in range(9):
            text = re.sub(r"\$\{([^}]+)\}",
                          lambda m: properties.get(m[1], m[0]), text or "").strip()
        return text

    def entry(d):
        version = resolve(d.findtext("version"))
        version = re.split(r"[,\])]", version[1:])[0] if version[:1] in "[(" and version else version
        return f"{resolve(d.findtext('groupId'))}:{resolve(d.findtext('artifactId'))}", version

    used = dict(entry(d) for d in root.findall("dependencies/dependency"))
    managed = dict(entry(d) for d in root.findall("dependencyManagement/dependencies/dependency"))
    return {(n, v or managed.get(n, "")) for n, v in used.items()} | {
        (n, v) for n, v in managed.items() if n not in used}


def gradle(path):
    return set((f"{m[0]}:{m[1]}", m[2]) for m in
               re.findall(r"(?m)^\s*([^#:=\s]+):([^:=\s]+):([^:=\s]+)=", read(path)))


def gradle_verification(path):
    root = load_xml(path)
    return {(f"{c.get('group')}:{c.get('name')}", c.get("version"))
            for c in root.findall("components/component")}


def composer(path):
    root = load_json(path)
    return {(p["name"], p["version"]) for key in ("packages", "packages-dev")
            for p in root[key]}


def nuget(path):
    root = load_json(path)
    return {(name, entry.get("resolved", "")) for framework in root["dependencies"].values()
            for name, entry in framework.items()}


def conan(path):
    root = load_json(path)
    if "graph_lock" in root:
        nodes = root["graph_lock"]["nodes"].values()
        references = [n.get("ref") or n.get("pref") for n in nodes if not n.get("path")]
    else:
        references = sum((root[k] for k in ("requires", "build_requires", "python_requires")), [])
    found = set()
    for reference in references:
        match = re.fullmatch(r"([^/#:@]+)/([^/#:@%]+)([#:@%].*)?", reference or "")
        if match:
            found.add((match[1], match[2]))
    return found


def mix(path):
    text = read(path)
    return set(re.findall(r'(?m)^\s*"(?:[^"]+)":\s*\{:hex,\s*:(\w+),\s*"([^"]+)"', text)) | {
        (name, "") for name in re.findall(r'(?m)^\s*"([^"]+)":\s*\{:(?:git|path),', text)}


def pub(path):
    root = load_yaml(path)
    if root is None:
        return None
    return {(name, p["version"]) for name, p in (root.get("packages") or {}).items()}


def renv(path):
    return {(p["Package"], p["Version"]) for p in load_json(path).get("Packages", {}).values()}


def paragraphs(path):
    return [p for p in re.split(r"\n\s*\n", read(path)) if p.strip()]


def dpkg(path):
    found = set()
    for text in paragraphs(path):
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+):[ \t]*(.*)$", text))
        if fields.get("Package") and fields.get("Version") and \
                fields.get("Status", " installed").endswith(" installed"):
            found.add((fields["Package"], fields["Version"].strip()))
    if not found and read(path).strip():
        raise Broken("no package")
    return found


def apk(path):
    found = set()
    for text in read(path).split("\n\n"):
        fields = dict(re.findall(r"(?m)^([A-Za-z]):(.*)$", text))
        if "P" in fields and "V" in fields:
            found.add((fields["P"], fields["V"]))
    if not found and read(path).strip():
        raise Broken("no package")
    return found


def binary(path):
    if not os.popen("command -v go").read().strip():
        return None
    listing = subprocess.run(["go", "version", "-m", path], capture_output=True, text=True,
                             check=True).stdout
    found = {("stdlib", re.search(r": go(\S+)", listing)[1])}
    for kind, name, version in re.findall(r"(?m)^\t(dep|mod)\t(\S+)\t(\S+)", listing):
        found.add((name, "" if version == "(devel)" else version.lstrip("v")))
    return found


FOLDERS = {
    "apk": ("apk", apk), "bundler": ("bundler", bundler), "cargo": ("cargo", cargo),
    "composer": ("composer", composer), "conan": ("conan", conan), "dpkg": ("dpkg", dpkg),
    "go": ("go-mod", go_mod), "go/binaries": ("binary", binary), "gradle": ("gradle", gradle),
    "gradle-verification-metadata": ("gradle-verification", gradle_verification),
    "maven": ("maven", maven), "mix": ("mix", mix), "npm": ("npm", npm), "nuget": ("nuget", nuget),
    "pdm": ("pdm", poetry), "pip": ("requirements", requirements),
    "pipenv": ("pipfile", pipfile), "pnpm": ("pnpm", pnpm), "poetry": ("poetry", poetry),
    "pub": ("pub", pub), "renv": ("renv", renv), "yarn": ("yarn", yarn),
}
# Formats of one scanner, not of an ecosystem.
NOT_OURS = {"csv", "osvscannerresults"}


def compare(dump, kind, expect, path):
    """True, False, or None when there is nothing to compare with."""
    got = json.loads(subprocess.run([dump, kind, path], check=True, capture_output=True).stdout)
    listed = {(c["name"], c["version"]) for c in got["components"]}
    try:
        wanted = expect(path)
    except Broken as reason:
        good = got["error"] != "" and not listed
        if not good:
            print(f"# {path}: is broken ({reason}), and no error was given: {listed}")
        return good
    if wanted is None:
        return None
    # What Python cannot tell: an empty file is an empty list.
    if got["error"] and wanted:
        print(f"# {path}: {got['error']}")
        return False
    if listed != wanted:
        print(f"# {path}: missing {sorted(wanted - listed)}, too many {sorted(listed - wanted)}")
        return False
    lines = read_lines(path)
    for c in got["components"]:
        if kind not in ("binary",) and not 1 <= c["line"] <= lines:
            print(f"# {path}: {c['name']} has line {c['line']} of {lines}")
            return False
    return True


def read_lines(path):
    with open(path, "rb") as file:
        return file.read().count(b"\n") + 1


def main():
    dump, project = sys.argv[1:3]
    data = os.environ.get("SALLYPORT_TEST_DATA") or os.path.join(project, "../shared/data")
    top = os.path.join(data, "lockfiles")
    if not os.path.isdir(top):
        print(f"{top} is not there: skipped")
        return SKIPPED
    failed = passed = without = 0
    folders = {os.path.relpath(f, top) for f, _, names in os.walk(top) if names}
    unknown = folders - set(FOLDERS) - NOT_OURS - {"."}
    if unknown:
        print(f"# folders that no parser is named for: {sorted(unknown)}")
        failed += 1
    for folder, (kind, expect) in sorted(FOLDERS.items()):
        for name in sorted(os.listdir(os.path.join(top, folder))):
            path = os.path.join(top, folder, name)
            if not os.path.isfile(path):
                continue
            result = compare(dump, kind, expect, path)
            failed += result is False
            passed += result is True
            without += result is None
    print(f"{passed} files agree, {failed} differ, {without} have nothing to compare with")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
