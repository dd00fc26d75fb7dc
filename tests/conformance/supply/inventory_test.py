#!/usr/bin/env python3
"""Inventories of folders, root file systems, images and archives that are made here, by the real
tools' own libraries where there are some.
Usage: inventory_test.py DUMP"""
import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
import zlib

DUMP = None
LOCK = '{"packages":{"node_modules/left-pad":{"version":"1.3.0"}}}'
OS_RELEASE = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian"\n'


def dpkg(*packages):
    return "".join(f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
                   f"Version: {version}\n\n" for name, version in packages)


def rpm_header(name, version, release, epoch=None, files=(), source=None, arch="x86_64"):
    """A header as RPM stores it: entries of tag, type, offset, count, then the data."""
    entries, data = [], b""

    def strings(tag, values, kind):
        nonlocal data
        entries.append((tag, kind, len(data), len(values)))
        data += b"".join(v.encode() + b"\0" for v in values)

    def numbers(tag, values):
        nonlocal data
        data += b"\0" * (-len(data) % 4)
        entries.append((tag, 4, len(data), len(values)))
        data += struct.pack(f">{len(values)}I", *values)

    strings(1000, [name], 6)
    strings(1001, [version], 6)
    strings(1002, [release], 6)
    strings(1014, ["MIT"], 6)
    strings(1022, [arch], 6)
    if source:
        strings(1044, [source], 6)
    if epoch is not None:
        numbers(1003, [epoch])
    strings(1047, [name, f"lib{name}.so"], 8)
    strings(1049, ["libopenssl.so"], 8)
    folders = sorted({os.path.dirname(f) + "/" for f in files})
    if files:
        numbers(1116, [folders.index(os.path.dirname(f) + "/") for f in files])
        strings(1117, [os.path.basename(f) for f in files], 8)
        strings(1118, folders, 8)
    index = b"".join(struct.pack(">4I", *e) for e in entries)
    return struct.pack(">2I", len(entries), len(data)) + index + data


def rpm_sqlite(path, headers):
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=wal")
    db.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    db.executemany("INSERT INTO Packages (blob) VALUES (?)", [(h,) for h in headers])
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def rpm_ndb(headers):
    slots, blobs = b"", b""
    at = 4096
    for number, header in enumerate(headers, 1):
        blob = struct.pack("<4I", 0x53626C42, number, 1, len(header)) + header
        blob += b"\0" * (-len(blob) % 16)
        slots += struct.pack("<4I", 0x746F6C53, number, at // 16, len(blob) // 16)
        blobs += blob
        at += len(blob)
    free = struct.pack("<4I", 0x746F6C53, 0, 0, 0)
    slots += free * ((4096 - 32 - len(slots)) // 16)
    return struct.pack("<8I", 0x506D7052, 0, 1, 1, 0, 0, 0, 0) + slots + blobs


def jar(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def pom(group, artifact, version):
    return {f"META-INF/maven/{group}/{artifact}/pom.properties":
            f"version={version}\ngroupId={group}\nartifactId={artifact}\n"}


def layer(files, mode=0o644, links=None):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return out.getvalue()


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def config_of(layers):
    history = [{"created_by": f"step {i}"} for i in range(len(layers))]
    history.insert(1, {"created_by": "ENV", "empty_layer": True})
    return json.dumps({"rootfs": {"diff_ids": [digest(layer) for layer in layers]},
                       "history": history}).encode()


def oci_files(layers, pack):
    blobs = {}

    def put(content):
        blobs["blobs/sha256/" + digest(content)[7:]] = content
        return {"digest": digest(content), "size": len(content)}

    manifest = json.dumps({"config": put(config_of(layers)),
                           "layers": [put(pack(content)) for content in layers]}).encode()
    index = json.dumps({"manifests": [put(manifest)]}).encode()
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index, **blobs}


def docker_files(layers):
    config = config_of(layers)
    names = [f"{i:064x}/layer.tar" for i in range(len(layers))]
    manifest = [{"Config": digest(config)[7:] + ".json", "RepoTags": ["shop.example/app:1.2"],
                 "Layers": names}]
    return {digest(config)[7:] + ".json": config, "manifest.json": json.dumps(manifest),
            **dict(zip(names, layers))}


class Inventory(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp()

    def tearDown(self):
        shutil.rmtree(self.top)

    def write(self, name, content, mode=0o644):
        path = os.path.join(self.top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(path, mode)
        return path

    def scan(self, path=None):
        output = subprocess.run([DUMP, "scan", path or self.top], check=True,
                                capture_output=True).stdout
        self.got = json.loads(output)
        self.assertEqual(self.got["error"], "")
        return {(c["file"], c["name"], c["version"]): c for c in self.got["components"]}

    # --- Folders.

    def test_a_checkout_is_walked_in_order_without_git_and_node_modules(self):
        self.write("b/package-lock.json", LOCK)
        self.write("a/Cargo.lock", '[[package]]\nname="x"\nversion="1"\nsource="r"\n')
        self.write(".git/package-lock.json", LOCK)
        self.write("node_modules/y/package.json", '{"name":"y","version":"1"}')
        found = self.scan()
        self.assertEqual(list(found), [("a/Cargo.lock", "x", "1"),
                                       ("b/package-lock.json", "left-pad", "1.3.0")])

    def test_old_lock_files_of_gradle_are_found_by_their_folder(self):
        self.write("a/gradle/dependency-locks/compile.lockfile", "# made\norg.a:b:1.0\n")
        self.write("a/other.lockfile", "org.a:c:1.0\n")
        self.assertEqual([k[1] for k in self.scan()], ["org.a:b"])

    def test_links_lead_nowhere(self):
        outside = tempfile.mkdtemp()
        try:
            with open(os.path.join(outside, "package-lock.json"), "w", encoding="ascii") as file:
                file.write(LOCK)
            os.symlink(outside, os.path.join(self.top, "folder"))
            os.symlink(os.path.join(outside, "package-lock.json"),
                       os.path.join(self.top, "yarn.lock"))
            self.write("requirements.txt", "-r ../../etc/hostname\n-r link.txt\n-r more.txt\na==1\n")
            self.write("more.txt", "b==2\n")
            os.symlink("/etc/hostname", os.path.join(self.top, "link.txt"))
            os.mkfifo(os.path.join(self.top, "poetry.lock"))
            found = self.scan()
            self.assertEqual({k[:2] for k in found}, {("requirements.txt", "a"),
                                                      ("more.txt", "b")})
            self.assertEqual([p[0] for p in self.got["problems"]], ["link.txt"])
        finally:
            shutil.rmtree(outside)

    def test_a_broken_file_is_told_with_its_line_and_the_others_are_read(self):
        self.write("a/package-lock.json", "{\n\n!")
        self.write("b/package-lock.json", LOCK)
        self.assertEqual(len(self.scan()), 1)
        self.assertEqual(self.got["problems"][0][:2], ["a/package-lock.json", 3])

    def test_go_sum_counts_only_for_old_modules(self):
        self.write("old/go.mod", "module a\n\ngo 1.16\n")
        self.write("old/go.sum", "x.example/y v1.0.0 h1:aa=\n")
        self.write("new/go.mod", "module b\n\ngo 1.20\n")
        self.write("new/go.sum", "x.example/y v1.0.0 h1:aa=\n")
        found = self.scan()
        self.assertIn(("old/go.sum", "x.example/y", "1.0.0"), found)
        self.assertNotIn(("new/go.sum", "x.example/y", "1.0.0"), found)

    # --- Archives and programs.

    def test_jars_in_jars_are_opened(self):
        inner = jar(pom("org.a", "inner", "2.0"))
        guessed = jar({"META-INF/MANIFEST.MF": "Bundle-SymbolicName: org.b.bare;x=y\n"})
        self.write("app.jar", jar({**pom("org.a", "app", "1.0"), "BOOT-INF/lib/inner.jar": inner,
                                   "BOOT-INF/lib/bare-3.1.jar": guessed}))
        found = self.scan()
        self.assertEqual(set(found), {
            ("app.jar", "org.a:app", "1.0"),
            ("app.jar!/BOOT-INF/lib/inner.jar", "org.a:inner", "2.0"),
            ("app.jar!/BOOT-INF/lib/bare-3.1.jar", "org.b:bare", "3.1")})

    def test_archives_tell_their_licences(self):
        licences = ("<project><licenses><license><name>The MIT License</name></license><license>"
                    "<name>EPL-2.0</name></license></licenses></project>")
        self.write("a.jar", jar({"META-INF/maven/org.a/a/pom.xml": licences,
                                 **pom("org.a", "a", "1")}))
        self.write("b-1.0.jar", jar({"META-INF/MANIFEST.MF": "Bundle-SymbolicName: org.b.b\n"
                                     "Bundle-License: Apache-2.0;link=\"x\"\n"}))
        self.write("c.jar", jar({**pom("org.c", "c", "1"), "META-INF/maven/org.c/c/pom.xml": "<a",
                                 "META-INF/MANIFEST.MF": "Bundle-License: https://c.example\n"}))
        found = {k[1]: c["licence"] for k, c in self.scan().items()}
        self.assertEqual(found, {"org.a:a": "MIT OR EPL-2.0", "org.b:b": "Apache-2.0",
                                 "org.c:c": ""})

    def test_archives_nested_too_deeply_and_broken_ones_are_problems(self):
        content = jar(pom("org.a", "core", "1"))
        for depth in range(8):
            content = jar({f"{depth}.jar": content})
        self.write("deep.jar", content)
        self.write("broken.jar", b"PK\x03\x04 no archive")
        self.assertEqual(self.scan(), {})
        told = {p[0].split("!")[0] for p in self.got["problems"]}
        self.assertEqual(told, {"deep.jar", "broken.jar"})

    def test_crates_of_an_auditable_program_are_found(self):
        crates = {"packages": [
            {"name": "app", "version": "0.1.0", "source": "local", "root": True,
             "dependencies": [1]},
            {"name": "rand", "version": "0.8.5", "source": "registry"}]}
        section = zlib.compress(json.dumps(crates).encode())
        names = b"\0.dep-v0\0.shstrtab\0"
        at = 64
        table = at + len(section) + len(names)
        header = (b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack(
            "<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, table, 0, 64, 56, 0, 64, 3, 2))
        sections = b"\0" * 64 + struct.pack(
            "<IIQQQQIIQQ", 1, 1, 0, 0, at, len(section), 0, 0, 1, 0) + struct.pack(
            "<IIQQQQIIQQ", 9, 3, 0, 0, at + len(section), len(names), 0, 0, 1, 0)
        program = header + section + names + sections
        self.write("bin/app", program + b"\0" * 70000, 0o755)
        found = self.scan()
        self.assertEqual(found[("bin/app", "rand", "0.8.5")]["relation"], 1)
        self.assertTrue(found[("bin/app", "app", "0.1.0")]["local"])
        self.assertEqual(self.got["problems"], [])

    # --- Root file systems.

    def test_language_packages_of_the_system_have_their_owner(self):
        self.write("etc/os-release", OS_RELEASE)
        self.write("var/lib/dpkg/status", dpkg(("python3-yaml", "6.0-3"), ("bash", "5.2")))
        self.write("var/lib/dpkg/info/python3-yaml.list",
                   "/.\n/usr/lib/python3/dist-packages/PyYAML-6.0.egg-info\n")
        self.write("usr/lib/python3/dist-packages/PyYAML-6.0.egg-info",
                   "Metadata-Version: 2.1\nName: PyYAML\nVersion: 6.0\n\nText\n")
        self.write("usr/local/lib/python3/site-packages/requests-2.0.dist-info/METADATA",
                   "Name: requests\nVersion: 2.0\nLicense-Expression: Apache-2.0\n\n")
        found = {k[1]: c for k, c in self.scan().items()}
        self.assertEqual(found["pyyaml"]["owner"], "python3-yaml")
        self.assertEqual(found["requests"]["owner"], "")
        self.assertEqual(found["requests"]["licence"], "Apache-2.0")
        self.assertEqual(found["bash"]["purl"],
                         "pkg:deb/debian/bash@5.2?arch=amd64&distro=debian-12")

    def test_licences_of_debian_packages_are_in_their_copyright_files(self):
        self.write("etc/os-release", OS_RELEASE)
        self.write("var/lib/dpkg/status", dpkg(("bash", "5.2"), ("silent", "1")) +
                   "Package: bash-doc\nStatus: install ok installed\nSource: bash\n"
                   "Version: 5.2\n")
        self.write("usr/share/doc/bash/copyright",
                   "Format: 1.0\n\nFiles: *\nLicense: GPL-3+ or Expat\n")
        found = {k[1]: c["licence"] for k, c in self.scan().items()}
        self.assertEqual(found, {"bash": "GPL-3.0-or-later OR MIT", "silent": "",
                                 "bash-doc": "GPL-3.0-or-later OR MIT"})

    def test_installed_packages_are_linked_to_those_that_require_them(self):
        site, gems = "usr/lib/python3/dist-packages/", "var/lib/gems/3.1.0/specifications/"
        self.write("etc/os-release", OS_RELEASE)
        self.write(site + "Flask-2.dist-info/METADATA",
                   "Name: Flask\nVersion: 2\nRequires-Dist: My_Click[x] (>=8) ; python > 3\n"
                   "Requires-Dist: tests ; extra == 'x'\nRequires-Dist: absent\n\n"
                   "Requires-Dist: tests\n")
        for name in ("my.click", "tests"):
            self.write(f"{site}{name}-8.dist-info/METADATA", f"Name: {name}\nVersion: 8\n\n")
        self.write("opt/venv/my_click-7.egg-info", "Name: my-click\nVersion: 7\n\n")
        modules = "app/node_modules/"
        for place, more in (("a", {"dependencies": {"b": "2"}}), ("a/node_modules/b", {}),
                            ("b", {}), ("@s/c", {"dependencies": {"b": "1"}})):
            self.write(f"{modules}{place}/package.json", json.dumps(
                {"name": place.split("node_modules/")[-1], "version": str(len(place)), **more}))
        self.write(gems + "rails-7.gemspec", 's.name = "rails".freeze\ns.version = "7"\n'
                   's.add_runtime_dependency(%q<rack>.freeze, ["~> 2"])\n')
        self.write(gems + "rack-2.gemspec", 's.name = "rack"\ns.version = "2"\n')
        found = {k[1:]: c for k, c in self.scan().items()}

        def purls(*keys):
            return [found[key]["purl"] for key in keys]

        self.assertEqual(found["flask", "2"]["requires"], purls(("my-click", "8")))
        self.assertEqual(found["a", "1"]["requires"], purls(("b", str(len("a/node_modules/b")))))
        self.assertEqual(found["@s/c", "4"]["requires"], purls(("b", "1")))
        self.assertEqual(found["rails", "7"]["requires"], purls(("rack", "2")))
        direct = {k for k, c in found.items() if c["relation"] == 1}
        self.assertEqual(direct, {("flask", "2"), ("tests", "8"), ("my-click", "7"), ("a", "1"),
                                  ("@s/c", "4"), ("rails", "7")})

    def test_apk_packages_own_files(self):
        self.write("etc/os-release", "ID=alpine\nVERSION_ID=3.18.4\n")
        self.write("lib/apk/db/installed",
                   "P:py3-six\nV:1.16.0-r6\nA:x86_64\nL:MIT\no:six\nD:python3\n"
                   "F:usr/lib/python3.11/site-packages/six-1.16.0.dist-info\nR:METADATA\n\n"
                   "P:python3\nV:3.11.6-r0\np:py3=3.11\n\n")
        self.write("usr/lib/python3.11/site-packages/six-1.16.0.dist-info/METADATA",
                   "Name: six\nVersion: 1.16.0\n\n")
        found = {k[1]: c for k, c in self.scan().items()}
        self.assertEqual(found["six"]["owner"], "py3-six")
        self.assertEqual(found["py3-six"]["source"], "six")
        self.assertEqual(found["py3-six"]["requires"], [found["python3"]["purl"]])

    def rpm_expectations(self):
        found = {k[1]: c for k, c in self.scan().items()}
        self.assertEqual(set(found), {"openssl", "python3-six", "six"})
        self.assertEqual(found["openssl"]["version"], "1:3.0.7-2.el9")
        self.assertEqual(found["openssl"]["source"], "openssl-src")
        self.assertEqual(found["openssl"]["source_version"], "3.0.7-2.el9")
        self.assertEqual(found["openssl"]["purl"],
                         "pkg:rpm/rocky/openssl@3.0.7-2.el9?arch=x86_64&distro=rocky-9.3"
                         "&epoch=1&upstream=openssl-src%403.0.7-2.el9")
        self.assertEqual(found["six"]["owner"], "python3-six")
        self.assertEqual(found["python3-six"]["requires"], [found["openssl"]["purl"]])

    def rpm_root(self):
        self.write("etc/os-release", "ID=rocky\nVERSION_ID=9.3\n")
        self.write("usr/lib/python3/site-packages/six-1.dist-info/METADATA",
                   "Name: six\nVersion: 1\n\n")
        return [rpm_header("openssl", "3.0.7", "2.el9", 1, (), "openssl-src-3.0.7-2.el9.src.rpm"),
                rpm_header("gpg-pubkey", "1", "2"),
                rpm_header("python3-six", "1.15", "9.el9",
                           files=["/usr/bin/six", "/usr/lib/python3/site-packages/"
                                  "six-1.dist-info/METADATA"])]

    def test_rpm_in_sqlite(self):
        headers = self.rpm_root()
        os.makedirs(os.path.join(self.top, "var/lib/rpm"))
        rpm_sqlite(os.path.join(self.top, "var/lib/rpm/rpmdb.sqlite"), headers)
        self.rpm_expectations()

    def test_rpm_in_ndb(self):
        headers = self.rpm_root()
        self.write("usr/lib/sysimage/rpm/Packages.db", rpm_ndb(headers))
        self.rpm_expectations()

    def test_rpm_in_berkeley_db_is_said_to_be_unsupported(self):
        self.rpm_root()
        self.write("var/lib/rpm/Packages", b"\0" * 4096)
        self.scan()
        self.assertIn("Berkeley DB", self.got["problems"][0][2])

    # --- Images.

    def layers(self):
        base = layer({"usr/lib/os-release": OS_RELEASE,
                      "var/lib/dpkg/status": dpkg(("base", "1"), ("libc6", "2.36")),
                      "old/package-lock.json": LOCK, "gone/a/package-lock.json": LOCK,
                      "opaque/package-lock.json": LOCK, "kept/package-lock.json": LOCK,
                      "replaced/package-lock.json": LOCK})
        middle = layer({"./var/lib/dpkg/status":
                        dpkg(("base", "1"), ("libc6", "2.37"), ("curl", "8")),
                        "old/.wh.package-lock.json": "", ".wh.gone": "",
                        "opaque/.wh..wh..opq": "",
                        "opaque/Cargo.lock": '[[package]]\nname="new"\nversion="1"\nsource="r"\n',
                        "../escape/package-lock.json": LOCK})
        top = layer({"app/package-lock.json": LOCK}, links={"replaced": "kept"})
        return [base, middle, top]

    def image_expectations(self, path):
        found = {(k[0], k[1]): c for k, c in self.scan(path).items()}
        self.assertEqual({k: c["layer"] for k, c in found.items()}, {
            ("var/lib/dpkg/status", "base"): 0, ("var/lib/dpkg/status", "libc6"): 1,
            ("var/lib/dpkg/status", "curl"): 1, ("opaque/Cargo.lock", "new"): 1,
            ("kept/package-lock.json", "left-pad"): 0,
            ("app/package-lock.json", "left-pad"): 2})
        self.assertIn("distro=debian-12", found[("var/lib/dpkg/status", "curl")]["purl"])
        self.assertEqual(self.got["problems"], [])

    def test_an_oci_layout_with_gzip_and_without(self):
        for pack in (lambda content: content, lambda content: gzip.compress(content)):
            for name, content in oci_files(self.layers(), pack).items():
                self.write(name, content)
            self.image_expectations(self.top)

    def test_an_oci_layout_with_zstd(self):
        if not shutil.which("zstd"):
            self.skipTest("there is no zstd")
        files = oci_files(self.layers(), lambda content: subprocess.run(
            ["zstd", "-c"], input=content, capture_output=True, check=True).stdout)
        self.image_expectations(self.write("image.tar", layer(files)))

    def test_archives_of_docker_save_compressed_or_not(self):
        content = layer(docker_files(self.layers()))
        self.image_expectations(self.write("image.tar", content))
        self.image_expectations(self.write("image.tar.gz", gzip.compress(content)))

    def test_links_to_layers_in_old_archives(self):
        files = docker_files(self.layers())
        names = json.loads(files["manifest.json"])[0]["Layers"]
        first = files.pop(names[0])
        content = layer({**files, "real/layer.tar": first}, links={names[0]: "../real/layer.tar"})
        self.image_expectations(self.write("image.tar", content))

    def test_a_broken_layer_is_a_problem_and_the_others_are_read(self):
        layers = self.layers()
        layers[1] = b"no tar archive at all" * 100
        found = self.scan(self.write("image.tar", layer(docker_files(layers))))
        self.assertEqual(len(self.got["problems"]), 1)
        self.assertIn(("app/package-lock.json", "left-pad", "1.3.0"), found)

    def test_what_is_no_image_says_so(self):
        path = self.write("image.tar", layer({"a": "b"}))
        got = json.loads(subprocess.run([DUMP, "scan", path], check=True,
                                        capture_output=True).stdout)
        self.assertIn("manifest.json", got["error"])

    def test_paths_that_are_not_there(self):
        got = json.loads(subprocess.run([DUMP, "scan", os.path.join(self.top, "no")], check=True,
                                        capture_output=True).stdout)
        self.assertIn("No such file", got["error"])


if __name__ == "__main__":
    DUMP = sys.argv.pop(1)
    unittest.main()
