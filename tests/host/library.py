#!/usr/bin/python3
"""Checks what the scripts share (image/lib.sh): that the cache holds only what is whole, and that each complaint has a name."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = TOP / "image/lib.sh"


def scripts():
    """Every shell script of ours that does not run on the appliance, by its path."""
    files = subprocess.check_output(["git", "ls-files", "-z", "--", "*.sh"], cwd=TOP, text=True).split("\0")
    return {file: (TOP / file).read_text() for file in files if file and (TOP / file).exists()}


class Library(unittest.TestCase):
    """The functions, on a cache of a test's own."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)
        self.cache = self.work / "cache"

    def start(self, body, **options):
        """Starts a script that sources the library."""
        script = self.work / "script.sh"
        script.write_text(f'#!/bin/sh\nset -eu\n. "{LIBRARY}"\n{body}\n')
        environment = dict(os.environ, FARHAND_CACHE=str(self.cache))
        return subprocess.Popen(["sh", script], cwd=self.work, env=environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **options)

    def run_with(self, body):
        """Runs one; returns its status and what it said."""
        process = self.start(body)
        out, error = process.communicate(timeout=60)
        return process.returncode, out, error

    def left(self):
        """What is in the cache, locks aside."""
        return sorted(path.name for path in self.cache.glob("*") if path.suffix != ".lock")

    def test_a_thing_is_made_once_and_found_the_next_time(self):
        body = 'make() { echo made >>made; mkdir "$work/kept"; echo "$1" >"$work/kept/file"; }\ncached thing-1 make word'
        for _ in range(2):
            self.assertEqual((0, f"{self.cache}/thing-1\n", ""), self.run_with(body))
        self.assertEqual("made\n", (self.work / "made").read_text())
        self.assertEqual("word\n", (self.cache / "thing-1/file").read_text())
        self.assertEqual(["thing-1"], self.left())

    def test_what_fails_halfway_is_not_kept_and_ends_the_script(self):
        for ending in ("false", 'die "cannot make it"', ":"):
            # The last one leaves nothing to keep.
            kept = "" if ending == ":" else 'mkdir "$work/kept"; '
            status, out, _ = self.run_with(f"make() {{ {kept}{ending}; echo on; }}\npath=$(cached thing-1 make)\necho reached")
            self.assertNotEqual(0, status, ending)
            self.assertNotIn("reached", out, ending)
            self.assertEqual([], self.left(), ending)

    def test_what_a_signal_ends_leaves_nothing_behind(self):
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            process = self.start('make() { mkdir "$work/kept"; echo begun; read -r never <&8; }\n'
                "mkfifo -m 600 wait; exec 8<>wait; rm wait\ncached thing-1 make", start_new_session=True,
                # A job in the background ignores some signals, and hands that down.
                preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
            self.assertEqual("begun\n", process.stdout.readline())
            os.killpg(process.pid, number)
            process.communicate(timeout=60)
            self.assertNotEqual(0, process.returncode)
            self.assertEqual([], self.left(), number)

    def test_two_that_want_the_same_make_it_once(self):
        os.mkfifo(self.work / "go")
        first = self.start('make() { mkdir "$work/kept"; echo begun; read -r never <go; }\ncached thing-1 make')
        self.assertEqual("begun\n", first.stdout.readline())
        second = self.start("cached thing-1 false")
        self.assertIn("waiting for another job, which may be making thing-1", second.stderr.readline())
        (self.work / "go").write_text("on\n")
        for process in (first, second):
            out, _ = process.communicate(timeout=60)
            self.assertEqual((0, f"{self.cache}/thing-1\n"), (process.returncode, out))

    def test_a_workspace_goes_with_its_script(self):
        for ending in ("true", "false", "kill -TERM $$; true"):
            _, out, _ = self.run_with(f'workspace\necho "$work"\n{ending}')
            self.assertFalse(pathlib.Path(out.strip()).exists(), ending)

    def test_what_is_missing_or_not_what_we_know_is_named(self):
        (self.work / "file").write_text("content")
        (self.work / "empty").write_text("")
        known = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
        for body, complaint in (
                ("need_file file", ""), ("need_file empty", "script.sh: there is no empty\n"),
                ("need_file nowhere 'make it first'", "script.sh: there is no nowhere: make it first\n"),
                ("need_tools sh:dash", ""), ("need_tools sh:dash lost:lost-tools", "script.sh: there is no lost: install lost-tools\n"),
                (f"need_hash file {known} it", ""), (f"need_hash empty {known} 'the source'", "the source is not the one that we know\n"),
                ("die 'no more'", "script.sh: no more\n")):
            status, out, error = self.run_with(body)
            self.assertEqual(("", complaint == ""), (out, status == 0), body)
            self.assertTrue(error.endswith(complaint), error)

    def test_without_a_home_only_the_cache_is_missing(self):
        said = subprocess.run(["sh", "-euc", f'. "{LIBRARY}"; say on; cached thing-1 true'], env={"PATH": os.environ["PATH"]},
            text=True, capture_output=True, check=False)
        self.assertIn("on\n", said.stderr)
        self.assertNotEqual(0, said.returncode)


class Use(unittest.TestCase):
    """No script has its own version of what the library has."""

    def test_no_script_repeats_what_the_library_has(self):
        names = re.findall(r"^(\w+)\(\) ", LIBRARY.read_text(), re.M)
        self.assertIn("die", names)
        own = {"a function": rf"(?m)^\s*(?:{'|'.join(names)})\(\)", "the place of the cache": r"HOME/\.cache",
               "a directory": r"mktemp", "a move into the cache": r"mv -T", "a message": r"printf '%s: %s.n' \"\$\{0##"}
        for file, text in scripts().items():
            if file == "image/lib.sh":
                continue
            for what, pattern in own.items():
                self.assertNotRegex(text, pattern, f"{file} has {what} of its own")


if __name__ == "__main__":
    unittest.main()
