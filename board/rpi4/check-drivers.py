#!/usr/bin/env python3
"""Check that the kernel has a driver for all that a Pi cannot do without, and for all that this hangs on.

Usage: check-drivers.py TREE.dtb IMAGE MODULES

TREE is the device tree as Linux gets it, IMAGE the kernel unpacked, MODULES the directory with modules.alias in the root
that goes with it. A device whose supplier (a clock, a regulator, a pin of the firmware's) has no driver waits for it for
ever, without a word. QEMU's model of a Pi lacks some of these suppliers, so that a test there would not notice.
"""

import re
import struct
import sys

# What has to work, and what of the appliance it is.
NEEDED = {
    "/emmc2bus/mmc@7e340000": "the card",
    "/scb/ethernet@7d580000": "the network",
    "/scb/pcie@7d500000": "the USB sockets",
    "/scb/pcie@7d500000/pci@0,0/usb@0,0": "the USB sockets' controller",
    "/soc/usb@7e980000": "the keyboard that the target sees",
    "/soc/gpio@7e200000": "relays and lamps",
    "/soc/serial@7e201000": "the console",
    "/soc/watchdog@7e100000": "what ends a hang",
    "/soc/rng@7e104000": "true randomness",
    "/soc/avs-monitor@7d5d2000/thermal": "the temperature",
    "/soc/firmware": "the firmware: clocks, voltage, pins",
    "/soc/mailbox@7e00b880": "the way to the firmware",
    "/soc/dma-controller@7e007000": "large transfers",
    "/timer": "the processors' clocks",
    "/soc/interrupt-controller@40041000": "interrupts",
    "/soc/csi@7e801000": "a picture from the camera connector",
    "/i2c-mux0/i2c@1/hdmi-bridge@f": "the bridge on the camera connector",
}

# Suppliers that a device can do without, each with the reason.
SPARED = {
    "/soc/dsi@7e209000": "the clock controller takes two clocks from displays, and counts on neither",
    "/soc/dsi@7e700000": "the same",
}

# What Linux handles without a driver that names it: buses and containers that it walks by itself.
PLAIN = {"simple-bus", "simple-mfd", "syscon", "arm,primecell", "shared-dma-pool"}

# Properties that name suppliers, and the property of the supplier that says how many numbers follow its name.
CELLS = {
    "clocks": "#clock-cells",
    "resets": "#reset-cells",
    "power-domains": "#power-domain-cells",
    "phys": "#phy-cells",
    "dmas": "#dma-cells",
    "mboxes": "#mbox-cells",
    "pwms": "#pwm-cells",
    "iommus": "#iommu-cells",
    "thermal-sensors": "#thermal-sensor-cells",
    "interrupts-extended": "#interrupt-cells",
    "nvmem-cells": None,
    "phy-handle": None,
    "usb-phy": None,
    "i2c-parent": None,
    "interrupt-parent": None,
    "msi-parent": None,
    "firmware": None,
    "mmc-pwrseq": None,
    "memory-region": None,
    "remote-endpoint": None,
}
SUPPLY = re.compile(r"-supply$|^pinctrl-\d+$")
PINS = re.compile(r"(^|-)gpios?$")


def read(blob):
    """The nodes of a flattened tree: path -> property -> bytes (Devicetree Specification 0.4, chapter 5)."""
    magic, _, structure, strings = struct.unpack_from(">4I", blob)
    if magic != 0xD00DFEED:
        sys.exit("this is no device tree")
    nodes, path, at = {}, [], structure
    while True:
        (token,) = struct.unpack_from(">I", blob, at)
        at += 4
        if token == 1:
            end = blob.index(b"\0", at)
            path.append(blob[at:end].decode())
            nodes["/".join(path) or "/"] = {}
            at = end + 1
        elif token == 2:
            path.pop()
        elif token == 3:
            length, name = struct.unpack_from(">2I", blob, at)
            end = blob.index(b"\0", strings + name)
            nodes["/".join(path) or "/"][blob[strings + name : end].decode()] = blob[at + 8 : at + 8 + length]
            at += 8 + length
        elif token == 9:
            return nodes
        at = (at + 3) & ~3


def numbers(value):
    """A property's cells."""
    return struct.unpack(f">{len(value) // 4}I", value[: len(value) // 4 * 4])


def words(value):
    """A property's strings."""
    return value.decode(errors="replace").rstrip("\0").split("\0")


class Tree:
    """A device tree, and what in it hangs on what."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.named = {numbers(node["phandle"])[0]: path for path, node in nodes.items() if "phandle" in node}

    def device(self, path):
        """The device that a node belongs to: itself, or the nearest above it that has a driver."""
        while path and "compatible" not in self.nodes[path]:
            path = path.rpartition("/")[0]
        return path

    def suppliers(self, path):
        """What a node names: the property and the node that it means."""
        for name, value in self.nodes[path].items():
            if name not in CELLS and not SUPPLY.search(name) and not PINS.search(name):
                continue
            cells, at = numbers(value), 0
            while at < len(cells):
                supplier = self.named.get(cells[at])
                if supplier is None:
                    break
                yield name, supplier
                count = "#gpio-cells" if PINS.search(name) else CELLS.get(name)
                at += 1 + (numbers(self.nodes[supplier].get(count, b"\0\0\0\0"))[0] if count else 0)

    def reached(self, start):
        """Every device that one hangs on, and why: device -> the way to it."""
        ways, left = {}, [(start, start)]
        while left:
            path, way = left.pop()
            if path in ways or path in SPARED:
                continue
            ways[path] = way
            for name, supplier in self.suppliers(path):
                left.append((supplier, f"{way}, whose {name} is {supplier}"))
            device = self.device(path)
            if device and device != path:
                left.append((device, f"{way} on {device}"))
            above = self.device(path.rpartition("/")[0])
            if above:
                left.append((above, f"{way} on {above}"))
        return {path: way for path, way in ways.items() if "compatible" in self.nodes[path]}


def main(tree, image, modules):
    """Say what has no driver; the exit status is whether that is nothing."""
    with open(tree, "rb") as file:
        tree = Tree(read(file.read()))
    with open(image, "rb") as file:
        image = file.read()
    with open(f"{modules}/modules.alias", encoding="utf-8") as file:
        loaded = set(re.findall(r"^alias of:N\S*?C(\S+?)(?:C\*)? ", file.read(), re.M))
    said = set()
    for start, purpose in NEEDED.items():
        if start not in tree.nodes:
            said.add(f"{purpose}: the device tree has no {start}")
            continue
        if words(tree.nodes[start].get("status", b"okay\0"))[0] not in ("okay", "ok"):
            said.add(f"{purpose}: {start} is switched off")
        for path, way in tree.reached(start).items():
            drivers = words(tree.nodes[path]["compatible"])
            if not any(name in PLAIN or name in loaded or b"\0" + name.encode() + b"\0" in image for name in drivers):
                said.add(f"{purpose} needs a driver for {' or '.join(drivers)}: {way}")
    for line in sorted(said):
        print(f"check-drivers.py: {line}", file=sys.stderr)
    return bool(said)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
