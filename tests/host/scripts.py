#!/usr/bin/python3
"""Checks that a command that an image lacks is found wherever a script may hide it, and that scripts are strict."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "board/common"))

import commands  # noqa: E402  The path to it is only known now.
import contents  # noqa: E402

# Each hides the command `lost`.
HIDDEN = r"""
lost
lost -a argument
cat /etc/os-release | lost
cat /etc/os-release | lost | sort
true && lost
true || lost -x
true; lost
sleep 1 & lost
found=$(lost)
found="a $(lost) b"
found="a $(cat "$(lost)") b"
found=`lost`
found=${other:-$(lost)}
found=${other:-"$(lost)"}
if lost; then true; fi
if ! lost; then true; fi
if true; then lost; fi
if true; then true; elif lost; then true; fi
if true; then true; else lost; fi
while lost; do true; done
until lost; do true; done
while true; do lost; done
for word in one $(lost); do true; done
for word in one two; do lost; done
( lost )
{ lost; }
own() { lost; }
case $1 in one) lost ;; esac
case $1 in one | two) true ;; *) lost ;; esac
case $(lost) in one) true ;; esac
case $1 in (one) true ;; esac; lost
name=value lost
2>/dev/null lost
true <&3 >/dev/null 2>&1 && lost
exec lost
exec chpst -u a:b lost
chpst -u a:b -v lost
command lost
trap 'lost' EXIT
trap 'true; lost "$x"' EXIT TERM
echo $(( 1 + 2 )); lost
[ -e /x ] || lost
echo "it's" && lost # it's
true \\n\t&& lost
cat <<END\n$(lost)\nEND
cat <<-'END'\n\tx\n\tEND\nlost
cat <<END | lost\nx\nEND
""".strip().splitlines()

# None of these runs it.
INNOCENT = r"""
echo lost
echo "lost; lost" 'lost | lost'
# lost
true # | lost
lost=value
lost=value true
case lost in lost | other) true ;; esac
case $1 in\n\tlost) true ;;\n\t'lost') true ;;\n\tesac
for lost in lost lost; do echo "$lost"; done
lost() { true; }\nlost
cat <<END\nlost | lost $lost\nEND
cat <<'END'\n$(lost)\nEND
echo \\n\tlost
echo a >lost 2>>lost <lost
echo "${lost:-lost}" "${a%lost}"
echo $(( lost + 1 ))
echo \# lost \; lost
trap '' lost
exec 3>lost
""".strip().splitlines()


def read(text):
    """The commands of a script that is written in one line."""
    return commands.commands(text.replace("\\n", "\n").replace("\\t", "\t") + "\n")


class Commands(unittest.TestCase):
    """Which words of a script are commands."""

    def test_a_missing_command_is_found_wherever_it_hides(self):
        for script in HIDDEN:
            with self.subTest(script):
                self.assertIn("lost", read(script))

    def test_a_word_that_is_no_command_is_not_taken_for_one(self):
        for script in INNOCENT:
            with self.subTest(script):
                self.assertNotIn("lost", read(script))

    def test_a_script_that_is_cut_off_is_refused_or_read_but_never_hangs(self):
        for script in HIDDEN + INNOCENT:
            for length in range(len(script)):
                try:
                    read(script[:length])
                except (ValueError, IndexError):
                    pass

    def test_a_root_is_refused_by_script_and_command(self):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            (root / "usr/bin").mkdir(parents=True)
            (root / "usr/bin/cat").symlink_to("/usr/bin/busybox")
            for name, text, complaint in (
                    ("good", "cat /usr/bin/good\n", ""),
                    ("pipe", "cat x | iptables\n", "pipe uses iptables"),
                    ("path", "! /usr/libexec/nowhere\n", "path uses /usr/libexec/nowhere"),
                    ("cut", "if cat; then (cat\n", "cannot read cut as a script")):
                script = root / name
                script.write_text("#!/bin/sh\n" + text)
                said = subprocess.run([TOP / "board/common/commands.py", root], text=True, capture_output=True, check=False)
                self.assertEqual(complaint != "", said.returncode != 0, name)
                self.assertIn(complaint, said.stderr)
                script.unlink()

    def test_every_script_is_strict_or_says_why_not(self):
        files = subprocess.check_output(["git", "ls-files", "-z"], cwd=TOP, text=True).split("\0")
        paths = [TOP / file for file in files if file and (TOP / file).is_file()]
        found = [path for path in paths if path.read_bytes().startswith(b"#!/bin/sh")]
        self.assertLess(60, len(found))
        for path in found:
            text = path.read_text()
            strict = re.search(r"^set -eu$", text, re.M)
            # What may go on after a failure need not go on with a name that was mistyped.
            lenient = re.search(r"^#.* ?[Ww]ithout set -e, because ", text, re.M) and re.search(r"^set -u$", text, re.M)
            reason = re.search(r"^#.* ?[Ww]ithout set -eu, because ", text, re.M)
            self.assertTrue(strict or lenient or reason, f"{path.relative_to(TOP)} has no `set -eu`, and does not say why")

    def test_every_command_of_an_overlay_is_a_program_of_its_board(self):
        boards = sorted(path.parent.name for path in TOP.glob("board/*/board.conf"))
        self.assertTrue(boards)
        for board in boards:
            programs, own = contents.listed(board, "programs"), contents.overlaid(board)
            for top in (TOP / "overlay", TOP / "board" / board / "overlay"):
                for script in commands.scripts(top):
                    for name in commands.commands(script.read_text()):
                        self.assertTrue(name in programs or name.lstrip("/") in own, f"{board}: {script.name} uses {name}")


if __name__ == "__main__":
    unittest.main()
