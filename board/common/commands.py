#!/usr/bin/python3
"""Checks that every command that a root's shell scripts name is in the root.

Usage: commands.py TARGET_DIR

Without this, a missing command would be found when it is needed: at a start, a crash, an update. So this reads the
scripts as a shell does, as far as that takes to know which words are commands: behind pipes, conditions and
`$(`, in every branch, but not in strings, patterns and here-documents.
"""

import pathlib
import re
import sys

# What the shell knows by itself. Words that BusyBox also has as programs are not here: those are links.
BUILTINS = {".", ":", "alias", "bg", "break", "cd", "command", "continue", "eval", "exec", "exit", "export", "fg", "getopts",
            "hash", "jobs", "local", "pwd", "read", "readonly", "return", "set", "shift", "times", "trap", "type", "ulimit",
            "umask", "unalias", "unset", "wait"}
# A command follows these.
OPENERS = {"if", "then", "else", "elif", "fi", "while", "until", "do", "done", "!", "{", "}", "esac"}
# Programs that run what follows, and those of their options that take a word.
WRAPPERS = {"exec": "", "command": "", "chpst": "uUbenlmdofcrt/"}
QUOTES = "'\""
REDIRECTION = re.compile(r"[0-9]*(<<-?|>>|<>|[<>]&|>\||<|>)")


class Script:
    """A text that is read once, from front to back."""

    def __init__(self, text):
        self.text, self.at = text, 0
        # What is named as a command, what is defined as one, and where here-documents end.
        self.commands, self.functions, self.waiting = [], set(), []

    def here(self, *prefixes):
        """Whether the text goes on with one of these."""
        return self.text.startswith(prefixes, self.at)

    def within(self, text):
        """Takes the commands of a part that is a script itself."""
        part = Script(text)
        part.commands_to("")
        self.commands += part.commands
        self.functions |= part.functions

    def expansion(self):
        """Goes past what a dollar sign or a backquote begins."""
        if self.here("$(("):
            self.at = self.text.index("))", self.at) + 2
        elif self.here("$("):
            self.at += 2
            self.commands_to(")")
        elif self.here("${"):
            self.at += 2
            self.inside("}", self.piece)
        elif self.here("`"):
            end = self.text.index("`", self.at + 1)
            self.within(self.text[self.at + 1:end])
            self.at = end + 1
        else:
            self.at += 1

    def piece(self):
        """Goes past one character, or what belongs together as one."""
        if self.here("\\"):
            self.at += 2
        elif self.here("'"):
            self.at = self.text.index("'", self.at + 1) + 1
        elif self.here('"'):
            self.at += 1
            self.inside('"', self.quoted)
        elif self.here("$", "`"):
            self.expansion()
        else:
            self.at += 1

    def quoted(self):
        """The same between double quotes, where fewer characters mean something."""
        if self.here("$", "`"):
            self.expansion()
        else:
            self.at += 2 if self.here("\\") else 1

    def inside(self, end, step):
        """Goes on in steps until past `end`."""
        while not self.here(end):
            if self.at >= len(self.text):
                raise ValueError(f"no {end}")
            step()
        self.at += len(end)

    def word(self):
        """The next word, as it is written."""
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;&|()<>":
            self.piece()
        return self.text[start:self.at]

    def blank(self):
        """Goes past what separates words, and comments."""
        while self.at < len(self.text):
            if self.here(" ", "\t"):
                self.at += 1
            elif self.here("\\\n"):
                self.at += 2
            elif self.here("#"):
                self.at = (self.text + "\n").index("\n", self.at)
            else:
                return

    def newline(self):
        """Goes past the end of a line, and the here-documents that begin there."""
        self.at += 1
        for delimiter in self.waiting:
            end = re.compile(rf"^\t*{re.escape(delimiter.strip(QUOTES))}$", re.M).search(self.text, self.at)
            if not end:
                raise ValueError(f"no {delimiter}")
            body = self.text[self.at:end.start()]
            self.at = end.end()
            if delimiter[0] not in QUOTES:
                # What is expanded in it is what would be in a string.
                part = Script('"' + body.replace('"', " ") + '"')
                part.piece()
                self.commands += part.commands
        self.waiting = []

    def redirected(self):
        """Goes past a redirection, if there is one."""
        found = REDIRECTION.match(self.text, self.at)
        if not found:
            return False
        self.at = found.end()
        self.blank()
        word = self.word()
        if found[1].startswith("<<"):
            self.waiting.append(word)
        return True

    def case(self):
        """Goes past a `case`, whose patterns are no commands."""
        self.blank()
        self.word()
        while True:
            self.skip()
            word = self.word()
            if word == "esac":
                return
            if word == "in":
                continue
            self.inside(")", self.piece)
            if self.commands_to(";;") == "esac":
                return

    def skip(self):
        """Goes past everything between commands but words."""
        self.blank()
        while self.here("\n"):
            self.newline()
            self.blank()

    def words(self):
        """Goes past the rest of a command, and tells its words."""
        words = []
        while True:
            self.blank()
            if self.at >= len(self.text) or self.text[self.at] in "\n;&|()":
                return words
            if not self.redirected():
                words.append(self.word())

    def simple(self, name):
        """Takes a command of this name, and what it runs itself."""
        self.commands.append(name)
        words = self.words()
        if name == "trap" and words:
            self.within(words[0][1:-1] if words[0][0] in QUOTES else words[0])
        while name in WRAPPERS and words:
            word = words.pop(0)
            if word.startswith("-"):
                del words[:word[1:] in list(WRAPPERS[name])]
            else:
                self.commands.append(word)
                name = word

    def commands_to(self, end):
        """Reads commands up to `end`, or to the end of the text; tells what ended them."""
        while True:
            self.skip()
            if self.at >= len(self.text):
                if end:
                    raise ValueError(f"no {end}")
                return ""
            if end and self.here(end):
                self.at += len(end)
                return end
            if self.here("("):
                self.at += 1
                self.commands_to(")")
            elif self.text[self.at] in ";&|)":
                self.at += 1
            elif self.redirected():
                continue
            else:
                word = self.word()
                if word == "esac" and end == ";;":
                    return word
                if word in OPENERS or re.match(r"\w+=", word):
                    continue
                if word == "case":
                    self.case()
                elif word == "for":
                    self.blank()
                    self.word()
                    self.words()
                elif self.here("()"):
                    self.functions.add(word)
                    self.at += 2
                else:
                    self.simple(word)


def commands(text):
    """The commands that a script names, but not those that it defines or that its shell knows."""
    script = Script(text)
    script.commands_to("")
    # What is put together at run time cannot be known.
    return {name for name in script.commands if not re.search(r"[$`\"'*]", name)} - script.functions - BUILTINS


def scripts(root):
    """The shell scripts of a root."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(9) == b"#!/bin/sh":
                    yield path


def main():
    """Looks for what the scripts name."""
    if len(sys.argv) != 2:
        sys.exit("usage: commands.py TARGET_DIR")
    root = pathlib.Path(sys.argv[1])
    for path in scripts(root):
        try:
            found = commands(path.read_text())
        except (ValueError, IndexError) as error:
            sys.exit(f"commands.py: cannot read {path.relative_to(root)} as a script: {error}")
        for name in sorted(found):
            places = [name.lstrip("/")] if "/" in name else [f"usr/bin/{name}", f"usr/sbin/{name}"]
            if not any((root / place).is_symlink() or (root / place).exists() for place in places):
                sys.exit(f"commands.py: {path.relative_to(root)} uses {name}, which is not in the image")


if __name__ == "__main__":
    main()
