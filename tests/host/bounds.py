#!/usr/bin/python3
"""Checks that what services and strangers can fill leaves room for the rest."""

import pathlib
import re
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
OVERLAY = TOP / "overlay"
MIB = 1 << 20


def mounted(place):
    """The size of the tmpfs that rcS mounts there, in bytes."""
    found = re.search(rf"^mount -t tmpfs -o \S*\bsize=(\d+)m \w+ {place}$", (OVERLAY / "etc/init.d/rcS").read_text(), re.M)
    return int(found[1]) * MIB if found else None


class Bounds(unittest.TestCase):
    """What is bounded, by how much."""

    def test_logs_cannot_fill_the_folder_by_which_the_processes_talk(self):
        self.assertIsNotNone(mounted("/run"))
        size = mounted("/run/log")
        self.assertIsNotNone(size, "logs and sockets share a file system")
        text = (OVERLAY / "usr/libexec/service-log").read_text()
        length, files = (int(number) for number in re.search(r"printf 's(\d+)\\nn(\d+)\\n'", text).groups())
        services = len(list((OVERLAY / "etc/sv").iterdir()))
        # svlogd's own current file comes on top, and once more what e2fsck says.
        self.assertLess(services * (files + 1) * length + MIB, size)

    def test_what_all_strangers_may_send_unread_fits_into_a_small_boards_memory(self):
        text = (TOP / "src/net/gate/unauthenticated.rs").read_text()
        strangers = int(re.search(r"^const IN_ALL: usize = (\d+);$", text, re.M)[1])
        settings = (OVERLAY / "etc/sysctl.conf").read_text()
        largest = re.search(r"^net\.ipv4\.tcp_rmem = \d+ \d+ (\d+)$", settings, re.M)
        self.assertIsNotNone(largest, "the kernel's own limit is 6 MB for each")
        # The smallest board has 1 GB.
        self.assertLessEqual(strangers * int(largest[1]), 128 * MIB)


if __name__ == "__main__":
    unittest.main()
