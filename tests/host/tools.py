#!/usr/bin/python3
"""Checks that each job installs every tool that it runs, on a Debian that has nothing but what every Debian has.

A tool that only happens to be on a developer's machine is missing on the first user's, late, and often under
another name: "there is no partition table" was a missing `sfdisk`. So each script is read for the commands it runs, each
target of the Makefile for the scripts it calls, and both for the packages that `image/need.sh` is asked for.
"""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]

# Which package has a tool that not every Debian has; of several, any will do.
PACKAGES = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "aarch64-linux-gnu-readelf": "binutils-aarch64-linux-gnu",
    "aarch64-linux-gnu-strip": "binutils-aarch64-linux-gnu",
    "bmaptool": "bmap-tools",
    "bzip2": "bzip2",
    "cargo": "cargo-web",
    "cc": "g++ gcc",
    "ccache": "ccache",
    "chromium": "chromium",
    "curl": "curl",
    "debootstrap": "debootstrap",
    "debugfs": "e2fsprogs",
    "depmod": "kmod",
    "dpkg-source": "dpkg-dev",
    "dtc": "device-tree-compiler",
    "e2fsck": "e2fsprogs",
    "fdtget": "device-tree-compiler",
    "fdtoverlay": "device-tree-compiler",
    "fdtput": "device-tree-compiler",
    "fsck.fat": "dosfstools",
    "g++": "g++",
    "genimage": "genimage",
    "git": "git",
    "make": "make",
    "mcopy": "mtools",
    "mdir": "mtools",
    "meson": "meson",
    "mke2fs": "e2fsprogs",
    "mkenvimage": "u-boot-tools",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.fat": "dosfstools",
    "mksquashfs": "squashfs-tools",
    "mount": "mount",
    "mtype": "mtools",
    "ninja": "ninja-build",
    "npm": "npm",
    "npx": "npm",
    "openssl": "openssl",
    "patch": "patch",
    "python3": "python3 python3-kconfiglib",
    "qemu-aarch64-static": "qemu-user-static",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-x86_64": "qemu-system-x86",
    "rauc": "rauc",
    "readelf": "binutils",
    "rustc": "rustc-web",
    "sfdisk": "fdisk",
    "shellcheck": "shellcheck",
    "unsquashfs": "squashfs-tools",
    "ustreamer": "ustreamer",
    "veritysetup": "cryptsetup-bin",
    "wget": "wget",
    "xz": "xz-utils",
}
# Another program that tar needs to read such a file.
COMPANIONS = {".tar.xz": "xz", ".tar.bz2": "bzip2"}
# Used only where `command -v` or `if` has found it.
ASKED_FOR = {"rustup", "sudo"}
BUILTINS = set("""
    . : [ break case cd command continue do done echo elif else esac eval exec exit export false fi for getopts hash if in kill local
    printf pwd read readonly return set shift test then times trap true type ulimit umask unset until wait while { } !""".split())
# Run whatever follows them; what is theirs begins with a dash or has an equals sign.
WRAPPERS = {"as_root", "env", "exec", "nice", "quietly", "setsid", "sudo", "xargs", "!", "if", "elif", "while", "until", "then", "do",
            "else", "{", "time"}
# Its functions are commands of every script, because nearly all of them source it.
LIBRARY = TOP / "image/lib.sh"
# These run in a guest, where `check-root.sh` looks after them.
IN_THE_GUEST = {"export-usb.sh", "peek.rs", "cable.rs"}


class Shell:
    """The commands of a shell script: for each, its words as they stand, without their quotes."""

    def __init__(self, text):
        self.text, self.at, self.commands, self.heredocs = text, 0, [], []
        while self.at < len(self.text):
            self.list()

    def list(self):
        """Reads up to the bracket that closes this list."""
        words, word, cases = [], None, []

        def end_word():
            nonlocal word, words
            if word is not None:
                words.append(word)
                if cases and cases[-1] == "subject" and word == "in":
                    cases[-1], words = "pattern", []
                elif cases and cases[-1] == "pattern":
                    words = []
                    if self.text.endswith("esac", 0, self.at):
                        cases.pop()
                elif word == "case" and WRAPPERS.issuperset(words[:-1]):
                    cases.append("subject")
            word = None

        def end_command():
            nonlocal words
            end_word()
            if words and not (cases and cases[-1] == "pattern"):
                self.commands.append(words)
            words = []

        while self.at < len(self.text):
            c, rest = self.text[self.at], self.text[self.at:]
            if rest.startswith("\\\n"):
                self.at += 2
            elif c == "\\":
                word, self.at = (word or "") + rest[1:2], self.at + 2
            elif c == "'":
                end = self.text.index("'", self.at + 1)
                word, self.at = (word or "") + self.text[self.at + 1:end], end + 1
            elif c == '"':
                word = (word or "") + self.quoted()
            elif rest.startswith("$((") or rest.startswith("${"):
                word = (word or "") + self.expansion()
            elif rest.startswith("$("):
                self.at += 2
                self.list()
                word = (word or "") + "$()"
            elif c == "#" and word is None:
                self.at = self.end_of_line()
            elif match := re.match(r"<<-?\s*['\"]?(\w+)['\"]?", rest):
                self.heredocs.append(match[1])
                self.at += match.end()
            elif match := re.match(r"[<>]{1,2}&?\s*", rest):
                if word is not None and not word.isdigit():
                    end_word()
                self.at += match.end()
                # Where to or from is no word of the command's.
                kept, word = words, None
                words = []
                while self.at < len(self.text) and self.text[self.at] not in " \t\n;&|()":
                    if self.text[self.at] == '"':
                        self.quoted()
                    elif self.text.startswith(("${", "$(("), self.at):
                        self.expansion()
                    elif self.text.startswith("$(", self.at):
                        self.at += 2
                        self.list()
                    else:
                        self.at += 1
                words = kept
            elif c in " \t":
                end_word()
                self.at += 1
            elif c == ")":
                self.at += 1
                if cases and cases[-1] == "pattern":
                    end_word()
                    words, cases[-1] = [], "body"
                    continue
                end_command()
                return
            elif c in "\n;&|(":
                end_command()
                self.at += 1
                if rest.startswith(";;"):
                    self.at += 1
                    cases[-1] = "pattern"
                elif rest.startswith("()"):
                    # A function's own name was taken for a command.
                    self.commands.pop()
                    self.at += 1
                elif c == "(":
                    self.list()
                elif c == "\n":
                    for end in self.heredocs:
                        while self.at < len(self.text) and self.text[self.at:self.end_of_line()] != end:
                            self.at = self.end_of_line() + 1
                        self.at = self.end_of_line()
                    self.heredocs = []
                if cases and cases[-1] == "body" and self.text[self.at:].lstrip().startswith("esac"):
                    cases.pop()
                    self.at = self.text.index("esac", self.at) + 4
            else:
                word, self.at = (word or "") + c, self.at + 1
        end_command()

    def end_of_line(self):
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def quoted(self):
        """Reads what stands between double quotes, and the commands in it."""
        text, self.at = "", self.at + 1
        while self.text[self.at] != '"':
            rest = self.text[self.at:]
            if rest.startswith("$((") or rest.startswith("${"):
                text += self.expansion()
            elif rest.startswith("$("):
                self.at += 2
                self.list()
                text += "$()"
            else:
                step = 2 if rest[0] == "\\" else 1
                text, self.at = text + rest[:step], self.at + step
        self.at += 1
        return text

    def expansion(self):
        """Steps over a parameter or a sum, with the commands in it."""
        begin = self.at
        open_, close = ("((", "))") if self.text.startswith("$((", self.at) else ("{", "}")
        self.at += 1 + len(open_)
        while not self.text.startswith(close, self.at):
            if self.text.startswith("$(", self.at) and not self.text.startswith("$((", self.at):
                self.at += 2
                self.list()
            elif self.text.startswith(("${", "$(("), self.at):
                self.expansion()
            elif self.text[self.at] == '"':
                self.quoted()
            else:
                self.at += 1
        self.at += len(close)
        return self.text[begin:self.at]


def run_by(commands):
    """The words that a shell would look for as programs."""
    for words in commands:
        words = list(words)
        # An option, and what it takes if that is a number.
        while words and (re.match(r"\w+=|-?\d+$", words[0]) or words[0] in WRAPPERS or words[0].startswith("-") and len(words) > 1):
            words.pop(0)
        if words:
            yield words[0]
        for at, word in enumerate(words[:-1]):
            if word in ("-exec", "-execdir"):
                yield words[at + 1]
            if word == "sh" and re.fullmatch("-[eu]*c", words[at + 1]) and at + 2 < len(words):
                yield from run_by(Shell(words[at + 2]).commands)


def functions(text):
    """The functions that a script defines."""
    return set(re.findall(r"^\s*([a-z_0-9]+)\(\) ?[{(]", text, re.M))


class Job:
    """What a script, or a recipe of the Makefile, runs, calls and installs."""

    def __init__(self, commands, known=()):
        self.tools, self.scripts, self.packages = set(), set(), set()
        for words in commands:
            for at, word in enumerate(words):
                if re.fullmatch(r"\S+\.(sh|py)", word):
                    self.scripts.add(word.rsplit("/", 1)[-1])
                if word.rsplit("/", 1)[-1] in ("need.sh", "need-qemu.sh"):
                    packages = (package.split(":")[0] for package in words[at + 1:])
                    self.packages |= {package for package in packages if re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", package)}
            line = " ".join(words)
            self.tools |= {tool for end, tool in COMPANIONS.items() if re.match(r"tar -?xf?", line) and end in line}
            if re.search(r"\bcargo test\b.*--test image\b", line):
                self.scripts.add("tests/image")
            elif re.search(r"\bcargo test\b", line):
                self.scripts.add("tests/host")
        for tool in run_by(commands):
            if "$" not in tool and "/" not in tool and tool not in BUILTINS and tool not in known:
                self.tools.add(tool)


def rust(folder):
    """What the tests in a folder run on this machine."""
    texts = [path.read_text() for path in folder.rglob("*.rs") if path.name not in IN_THE_GUEST]
    run = {tool for text in texts for tool in re.findall(r'Command::new\("([^"$]+)"\)', text)}
    run |= {tool for text in texts for tool in re.findall(r'&\["(mk[\w.]+)"', text)}
    job = Job([[tool] for tool in run])
    # By way of `setpriv`, which ends it together with the test.
    job.tools |= {tool for text in texts for tool in re.findall(r'"(qemu-system-\w+)"', text)}
    job.scripts |= {name for text in texts for name in re.findall(r'[\w-]+\.sh', text)} - IN_THE_GUEST
    return job


def jobs():
    """Every script of ours by its name, and every target of the Makefile by its own."""
    found = {}
    for path in subprocess.check_output(["git", "ls-files", "-z", "--", *(f"{folder}/*.{end}" for folder in ("board", "image", "tests") for end in ("sh", "py"))], cwd=TOP, text=True).split("\0"):
        if not path or pathlib.Path(path).name in IN_THE_GUEST or not (TOP / path).exists():
            continue
        text = (TOP / path).read_text()
        if path.endswith(".py"):
            lists = re.findall(r"(?:run|check_output)\(\s*\[\"([\w.-]+)\"", text)
            found[pathlib.Path(path).name] = Job([[tool] for tool in lists])
        else:
            found[pathlib.Path(path).name] = Job(Shell(text).commands, functions(text) | functions(LIBRARY.read_text()))
    found["tests/image"], found["tests/host"] = rust(TOP / "tests/image"), rust(TOP / "tests/host")
    # It looks first whether there is another compiler, and collects what it asks for.
    found["need-build.sh"].tools -= {"cargo", "node"}
    wanted = Shell((TOP / "image/need-build.sh").read_text()).commands
    found["need-build.sh"].packages |= {word for words in wanted if words[:2] == ["set", "--"] for word in words[2:]}
    return found


def targets():
    """The Makefile's targets: what each asks for first, and what it then does."""
    text = (TOP / "Makefile").read_text().replace("\\\n", " ")
    variables = dict(re.findall(r"^([A-Z_]+) = (.*)$", text, re.M))
    text = re.sub(r"\$\(([A-Z_]+)\)", lambda name: variables.get(name[1], "$" + name[1]), text)
    found = {}
    for match in re.finditer(r"^([a-z][^:=\n]*):(?!=)([^#\n]*)(?:#.*)?\n((?:\t.*\n)*)", text, re.M):
        recipe = re.sub(r"^\t[@+]*", "", match[3], flags=re.M).replace("$$", "$")
        recipe = re.sub(r"\$\([^()]*:[^()]*\)|\$\(abspath [^()]*\)", "$variant", recipe)
        commands = Shell(recipe).commands
        first = re.sub(r"\$\(.*\)", "", match[2]).split()
        for words in commands:
            first += words[words.index("make"):] if "make" in words else []
        for name in match[1].split():
            found[name] = (first, Job(commands))
    return found


class Tools(unittest.TestCase):
    """Each job installs the tools that it runs."""

    maxDiff = None

    def setUp(self):
        self.jobs, self.targets = jobs(), targets()
        essential = subprocess.check_output(
            ["dpkg-query", "-W", "-f", "${binary:Package} ${Essential}\n"], text=True).splitlines()
        essential = [line.split()[0] for line in essential if line.endswith(" yes")] + ["apt"]
        files = subprocess.check_output(["dpkg-query", "-L", *essential], text=True).splitlines()
        self.base = {os.path.basename(file) for file in files if re.match(r"(/usr)?/s?bin/", file)} | {"awk"}

    def reach(self, names):
        """All that these scripts do, with those that they call: which tools (and who wants them), and which packages."""
        seen, tools, packages, wanted = set(), {}, set(), list(names)
        while wanted:
            name = wanted.pop()
            if name in seen or name not in self.jobs:
                continue
            seen.add(name)
            job = self.jobs[name]
            wanted += job.scripts
            packages |= job.packages
            for tool in job.tools:
                tools.setdefault(tool, name)
        return tools, packages

    def missing(self, name, tools, packages):
        """What of `tools` no package brings."""
        for tool, who in sorted(tools.items()):
            if tool in PACKAGES and not set(PACKAGES[tool].split()) & packages:
                yield f"{name}: {who} runs {tool}, and nothing installs {PACKAGES[tool].replace(' ', ' or ')}"

    def test_the_reader_of_shell_sees_commands_wherever_they_stand(self):
        script = """
            f() {  # no-command here
            	first "$(second a "$(third)")" >"$(fourth)" 2>/dev/null | fifth || sixth && ! seventh
            }
            A=1 exec eighth 'not | these'; if ninth; then tenth "${x:-$(eleventh)}"; fi
            case $x in
            not | these) twelfth ;;
            *) thirteenth $(($(fourteenth) + 1)) ;;
            esac
            cat <<END
            not these
            END
            find . -exec fifteenth {} + | while read -r x; do sixteenth; done
            (seventeenth && (eighteenth)) && nineteenth \\
            	not-this
        """.replace("            ", "")
        words = [word for word in run_by(Shell(script).commands) if word not in BUILTINS]
        ordinals = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
                    "fifteenth sixteenth seventeenth eighteenth nineteenth")
        self.assertEqual({*ordinals.split(), "cat", "find"}, set(words))

    def test_every_tool_is_of_every_debian_or_its_package_is_known(self):
        known = self.base | set(PACKAGES) | ASKED_FOR
        unknown = [f"{name} runs {tool}: which package has it? Name it in {pathlib.Path(__file__).name}"
                   for name, job in [*self.jobs.items(), *((name, job) for name, (_, job) in self.targets.items())]
                   for tool in sorted(job.tools - known)]
        self.assertEqual([], unknown)

    def test_the_packages_that_are_named_have_the_tools(self):
        wrong = []
        for tool, packages in PACKAGES.items():
            for package in packages.split():
                listing = subprocess.run(["dpkg-query", "-L", package], text=True, capture_output=True, check=False)
                names = {os.path.basename(file) for file in listing.stdout.splitlines()}
                # Several packages leave it to others that they depend on, or to a link that they make.
                if listing.returncode == 0 and tool not in names and package not in self.by_way_of_others(package, tool):
                    wrong.append(f"{package} has no {tool}")
        self.assertEqual([], wrong)

    def by_way_of_others(self, package, tool):
        """The package, if what it depends on has the tool, or the tool is a link of its own."""
        depends = subprocess.check_output(["dpkg-query", "-W", "-f", "${Depends}", package], text=True)
        path = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        owner = path and subprocess.run(["dpkg-query", "-S", os.path.realpath(path), path], text=True, capture_output=True,
                                        check=False).stdout
        return {package} if owner and any(f"{line.split(':')[0]}" in depends + package for line in owner.splitlines()) else set()

    def test_every_target_installs_what_it_runs(self):
        missing = []
        for target in self.targets:
            seen, wanted, tools, packages = set(), [target], {}, set()
            while wanted:
                name = wanted.pop()
                if name in seen or name not in self.targets:
                    continue
                seen.add(name)
                first, job = self.targets[name]
                wanted += first
                reached = self.reach(job.scripts)
                packages |= job.packages | reached[1]
                tools |= {tool: f"make {name}" for tool in job.tools} | reached[0]
            # It runs already.
            tools.pop("make", None)
            missing += self.missing(f"make {target}", tools, packages)
        self.assertEqual([], missing)

    def test_every_script_that_people_call_installs_what_it_runs(self):
        missing = []
        for name in ("assemble.sh", "bundle.sh", "buildroot.sh", "keys.sh", "pack.sh", "run-qemu.sh", "fresh.sh"):
            tools, packages = self.reach([name])
            missing += self.missing(name, tools, packages)
        self.assertEqual([], missing)


if __name__ == "__main__":
    unittest.main()
