#!/usr/bin/python3
"""Checks that the image contract's scripts say which tool is missing, instead of what they could not look at."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
COMMON = TOP / "board/common"
LIBRARY = TOP / "image/lib.sh"
sys.dont_write_bytecode = True
sys.path.insert(0, str(COMMON))

import commands  # noqa: E402  The path to it is only known now.

# What no Debian is without.
ESSENTIAL = set("[ awk cat cmp cut dd echo find grep gzip head ln mktemp mv od printf readlink rm sed sh sort stat tail tr true".split())
CHECKS = ("check-card.sh", "check-bundle.sh", "check-root.sh")


def tools(script):
    """What a script names at its beginning."""
    named = re.search(r"^need_tools ((?:.*\\\n)*.*)", (COMMON / script).read_text(), re.M)
    return [word.partition(":")[0] for word in named[1].replace("\\\n", " ").split()]


def programs(script):
    """What a script runs, by itself and by the functions of the library that it calls."""
    functions = dict(re.findall(r"^(\w+)\(\) [{(]\n((?:.*\n)*?)[})]$", LIBRARY.read_text(), re.M))
    found, wanted = set(), [(COMMON / script).read_text()]
    while wanted:
        called = commands.commands(wanted.pop()) - found
        wanted += [functions[name] for name in called if name in functions]
        found |= called
    return found - functions.keys()


class Tools(unittest.TestCase):
    """What a check says where a tool is missing."""

    def said(self, script, missing):
        """What a check says on a machine without a tool, about subjects that it must not get to look at."""
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory)
            (path / "subject").write_text("neither a card nor an update\n")
            for name in ESSENTIAL:
                (path / name).symlink_to(pathlib.Path("/usr/bin", name))
            for name in set(tools(script)) - {missing}:
                # Only whether it is there is asked here.
                (path / name).symlink_to("/usr/bin/false")
            subjects = {"check-bundle.sh": ["subject", "subject"], "check-root.sh": ["."]}.get(script, ["subject"])
            said = subprocess.run([COMMON / script, *subjects], cwd=path, env={"PATH": str(path)}, text=True,
                capture_output=True, check=False)
            self.assertNotEqual(0, said.returncode)
            return said.stderr

    def test_each_check_names_the_tool_that_is_missing(self):
        for script in CHECKS:
            self.assertNotIn("install", self.said(script, None))
            for tool in tools(script):
                self.assertIn(f"{script}: there is no {tool}: install ", self.said(script, tool))

    def test_each_check_names_every_tool_that_a_small_debian_lacks(self):
        for script in CHECKS:
            called = {name for name in programs(script) if not name.startswith("/")}
            self.assertEqual(set(), called - ESSENTIAL - set(tools(script)), script)

    def test_no_check_throws_away_what_a_tool_complains_of(self):
        for script in CHECKS:
            self.assertNotRegex((COMMON / script).read_text(), r"2>/dev/null|>/dev/null 2>&1")


if __name__ == "__main__":
    unittest.main()
