#!/usr/bin/python3
"""Lists what an image consists of: out/farhand-BOARD-VERSION.cdx.json, in CycloneDX 1.6.

Usage: sbom.py BOARD [BASE]

When a library has a security hole, its owner must be able to find out whether an appliance has that library. So the list is
made from the finished root where it can be: a package of Debian's is in it when one of its files is.
Crates and the page's modules are inside the daemon, and taken from their locks. With BASE, Buildroot's
own list, that tells the rest instead. No time and no serial number: the same image has the same list.
"""

import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

TOP = pathlib.Path(__file__).resolve().parents[1]
TARGET = "aarch64-unknown-linux-gnu"


def component(purl, name, version, licence=None, sha256=None):
    """One part. A licence that is no SPDX expression is given by name."""
    part = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if licence and isinstance(licence, list):
        part["licenses"] = [{"license": {"name": name}} for name in licence]
    elif licence:
        part["licenses"] = [{"expression": licence.replace("/", " OR ")}]
    if sha256:
        part["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return part


def crates():
    """The crates that the appliance's daemon is linked from: neither tests' nor build scripts' own."""
    metadata = json.loads(subprocess.check_output(
        ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform", TARGET], cwd=TOP))
    hashes = {(p["name"], p["version"]): p.get("checksum")
              for p in tomllib.loads((TOP / "Cargo.lock").read_text())["package"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    seen, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        for dep in nodes[waiting.pop()]["deps"]:
            if dep["pkg"] not in seen and any(kind["kind"] is None for kind in dep["dep_kinds"]):
                seen.add(dep["pkg"])
                waiting.append(dep["pkg"])
    for package in (packages[id] for id in seen):
        name, version = package["name"], package["version"]
        yield component(f"pkg:cargo/{name}@{version}", name, version, package["license"], hashes[name, version])


def modules():
    """The modules that are packed into the page."""
    lock = json.loads((TOP / "web/package-lock.json").read_text())
    for path, module in lock["packages"].items():
        if path and not module.get("dev"):
            name = path.rpartition("node_modules/")[2]
            yield component(f"pkg:npm/{name.replace('@', '%40')}@{module['version']}", name, module["version"],
                            module.get("license"))


def debian(root):
    """Debian's packages, of which at least one file is in the root."""
    def digest(path):
        return hashlib.sha256(path.read_bytes()).digest()

    def programs(top):
        return (path for path in top.rglob("*") if path.is_file() and not path.is_symlink()
                and (path.parent.name in ("bin", "sbin") or ".so" in path.name))

    def older(one, other):
        return -1 if subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode == 0 else 1

    there = {digest(path) for path in programs(root)}
    cache = pathlib.Path(os.environ.get("FARHAND_CACHE") or pathlib.Path.home() / ".cache/farhand")
    candidates = {}
    for package in cache.glob("deb-*:arm64-*"):
        name, version = re.fullmatch(r"deb-(.+):arm64-(.+)", package.name).groups()
        # A library is copied under the name that programs know it by: another than the package's own.
        if same := sum(digest(path) in there for path in programs(package)):
            candidates.setdefault(name, []).append((same, version, package))
    found = {}
    for name, versions in candidates.items():
        # A cache may hold several. What most of the root is from was taken, and of equals the newest, as apt does.
        most = max(same for same, _, _ in versions)
        version, package = max(((version, package) for same, version, package in versions if same == most),
                               key=lambda candidate: functools.cmp_to_key(older)(candidate[0]))
        notice = package / "usr/share/doc" / name / "copyright"
        terms = re.findall(r"^License: *(\S.*)$", notice.read_text(errors="replace"), re.M) if notice.is_file() else []
        found[name] = component(f"pkg:deb/debian/{name}@{version.replace('+', '%2B')}?arch=arm64", name, version,
                                sorted(set(terms)))
    if not found:
        sys.exit(f"sbom.py: no file of the root is from a package in {cache}: was it built here?")
    return found.values()


def built(root, out):
    """What is no package's and no crate, by what it says of itself."""
    kernel = next((root / "usr/lib/modules").iterdir()).name
    yield component(f"pkg:generic/linux@{kernel}", "linux", kernel, "GPL-2.0-only WITH Linux-syscall-note")
    for name, path, pattern, licence in (
            ("busybox", root / "usr/bin/busybox", rb"BusyBox v([\d.]+)", "GPL-2.0-only"),
            ("rauc", root / "usr/bin/rauc", rb"rauc/([\d.]+)|rauc ([\d.]+)", "LGPL-2.1-or-later"),
            ("u-boot", out / "u-boot.bin", rb"U-Boot (\d{4}\.\d\d)", "GPL-2.0-or-later"),
            ("raspberrypi-firmware", out / "rpi-firmware/start4.elf", rb"VC_BUILD_ID_VERSION: (\w+)", ["LICENCE.broadcom"])):
        if path.exists():
            told = re.search(pattern, path.read_bytes())
            version = next((part.decode() for part in told.groups() if part), "unknown") if told else "unknown"
            yield component(f"pkg:generic/{name}@{version}", name, version, licence)


def main():
    """Writes the list."""
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: sbom.py BOARD [BASE]")
    out = TOP / "out" / sys.argv[1]
    package = tomllib.loads((TOP / "Cargo.toml").read_text())["package"]
    parts = [*crates(), *modules()]
    if len(sys.argv) == 3:
        bom = json.loads(pathlib.Path(sys.argv[2]).read_text())
        bom["metadata"]["component"]["version"] = package["version"]
        parts += bom["components"]
    else:
        bom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": {
            "type": "firmware", "bom-ref": "farhand", "name": "farhand", "version": package["version"],
            "licenses": [{"expression": package["license"]}]}}}
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory, "root")
            subprocess.run(["unsquashfs", "-q", "-n", "-no-xattrs", "-d", root, out / "root.squashfs"], check=True,
                           stdout=subprocess.DEVNULL)
            parts += [*debian(root), *built(root, out)]
    bom["components"] = sorted(parts, key=lambda part: part["bom-ref"])
    path = TOP / "out" / f"farhand-{sys.argv[1]}-{package['version']}.cdx.json"
    path.write_text(json.dumps(bom, indent=1) + "\n")
    print(f"{path.relative_to(TOP)}: {len(parts)} parts")


if __name__ == "__main__":
    main()
