"""Finding the program under test, and building the benchmark's own programs."""

import os
from pathlib import Path

from .process import BenchError, find_tool, run_tool

ROOT = Path(__file__).resolve().parents[2]
OWN = ("relay", "rate", "idle_tls")
BUILD_TIMEOUT_S = 600


def find_sallyport():
    """$SALLYPORT, or what was built for benchmarks, or None."""
    named = os.environ.get("SALLYPORT")
    if named:
        path = Path(named).resolve()
        if not os.access(path, os.X_OK):
            raise BenchError(f"SALLYPORT={named}: there is no such program")
        return path
    for tree in ("bench-release", "release"):
        path = ROOT / "build" / tree / "src" / "cli" / "sallyport"
        if os.access(path, os.X_OK):
            return path
    return None


def build_own(sallyport):
    """{name: path} of our own programs, from the build tree of `sallyport` or one made here."""
    tree = ROOT / "build" / "bench-release"
    for folder in sallyport.parents if sallyport else ():
        if (folder / "build.ninja").exists():
            tree = folder
            break
    if not (tree / "build.ninja").exists():
        run_tool([find_tool("meson"), "setup", "-Db_lto=true", tree, ROOT], BUILD_TIMEOUT_S)
    targets = [f"bench/{name}" for name in OWN]
    run_tool([find_tool("ninja"), "-C", tree, "-j2", *targets], BUILD_TIMEOUT_S)
    return {name: tree / "bench" / name for name in OWN}
