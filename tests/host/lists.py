#!/usr/bin/python3
"""Checks that a root with a program or a driver too many, or too few, is refused by its name."""

import pathlib
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "board/common"))

import contents  # noqa: E402  The path to it is only known now.

# What only a test needs, and what a Pi would load, as root, for whatever is plugged into it.
FOR_TESTS = {"usb_storage", "sd_mod", "sr_mod", "scsi_mod", "hid", "usbhid", "evdev", "vivid", "dummy_hcd", "gpio_sim", "softdog",
             "i6300esb"}


class Lists(unittest.TestCase):
    """What may be in a root."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def write(self, name, content=b"", mode=0o644):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def module(self, name, *needs):
        return self.write(f"usr/lib/modules/1/kernel/{name}.ko", b"\x7fELF\0depends=" + ",".join(needs).encode() + b"\0name=x\0")

    def fill(self, board):
        """Makes a root that has what the lists name."""
        for name in contents.listed(board, "programs"):
            self.write(f"usr/bin/{name}", mode=0o755)
        for name in contents.listed(board, "modules") | contents.listed(board, "modules.by-name"):
            self.module(name)
        for name in contents.overlaid(board):
            self.write(name, mode=0o755)
        self.write("usr/lib/libx.so.1", mode=0o755)
        self.write("usr/lib/modules/1/modules.alias", b"alias usb:v*p*d*dc*dsc*dp*ic0Eisc01ip00in* uvcvideo\n")

    def refused(self, board, complaint, path):
        """Expects a complaint, and takes away what gave rise to it."""
        with self.assertRaisesRegex(SystemExit, complaint):
            contents.check(self.root, board)
        path.unlink()
        contents.check(self.root, board)

    def test_what_is_too_much_or_too_little_is_named(self):
        self.fill("rpi4")
        contents.check(self.root, "rpi4")
        where = "board/common/programs or board/rpi4/programs"
        self.refused("rpi4", f"a program that is not in {where}: mke2fs", self.write("usr/sbin/mke2fs"))
        self.refused("rpi4", f"a program that is not in {where}: /etc/hidden", self.write("etc/hidden", mode=0o755))
        self.refused("rpi4", f"a program that is not in {where}: /usr/lib/x/helper", self.write("usr/lib/x/helper", mode=0o755))
        link = self.root / "usr/bin/nc"
        link.symlink_to("busybox")
        self.refused("rpi4", f"a program that is not in {where}: nc", link)
        self.refused("rpi4", "a module that is not in board/common/modules or board/rpi4/modules: usb_storage",
            self.module("usb-storage"))
        self.refused("rpi4", f"a program that is not in {where}: /rauc", self.write("rauc", mode=0o755))
        (self.root / "usr/bin/rauc").unlink()
        with self.assertRaisesRegex(SystemExit, f"a program of {where} that is not in the root: rauc"):
            contents.check(self.root, "rpi4")
        self.write("usr/bin/rauc", mode=0o755)
        self.module("tc358743").unlink()
        with self.assertRaisesRegex(SystemExit, "a module of .* that is not in the root: tc358743"):
            contents.check(self.root, "rpi4")

    def test_a_module_has_what_it_needs(self):
        self.fill("rpi4")
        self.module("uvcvideo", "uvc", "videobuf2-v4l2")
        contents.check(self.root, "rpi4")
        self.module("uvcvideo", "uvc", "videodev")
        with self.assertRaisesRegex(SystemExit, "the module uvcvideo needs videodev, which is not in the root"):
            contents.check(self.root, "rpi4")

    def test_no_device_can_ask_for_what_is_loaded_by_name_alone(self):
        self.fill("rpi4")
        self.write("usr/lib/modules/1/modules.alias", b"# none\nalias usb:v*p*d*dc*dsc*dp*ic02isc06ip00in* cdc_ether\n")
        with self.assertRaisesRegex(SystemExit, "a device can ask for a module .*: alias usb:.* cdc_ether"):
            contents.check(self.root, "rpi4")

    def test_a_pi_has_nothing_that_only_a_test_needs(self):
        self.assertEqual(set(), FOR_TESTS & contents.listed("rpi4", "modules"))
        self.assertEqual(set(), FOR_TESTS & contents.listed("rpi4", "modules.by-name"))
        self.assertLessEqual(FOR_TESTS, contents.listed("virt", "modules"))


if __name__ == "__main__":
    unittest.main()
