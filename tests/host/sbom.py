#!/usr/bin/python3
"""Checks the list of an image's parts: a part that it misses is a hole that nobody hears of."""

import os
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "image"))

import sbom  # noqa: E402  The path to it is only known now.


class Parts(unittest.TestCase):
    """What is in an image, and what is not."""

    def test_crates_are_those_that_the_daemon_links_each_with_its_terms(self):
        crates = {part["name"]: part for part in sbom.crates()}
        self.assertIn("rustls", crates)
        self.assertIn("http-body-util", crates)
        # Build scripts' own tools are not in the image.
        self.assertNotIn("cmake", crates)
        for crate in crates.values():
            self.assertIn("licenses", crate)
            self.assertRegex(crate["purl"], r"^pkg:cargo/[\w-]+@\d")

    def test_modules_are_those_of_the_page_without_its_tools(self):
        modules = {part["name"]: part for part in sbom.modules()}
        self.assertIn("preact", modules)
        self.assertNotIn("vite", modules)

    def test_a_package_is_listed_when_one_of_its_programs_is_in_the_root(self):
        with tempfile.TemporaryDirectory() as directory:
            os.environ["FARHAND_CACHE"] = directory
            root, cache = pathlib.Path(directory, "root"), pathlib.Path(directory)
            for package, content in (
                    ("deb-there:arm64-1:2+b3", "same"), ("deb-there:arm64-1:1", "older"), ("deb-other:arm64-4", "x")):
                library = cache / package / "usr/lib/aarch64-linux-gnu/libthere.so.1.2"
                library.parent.mkdir(parents=True)
                library.write_text(content)
            (root / "usr/lib").mkdir(parents=True)
            (root / "usr/lib/libthere.so.1").write_text("same")
            self.assertEqual([("there", "1:2+b3", "pkg:deb/debian/there@1:2%2Bb3?arch=arm64")],
                             [(part["name"], part["version"], part["purl"]) for part in sbom.debian(root)])
            # Another version with the same bytes, which a listing has before the older; and one that has less of them.
            for version, content in (("1:10", "same"), ("1:11", "newer")):
                library = cache / f"deb-there:arm64-{version}/usr/lib/aarch64-linux-gnu/libthere.so.1.2"
                library.parent.mkdir(parents=True)
                library.write_text(content)
                (library.parent / "libbeside.so.1").write_text("beside")
            (root / "usr/lib/libbeside.so.1").write_text("beside")
            self.assertEqual(["1:10"], [part["version"] for part in sbom.debian(root)])
            (root / "usr/lib/libbeside.so.1").unlink()
            (root / "usr/lib/libthere.so.1").write_text("of nobody")
            self.assertRaises(SystemExit, sbom.debian, root)


if __name__ == "__main__":
    unittest.main()
