#!/usr/bin/python3
"""Holds a root to the lists of its board: the programs and the kernel's modules that may be in it.

Usage: contents.py prune|check TARGET_DIR BOARD

A list is board/common/NAME and board/BOARD/NAME together, where NAME is `programs`, `modules`, or
`modules.by-name`, which no device can ask for. Both builds prune before they pack a root; the check goes
both ways, so what two builds make for a board cannot differ in more than versions.
"""

import pathlib
import re
import shutil
import subprocess
import sys

BOARDS = pathlib.Path(__file__).resolve().parents[1]


def die(text):
    """Ends with a sentence on what is wrong."""
    sys.exit(f"contents.py: {text}")


def listed(board, name):
    """What the lists of a board name."""
    files = [path for path in (BOARDS / "common" / name, BOARDS / board / name) if path.is_file()]
    return {word for file in files for line in file.read_text().splitlines() for word in line.split("#")[0].split()}


def overlaid(board):
    """The paths that our own overlays fill."""
    tops = [BOARDS.parent / "overlay", BOARDS / board / "overlay"]
    return {str(path.relative_to(top)) for top in tops for path in top.rglob("*") if not path.is_dir()}


def programs(root, board):
    """Everything in the root that could be run, by name; libraries and what the overlay brought aside."""
    own = overlaid(board)
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root)
        if path.is_dir() or str(place) in own:
            continue
        command = place.parts[-2:-1] in (("bin",), ("sbin",))
        library = place.parts[:2] == ("usr", "lib") and re.search(r"\.so(\.|$)", place.name)
        if command or (not path.is_symlink() and path.stat().st_mode & 0o111 and not library):
            yield place.name if command else f"/{place}", path


def modules(root):
    """The kernel's modules in the root, by the name that the kernel knows them by."""
    for path in sorted((root / "usr/lib/modules").rglob("*.ko")):
        yield path.stem.replace("-", "_"), path


def needs(path):
    """What a module says that it needs."""
    return {name.decode().replace("-", "_") for text in re.findall(rb"\0depends=([^\0]*)\0", b"\0" + path.read_bytes())
            for name in text.split(b",") if name}


def prune(root, board):
    """Leaves out of the root what no list names."""
    shutil.which("depmod") or die("there is no depmod: install kmod")
    allowed = {"program": listed(board, "programs"), "module": listed(board, "modules") | listed(board, "modules.by-name")}
    for kind, found in (("program", list(programs(root, board))), ("module", list(modules(root)))):
        out = [(name, path) for name, path in found if name not in allowed[kind]]
        for _, path in out:
            path.unlink()
        if out:
            print(f"contents.py: left out, {kind}s: {' '.join(name for name, _ in out)}", file=sys.stderr)
    for release in (root / "usr/lib/modules").iterdir():
        subprocess.run(["depmod", "-b", root, release.name], check=True)
        # Only the text is read, by BusyBox; and what no device may ask for answers to its name alone.
        for file in release.glob("modules.*.bin"):
            file.unlink()
        for name in ("modules.alias", "modules.symbols"):
            lines = (release / name).read_text().splitlines(keepends=True)
            (release / name).write_text("".join(
                line for line in lines if line.split()[-1:] not in ([by] for by in listed(board, "modules.by-name"))))


def check(root, board):
    """Says what is too much in the root, or too little."""
    by_name = listed(board, "modules.by-name")
    for kind, found, asked in (
            ("program", dict(programs(root, board)), listed(board, "programs")),
            ("module", dict(modules(root)), listed(board, "modules") | by_name)):
        where = f"board/common/{kind}s or board/{board}/{kind}s"
        for name in sorted(found.keys() - asked):
            die(f"a {kind} that is not in {where}: {name}")
        for name in sorted(asked - found.keys()):
            die(f"a {kind} of {where} that is not in the root: {name}")
    for name, path in modules(root):
        for other in sorted(needs(path) - {name for name, _ in modules(root)}):
            die(f"the module {name} needs {other}, which is not in the root")
    for file in (root / "usr/lib/modules").glob("*/modules.alias*"):
        for line in file.read_bytes().splitlines():
            if line.split()[-1:] and line.split()[-1].decode(errors="replace") in by_name:
                die(f"a device can ask for a module that is to be loaded by name alone: {line.decode(errors='replace')}")


def main():
    """Does what the first argument says."""
    if len(sys.argv) != 4 or sys.argv[1] not in ("prune", "check"):
        sys.exit("usage: contents.py prune|check TARGET_DIR BOARD")
    root, board = pathlib.Path(sys.argv[2]), sys.argv[3]
    if not (BOARDS / board / "board.conf").is_file():
        die(f"there is no board {board}")
    {"prune": prune, "check": check}[sys.argv[1]](root, board)


if __name__ == "__main__":
    main()
