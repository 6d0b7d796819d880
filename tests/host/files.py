#!/usr/bin/python3
"""Checks the table of the files by which processes and scripts talk (ARCHITECTURE.md) against those who write and read them.

A name that only two of three parties know is how a note is left that nobody reads. So every party of a row must name the file,
and every file that a script or the daemon names below /data, /run, /firmware or /dev/slots must be a row.
"""

import pathlib
import re
import subprocess
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
HEADING = "## Files by which processes and scripts talk"
# Whatever has no source of its own here.
OTHERS = {"owner", "rauc", "kernel", "libc", "runsv", "sv", "fw_setenv"}
# The daemon's processes, and its commands. Where in src/ each keeps its names may change.
DAEMON = {"serve", "hands", "guard", "farhand adopt", "farhand audit", "farhand grow", "farhand note"}
PLACES = r"/(?:data|run|firmware|dev/slots)"
# The simulation's, which has no /run of its own.
SIMULATED = {"/data/run"}
# How the daemon's folders are called in its sources.
FOLDERS = {"data": "/data", "state": "/data/state", "run": "/run/farhand"}


def files(*where):
    """Those files of ours, by their paths."""
    found = subprocess.check_output(["git", "ls-files", "-z", "--", *where], cwd=TOP, text=True).split("\0")
    return [TOP / file for file in found if file and (TOP / file).is_file()]


def rows():
    """The table: for each file its writers, its readers and its form."""
    section = (TOP / "ARCHITECTURE.md").read_text().split(HEADING + "\n")[1].split("\n## ")[0]
    found = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            file, writers, readers, form = (cell.strip() for cell in line.strip("|").split(" | "))
            found[file.strip("`")] = (writers.split(", "), readers.split(", "), form)
    return found


def script(name):
    """The script that goes by this short name."""
    places = [f"etc/init.d/{name}", f"etc/sv/{name}", f"etc/network/{name}", f"usr/libexec/{name}"]
    return next((path for place in places if (path := TOP / "overlay" / place).is_file()), None)


def code(text):
    """A script without its comments."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def shipped(path):
    """A Rust source without its tests and comments."""
    text = "" if path.name == "tests.rs" else path.read_text().split("\n#[cfg(test)]\nmod tests")[0]
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))


def named(text):
    """The files that a script names."""
    text = re.sub(r'"?\$\{?data\}?"?/', "/data/", code(text))
    for name in re.findall(rf"(?<![\w./}}]){PLACES}/[\w./-]*", text):
        yield name.rstrip("./")


def named_by_daemon(text):
    """The files that a Rust source names."""
    for name in re.findall(rf'"({PLACES}/[\w./-]+)"', text):
        yield name
    for folder, name in re.findall(r'\b(data|state|run)(?:_\w+)?(?:\(\))?\s*\.join\("([^"]+)"\)', text):
        yield f"{FOLDERS[folder]}/{name}"


def fixed(file):
    """The part of a file's name that whoever uses it must have in its source."""
    parts = [part for part in file.split("/") if not part.isupper()]
    return parts[-1].rstrip("*")


class Table(unittest.TestCase):
    """What the table says, and what is so."""

    def setUp(self):
        self.rows = rows()
        self.assertLess(40, len(self.rows), f"there is no table in ARCHITECTURE.md below {HEADING!r}")

    def known(self, name):
        """Whether a row is about this, or about something in it."""
        return any(name == file or file.startswith(name + "/") or
                   # What comes behind the name of a service or a part is its owner's.
                   file.split("/")[-1].isupper() and name.startswith(file.rpartition("/")[0] + "/")
                   for file in self.rows) or any(name.startswith(file + "/") for file in self.rows)

    def test_every_party_names_the_file_that_it_writes_or_reads(self):
        daemon = "\n".join(shipped(path) for path in files("src/*.rs", "src/**/*.rs"))
        wrong = []
        for file, (writers, readers, form) in self.rows.items():
            self.assertTrue(form, file)
            for party in {*writers, *readers} - OTHERS:
                if party in DAEMON:
                    if not re.search(rf'["/]{re.escape(fixed(file))}["/-]', daemon):
                        wrong.append(f"{file}: nothing in src/ names it, but {party} should")
                elif not script(party):
                    wrong.append(f"{file}: there is no script {party}")
                elif fixed(file) not in code(script(party).read_text()):
                    wrong.append(f"{file}: {script(party).relative_to(TOP)} does not name it")
        self.assertEqual([], wrong)

    def test_every_file_that_somebody_names_is_in_the_table(self):
        found = {}
        for path in files("overlay", "board/*/overlay"):
            for name in named(path.read_text()):
                found.setdefault(name, path)
        for path in files("src/*.rs", "src/**/*.rs"):
            for name in named_by_daemon(shipped(path)):
                found.setdefault(name, path)
        self.assertLess(40, len(found))
        missing = [f"{path.relative_to(TOP)} names {name}" for name, path in sorted(found.items())
            if name not in SIMULATED and not self.known(name)]
        self.assertEqual([], missing, "which is not in the table of ARCHITECTURE.md")

    def test_the_reader_sees_names_wherever_they_stand(self):
        text = '# /run/comment\necho x >"/run/a/$name"; [ -e /data/b ] || rm -rf "$data/c" "${data}/d-e.json"\nx=${1:-/data}\n' \
            "cat /sys/run/other </run/f.\nmount /dev/slots/g /firmware/h"
        self.assertEqual({"/run/a", "/data/b", "/data/c", "/data/d-e.json", "/run/f", "/dev/slots/g", "/firmware/h"},
            set(named(text)))
        text = 'let a = "/run/a"; self.state.join("b"); folders.data.join("tls/c"); self.post.run.join("d"); at.join("e");\n' \
            'data\n    .join("f");'
        self.assertEqual({"/run/a", "/data/state/b", "/data/tls/c", "/run/farhand/d", "/data/f"}, set(named_by_daemon(text)))


if __name__ == "__main__":
    unittest.main()
