#!/usr/bin/python3
"""Checks which kernel the builds take, when Debian has the pinned one and when it has moved on, and our patches of it."""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
PIN = (TOP / "board/common/linux/source").read_text()
PACKAGE, VERSION = (re.search(rf"(?m)^{key}=(.*)$", PIN)[1] for key in ("package", "version"))
NEWER = VERSION + ".1"

# An archive that knows the versions in $HAS, the newest last.
APT_CACHE = """#!/bin/sh
for asked; do :; done
for version in $HAS; do
	case $asked in
	*=*) [ "${asked#*=}" != "$version" ] || found=$version ;;
	*) found=$version ;;
	esac
done
[ -z "${found:-}" ] || echo "Version: $found"
"""
APT_GET = """#!/bin/sh
for asked; do :; done
case $* in
*download*) dpkg-deb --build -Znone "$PACKAGE_DIR" . >/dev/null && echo "$asked" >>"$PACKAGE_DIR.log" ;;
esac
"""


class Source(unittest.TestCase):
    """The tarball that a kernel is made of."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.work = pathlib.Path(self.directory.name)
        # A copy of what is run, with the hash of a tarball that fits into a test.
        for name in ("linux.sh", "lib.sh", "fetch-deb.sh", "deb-version.sh", "need.sh"):
            self.write(f"tree/image/{name}", (TOP / "image" / name).read_text())
        self.content = b"the kernel"
        digest = hashlib.sha256(self.content).hexdigest()
        self.write("tree/board/common/linux/source", re.sub(r"(?m)^sha256=.*$", f"sha256={digest}", PIN))
        self.write("package/DEBIAN/control",
            f"Package: {PACKAGE}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n")
        self.pack(self.content)
        self.write("bin/apt-cache", APT_CACHE)
        self.write("bin/apt-get", APT_GET)
        self.write("bin/sudo", '#!/bin/sh\nexec "$@"\n')

    def write(self, name, text):
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def pack(self, content):
        path = self.work / f"package/usr/src/{PACKAGE}.tar.xz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def run_with(self, has, *arguments):
        """Runs linux.sh with an archive that has these versions."""
        environment = dict(os.environ, HAS=has, PACKAGE_DIR=str(self.work / "package"),
            FARHAND_CACHE=str(self.work / "cache"), PATH=f"{self.work / 'bin'}:{os.environ['PATH']}")
        return subprocess.run([self.work / "tree/image/linux.sh", *arguments], env=environment, text=True,
            capture_output=True, check=False)

    def test_the_pinned_one_is_taken_although_there_is_a_newer(self):
        for arguments in ((), ("--pinned",), ("--pinned",)):
            said = self.run_with(f"{VERSION} {NEWER}", *arguments)
            self.assertEqual("", said.stderr)
            version, path = said.stdout.split()
            self.assertEqual(VERSION, version)
            self.assertEqual(self.content, pathlib.Path(path).read_bytes())
        self.assertEqual([f"{PACKAGE}={VERSION}"], (self.work / "package.log").read_text().splitlines())

    def test_a_build_goes_on_with_the_newest_when_debian_has_dropped_it_and_says_so(self):
        said = self.run_with(NEWER)
        self.assertEqual(NEWER, said.stdout.partition(" ")[0], said.stderr)
        self.assertIn(f"taking {PACKAGE} {NEWER}: NOT the kernel that releases are made of", said.stderr)

    def test_a_release_is_refused_when_debian_has_dropped_it(self):
        said = self.run_with(NEWER, "--pinned")
        self.assertNotEqual(0, said.returncode)
        self.assertEqual("", said.stdout)
        self.assertIn(f"a release needs {PACKAGE} {VERSION}", said.stderr)

    def test_another_tarball_under_the_pinned_version_is_refused(self):
        self.pack(b"another")
        for arguments in ((), ("--pinned",)):
            said = self.run_with(VERSION, *arguments)
            self.assertNotEqual(0, said.returncode)
            self.assertIn("is not the one that we know", said.stderr)


PATCHES = sorted(TOP.glob("board/common/linux/*.patch"))
CACHE = pathlib.Path(os.environ.get("FARHAND_CACHE") or pathlib.Path.home() / ".cache/farhand")
TARBALL = CACHE / f"deb-{PACKAGE}-{VERSION}/usr/src/{PACKAGE}.tar.xz"


class Patches(unittest.TestCase):
    """What we change in it."""

    def test_each_says_why_it_is_there_and_when_it_may_go(self):
        self.assertTrue(PATCHES)
        for patch in PATCHES:
            head = patch.read_text().partition("\n--- ")[0]
            self.assertRegex(head, r"\AFrom: Farhand\nSubject: \[PATCH\] [^\n]{20,}\n\n", patch.name)
            self.assertRegex(head, r"(?m)^Upstream: ", patch.name)

    @unittest.skipUnless(TARBALL.is_file(), "the pinned sources are not in the cache")
    def test_every_one_fits_the_pinned_sources_exactly(self):
        touched = sorted({name for patch in PATCHES for name in re.findall(r"(?m)^--- a/(\S+)$", patch.read_text())})
        # Unpacking takes long, so what it gives is kept.
        kept = CACHE / f"linux-{hashlib.sha256(' '.join([VERSION, *touched]).encode()).hexdigest()[:16]}"
        with tempfile.TemporaryDirectory(prefix="linux.", dir=CACHE) as work:
            tree = pathlib.Path(work, "tree")
            if not kept.is_dir():
                tree.mkdir()
                subprocess.run(["tar", "-xf", TARBALL, "-C", tree, "--strip-components=1", "--wildcards", "--occurrence=1",
                    *(f"*/{name}" for name in touched)], check=True)
                with contextlib.suppress(FileExistsError):
                    tree.rename(kept)
            shutil.copytree(kept, tree, dirs_exist_ok=True)
            for patch in PATCHES:
                said = subprocess.run(["patch", "-s", "-F0", "-d", tree, "-p1"], input=patch.read_bytes(),
                    capture_output=True, check=False)
                self.assertEqual((0, b""), (said.returncode, said.stdout), patch.name)


if __name__ == "__main__":
    unittest.main()
