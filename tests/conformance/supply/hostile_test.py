#!/usr/bin/env python3
"""Foreign files do nothing but being read: bombs, path tricks, links, devices, endless nesting.

Each case makes a file or folder, runs the program on it within limits, and looks at status and
report. Usage: hostile_test.py SALLYPORT
"""
import gzip
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib

PROGRAM = os.path.abspath(sys.argv[1])
SANITIZED = os.environ.get("SALLYPORT_SANITIZED") == "1"
LOCK = b'{"packages":{"":{},"node_modules/%s":{"version":"1.0.0"}}}'
DEADLINE = 120


def run(*words, **more):
    return subprocess.run([PROGRAM, *words], capture_output=True, timeout=DEADLINE, check=False,
                          stdin=subprocess.DEVNULL, **more)


def scan(path, *options, only="config"):
    """A scan without a database: what is checked is told as findings and problems."""
    done = run("scan", "--only", only, "--format", "json", "--fail-on", "none",
               "--no-shellcheck", *options, path)
    return done, json.loads(done.stdout) if done.stdout.startswith(b"{") else {}


def names(path, *options):
    done = run("sbom", *options, path)
    assert done.returncode == 0, done.stderr
    return sorted(c["name"] for c in json.loads(done.stdout).get("components", [])), done.stderr


def entry(tar, name, data=b"", **more):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def layer(fill):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        fill(tar)
    return out.getvalue()


def image(path, *layers):
    """An archive as `docker save` writes it."""
    with tarfile.open(path, "w") as tar:
        for i, data in enumerate(layers):
            entry(tar, f"{i}.tar", data)
        entry(tar, "config.json", json.dumps({"config": {}, "rootfs": {"diff_ids": []}}).encode())
        entry(tar, "manifest.json", json.dumps([{
            "Config": "config.json", "RepoTags": ["a:1"],
            "Layers": [f"{i}.tar" for i in range(len(layers))]}]).encode())


def zstd_zeros(head, blocks):
    """A frame of these bytes and so many blocks of 128 KiB zeros: four bytes each."""
    raw = struct.pack("<I", len(head) << 3)[:3] + head
    zeros = struct.pack("<I", 131072 << 3 | 1 << 1)[:3] + b"\0"
    last = struct.pack("<I", 131072 << 3 | 1 << 1 | 1)[:3] + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x58" + raw + zeros * (blocks - 1) + last


def tar_of_zeros_head(size):
    """The header of a file of `size` bytes; the zeros are the caller's."""
    info = tarfile.TarInfo("zeros")
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def bombs_in_layers(work):
    gz = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = gz.compress(tar_of_zeros_head(256 << 20))
    piece = bytes(1 << 20)
    for _ in range(256):
        packed += gz.compress(piece)
    packed += gz.flush()
    for name, data in (("gzip", packed), ("zstd", zstd_zeros(tar_of_zeros_head(256 << 20), 2049))):
        path = os.path.join(work, name + ".tar")
        image(path, data)
        done, report = scan(path, "--max-unpacked", "16", only="secrets")
        assert done.returncode == 0, done.stderr
        assert report["problems"], (name, report)
        done, _ = scan(path, "--max-unpacked", "16", "--strict", only="secrets")
        assert done.returncode == 2, done.returncode


def a_packed_image_that_is_a_bomb(work):
    path = os.path.join(work, "image.tar.gz")
    with gzip.open(path, "wb", 9) as out:
        for _ in range(256):
            out.write(bytes(1 << 20))
    done, _ = scan(path, "--max-unpacked", "16", only="secrets")
    assert done.returncode == 2 and b"unpacks to more" in done.stderr, done.stderr


def bombs_in_java_archives(work):
    folder = os.path.join(work, "jars")
    os.mkdir(folder)
    with zipfile.ZipFile(os.path.join(folder, "bomb.jar"), "w", zipfile.ZIP_DEFLATED) as jar:
        jar.writestr("META-INF/maven/g/a/pom.properties", bytes(64 << 20))
    data = b""
    for i in range(8):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as jar:
            jar.writestr(f"inner-{i}.jar", data)
        data = out.getvalue()
    with open(os.path.join(folder, "nested.jar"), "wb") as file:
        file.write(data)
    with open(os.path.join(folder, "cut.jar"), "wb") as file:
        file.write(data[:100])
    _, told = names(folder)
    assert b"cannot be read" in told, told
    assert b"nested too deeply" in told, told
    assert b"cut.jar" in told, told


def names_that_lead_out_of_a_layer(work):
    def fill(tar):
        entry(tar, "../../../../../../escape/package-lock.json", LOCK % b"up")
        entry(tar, "/absolute/package-lock.json", LOCK % b"absolute")
        entry(tar, "a/../../b/package-lock.json", LOCK % b"dots")
        entry(tar, "fine/package-lock.json", LOCK % b"fine")
        entry(tar, "link/package-lock.json", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        entry(tar, "hard/package-lock.json", type=tarfile.LNKTYPE, linkname="/etc/passwd")
        entry(tar, "fifo/package-lock.json", type=tarfile.FIFOTYPE)
        entry(tar, "dev/package-lock.json", type=tarfile.CHRTYPE, devmajor=1, devminor=5)
        entry(tar, "block/package-lock.json", type=tarfile.BLKTYPE, devmajor=8, devminor=0)

    path = os.path.join(work, "tricks.tar")
    image(path, layer(fill))
    before = sorted(os.listdir(work))
    found, _ = names(path)
    # A leading "/" is as good as none; what goes up is no place in an image.
    assert found == ["absolute", "fine"], found
    assert sorted(os.listdir(work)) == before
    assert not os.path.exists("/escape") and not os.path.exists("/absolute")


def links_in_an_image_archive(work):
    path = os.path.join(work, "links.tar")
    with tarfile.open(path, "w") as tar:
        entry(tar, "0.tar", type=tarfile.SYMTYPE, linkname="1.tar")
        entry(tar, "1.tar", type=tarfile.SYMTYPE, linkname="0.tar")
        entry(tar, "manifest.json", json.dumps(
            [{"Config": "../../etc/passwd", "Layers": ["0.tar", "../../../etc/passwd"]}]).encode())
    found, told = names(path)
    assert found == [] and b"0.tar" in told, (found, told)


def links_and_devices_in_a_folder(work):
    folder, outside = os.path.join(work, "folder"), os.path.join(work, "outside")
    for name in (folder, outside, folder + "/fifo", folder + "/socket", folder + "/device",
                 folder + "/link"):
        os.mkdir(name)
    for place, name in ((outside, b"outside"), (folder, b"inside")):
        with open(os.path.join(place, "package-lock.json"), "wb") as file:
            file.write(LOCK % name)
        with open(os.path.join(place, "Dockerfile"), "wb") as file:
            file.write(b"FROM a:1\nRUN sudo id\n")
    os.symlink(outside, folder + "/away")
    os.symlink(folder, folder + "/round")
    os.symlink(outside + "/package-lock.json", folder + "/link/package-lock.json")
    os.symlink(outside + "/Dockerfile", folder + "/link/Dockerfile")
    for name in ("package-lock.json", "Dockerfile", "a.sh"):
        os.mkfifo(folder + "/fifo/" + name)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(folder + "/socket/Dockerfile")
    try:
        os.mknod(folder + "/device/package-lock.json", 0o20644, os.makedev(1, 5))
    except PermissionError:
        print("no right to make devices: left out")
    found, _ = names(folder)
    assert found == ["a", "inside"], found
    done, report = scan(folder)
    listener.close()
    assert done.returncode == 0, done.stderr
    assert {f["file"] for f in report["findings"]} == {"Dockerfile"}, report["findings"]


def a_fifo_or_device_is_no_input(work):
    fifo = os.path.join(work, "package-lock.json")
    os.mkfifo(fifo)
    for path in (fifo, "/dev/zero"):
        assert run("sbom", path).returncode == 1
        done = run("scan", "--only", "secrets", path)
        assert done.returncode == 2, (path, done.returncode, done.stdout)
    os.unlink(fifo)


def huge_files_and_deep_folders(work):
    folder = os.path.join(work, "deep")
    place = folder
    for _ in range(100):
        place = os.path.join(place, "d")
    os.makedirs(place)
    with open(os.path.join(folder, "package-lock.json"), "wb") as file:
        file.truncate(8 << 30)
    with open(os.path.join(folder, "values.yaml"), "wb") as file:
        file.truncate(8 << 30)
    found, told = names(folder)
    assert found == [] and b"larger than" in told and b"nested too deeply" in told, told
    done, report = scan(folder)
    assert done.returncode == 0 and not report["findings"], done.stderr


def documents_that_are_nested_without_end(work):
    folder = os.path.join(work, "nested")
    os.mkdir(folder)
    texts = {"package-lock.json": "[" * 200000, "a.json": '{"a":' * 200000 + "apiVersion kind",
             "pnpm-lock.yaml": "[" * 100000, "poetry.lock": "a = " + "[" * 100000,
             "pom.xml": "<a>" * 100000, "bomb.yaml": "apiVersion: v1\nkind: List\n" + "".join(
                 f"{chr(98 + i)}: &{chr(98 + i)} [" + f"*{chr(97 + i)}," * 9 + "x]\n"
                 if i else "b: &b [x,x,x,x,x,x,x,x,x]\n" for i in range(9)),
             "nginx.conf": "a{" * 100000, "a.sh": "$(" * 100000,
             "openapi.yaml": "openapi: 3.0.0\npaths: " + "{a: " * 100000}
    for name, text in texts.items():
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
    found, _ = names(folder)
    assert found == [], found
    done, report = scan(folder)
    assert done.returncode == 0, done.stderr
    assert len(report["problems"]) >= 4, report["problems"]


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.split(":", 1) for line in file.read().splitlines())


def child_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def start_long_scan(path, *options):
    """Until its child has given up its rights."""
    # pylint: disable-next=consider-using-with
    scanning = subprocess.Popen([PROGRAM, "scan", "--only", "config", *options, path],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        try:
            for child in child_of(scanning.pid):
                if status_of(child)["Seccomp"].strip() == "2":
                    return scanning, child
        except (FileNotFoundError, ProcessLookupError):
            pass
        assert scanning.poll() is None, scanning.communicate()
        time.sleep(0.005)
    raise AssertionError("the child was never confined")


def a_child_that_is_ended_is_an_error(work):
    path = os.path.join(work, "long.tar")
    # Unpacks to 1 TiB, which takes longer than this test.
    image(path, zstd_zeros(tar_of_zeros_head(1 << 40), (1 << 23) + 1))
    unpacked = ("--max-unpacked", str(2 << 20))
    scanning, child = start_long_scan(path, *unpacked)
    status = status_of(child)
    assert status["NoNewPrivs"].strip() == "1", status
    os.kill(child, signal.SIGKILL)
    out, err = scanning.communicate(timeout=DEADLINE)
    assert scanning.returncode == 2, scanning.returncode
    assert b"ended by a limit" in err and not out, (out, err)
    done = run("scan", "--only", "config", "--timeout", "1", *unpacked, path)
    assert done.returncode == 2 and b"took too long" in done.stderr, done.stderr
    assert not done.stdout


def memory_has_a_limit(work):
    if SANITIZED:
        print("sanitizers need the address space: left out")
        return
    path = os.path.join(work, "memory.tar")
    image(path, layer(lambda tar: entry(tar, "package-lock.json", b" " * (200 << 20))))
    done = run("scan", "--only", "config", "--max-memory", "64", path)
    assert done.returncode == 2 and not done.stdout, done.stderr


def imports_of_broken_archives_change_nothing(work):
    database = os.path.join(work, "db", "advisories.db")
    os.mkdir(os.path.dirname(database))
    good = os.path.join(work, "good.zip")
    record = {"id": "A-1", "affected": [{"package": {"ecosystem": "npm", "name": "a"},
                                         "versions": ["1"]}]}
    with zipfile.ZipFile(good, "w") as out:
        out.writestr("../../../escape.json", json.dumps(record))
    done = run("db", "import", "--database", database, good)
    assert done.returncode == 0 and b"1 advisories" in done.stdout, done.stderr
    with open(database, "rb") as file:
        before = file.read()
    bomb, cut = os.path.join(work, "bomb.zip"), os.path.join(work, "cut.zip")
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.json", b'{"id":"' + b"a" * (80 << 20))
    with open(good, "rb") as file, open(cut, "wb") as to:
        to.write(file.read()[:60])
    fifo = os.path.join(work, "fifo.zip")
    os.symlink("/dev/zero", os.path.join(work, "zero.json"))
    os.mkfifo(fifo)
    for path in (bomb, cut, os.path.join(work, "zero.json"), fifo):
        done = run("db", "import", "--database", database, path)
        assert done.returncode == 1 and b"error" in done.stderr, (path, done)
    with open(database, "rb") as file:
        assert file.read() == before
    assert sorted(os.listdir(os.path.dirname(database))) == [
        "advisories.db", "advisories.db.lock"]


def main():
    failed = 0
    for case in (bombs_in_layers, a_packed_image_that_is_a_bomb, bombs_in_java_archives,
                 names_that_lead_out_of_a_layer, links_in_an_image_archive,
                 links_and_devices_in_a_folder, a_fifo_or_device_is_no_input,
                 huge_files_and_deep_folders, documents_that_are_nested_without_end,
                 a_child_that_is_ended_is_an_error, memory_has_a_limit,
                 imports_of_broken_archives_change_nothing):
        with tempfile.TemporaryDirectory() as work:
            started = time.monotonic()
            try:
                case(work)
                print(f"[       OK ] {case.__name__} ({time.monotonic() - started:.1f} s)")
            except (AssertionError, subprocess.TimeoutExpired) as why:
                failed += 1
                print(f"[  FAILED  ] {case.__name__}: {str(why)[:2000]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
