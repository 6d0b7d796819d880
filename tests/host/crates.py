#!/usr/bin/python3
"""Checks that every crate we build from comes under terms that deny.toml allows, from crates.io, in a version that is limited.

It asks cargo what it would build for either processor, tests and build scripts included, and takes a second: `cargo deny`,
whose file it reads, is in no package of Debian's and would take longer to build than all else that is checked.
"""

import json
import pathlib
import re
import subprocess
import tomllib
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
RULES = tomllib.loads((TOP / "deny.toml").read_text())
# What cargo calls crates.io in a lock.
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def allows(terms, allowed):
    """Whether an SPDX expression can be met by licences that are allowed. Old crates write `/` for OR."""
    tokens = re.findall(r"[()]|[\w.+-]+", terms.replace("/", " OR "))

    def alternatives():
        met = together()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = together() or met
        return met

    def together():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        licence = tokens.pop(0)
        if licence == "(":
            met = alternatives()
            if tokens.pop(0) != ")":
                raise ValueError(f"no expression of SPDX: {terms}")
            return met
        if tokens[:1] == ["WITH"]:
            licence = " ".join([licence, tokens.pop(0), tokens.pop(0)])
        return licence in allowed

    met = alternatives()
    if tokens:
        raise ValueError(f"no expression of SPDX: {terms}")
    return met


def offences(package, rules):
    """What is wrong with a crate, as `cargo metadata` tells of it."""
    name = f"{package['name']} {package['version']}"
    if not package["license"]:
        yield f"{name} does not say under which terms it comes"
    elif not allows(package["license"], rules["licenses"]["allow"]):
        yield f"{name} comes under {package['license']}, which deny.toml does not allow"
    # One without a source is in our own tree.
    if package["source"] not in (None, REGISTRY):
        yield f"{name} comes from {package['source']}, not from crates.io"
    for wanted in package["dependencies"]:
        if wanted["req"] == "*" and (package["source"] is None or wanted["kind"] != "dev"):
            yield f"{name} takes any version of {wanted['name']}"


class Crates(unittest.TestCase):
    """What may be built into Farhand."""

    def test_every_crate_is_of_a_kind_that_is_let_in(self):
        self.assertEqual({"licenses": {"allow"}, "bans": {"multiple-versions", "wildcards"}, "graph": {"targets"},
                          "sources": {"unknown-registry", "unknown-git"}}, {table: set(RULES[table]) for table in RULES},
                         "deny.toml has rules that nothing here checks")
        for target in RULES["graph"]["targets"]:
            metadata = json.loads(subprocess.check_output(
                ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform", target], cwd=TOP))
            self.assertGreater(len(metadata["packages"]), 100)
            self.assertEqual([], [offence for package in metadata["packages"] for offence in offences(package, RULES)])

    def test_a_crate_of_another_kind_is_refused_by_name(self):
        good = {"name": "a", "version": "1.0.0", "license": "MIT", "source": REGISTRY, "dependencies": []}

        def said(**changes):
            return " ".join(offences(good | changes, RULES))

        self.assertEqual("", said())
        self.assertIn("a 1.0.0 comes under GPL-3.0-only", said(license="GPL-3.0-only"))
        self.assertIn("does not say", said(license=None))
        self.assertIn("not from crates.io", said(source="git+https://example.org/a#0"))
        self.assertIn("not from crates.io", said(source="registry+https://example.org/index"))
        wild = {"name": "b", "req": "*", "kind": None}
        self.assertIn("any version of b", said(dependencies=[wild]))
        self.assertEqual("", said(dependencies=[wild | {"kind": "dev"}]))
        self.assertIn("any version of b", said(source=None, dependencies=[wild | {"kind": "dev"}]))

    def test_terms_are_met_by_one_of_several_or_by_all_that_are_joined(self):
        for terms in ("A", "A OR X", "X OR A", "X/A", "A AND B", "(X OR A) AND B", "A AND (X OR B) AND C WITH D", "X AND Y OR A"):
            self.assertTrue(allows(terms, ["A", "B", "C WITH D"]), terms)
        for terms in ("X", "A AND X", "X AND A", "(A OR B) AND X", "C", "A WITH D", "X OR Y", "A AND X OR Y"):
            self.assertFalse(allows(terms, ["A", "B", "C WITH D"]), terms)
        self.assertRaises(ValueError, allows, "A B", ["A", "B"])


if __name__ == "__main__":
    unittest.main()
