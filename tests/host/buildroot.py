#!/usr/bin/python3
"""Checks Buildroot's external tree without Buildroot.

Buildroot drops what it does not know without a word, and a build with it takes hours and the
internet. What can be wrong on our side alone is found here, in a second.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest

import kconfiglib

TOP = pathlib.Path(__file__).resolve().parents[2]
TREE = TOP / "buildroot"
DEFCONFIGS = sorted(TREE.glob("configs/*_defconfig"))
PACKAGES = sorted(path.name for path in TREE.glob("package/*"))

# What of Buildroot's Kconfig ours leans on: a symbol that is missing here cannot be depended on by accident.
KCONFIG = """
config BR2_PACKAGE_HOST_RUSTC_TARGET_ARCH_SUPPORTS
	def_bool y
config BR2_TOOLCHAIN_USES_GLIBC
	def_bool y
config BR2_INSTALL_LIBSTDCPP
	def_bool y
config BR2_PACKAGE_HOST_RUSTC
	bool
config BR2_PACKAGE_HAS_SKELETON
	bool
config BR2_PACKAGE_PROVIDES_SKELETON
	string
choice
	prompt "skeleton"
config BR2_ROOTFS_SKELETON_DEFAULT
	bool "default"
source "$BR2_EXTERNAL_FARHAND_PATH/provides/skeleton.in"
endchoice
source "$BR2_EXTERNAL_FARHAND_PATH/Config.in"
"""

# Buildroot's package types, as recorders; a package is named by the directory of its .mk file.
MAKE = """
cargo-package = $(eval KINDS += $(notdir $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST)))))=cargo)
generic-package = $(eval KINDS += $(notdir $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST)))))=generic)
qstrip = $(subst ",,$(1))
BR2_ROOTFS_POST_SCRIPT_ARGS = "some-board"
include $(BR2_EXTERNAL_FARHAND_PATH)/external.mk
all:
	@echo 'kinds: $(KINDS)'
	@echo 'version: $(FARHAND_VERSION)'
	@echo 'site: $(FARHAND_SITE)'
	@echo 'licences: $(FARHAND_LICENSE_FILES)'
	@echo 'build: $(FARHAND_BUILD) $(FARHAND_VARIANT) $(FARHAND_BOARD)'
"""


def values(path):
    """The lines `KEY=value` of a configuration."""
    return dict(re.findall(r'^(\w+)=(.*)$', path.read_text(), re.M))


def number(version):
    """A version that can be compared."""
    return tuple(int(part) for part in version.split("."))


# A `make` that has every answer that it was given survive, but one.
FORGETFUL = r"""#!/bin/sh
source=.
for word in "$@"; do
	case $before in -C) source=$word ;; esac
	case $word in
	KCONFIG_ALLCONFIG=*) cp "${word#*=}" "$source/.config" ;;
	O=*) mkdir -p "${word#*=}" && source=${word#*=} ;;
	*_defconfig) [ ! -e "$CONFIGS/$word" ] || cp "$CONFIGS/$word" "$source/.config" ;;
	esac
	before=$word
done
[ ! -e "$source/.config" ] || sed -i "/^$LOST=/d" "$source/.config"
"""


def program(path, text="#!/bin/sh\n"):
    """Writes a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Answers(unittest.TestCase):
    """What each build asks of Kconfig."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)
        for part in ("image", "board", "buildroot"):
            shutil.copytree(TOP / part, self.work / part, symlinks=True)
        for tool in ("patch", "git"):
            program(self.work / "bin" / tool)
        program(self.work / "bin/make", FORGETFUL)
        program(self.work / "image/need.sh")
        program(self.work / "image/need-buildroot.sh", '#!/bin/sh\necho "$PWD/source"\n')
        program(self.work / "image/linux.sh", "#!/bin/sh\necho 1 /dev/null\n")
        program(self.work / "source/scripts/kconfig/merge_config.sh", '#!/bin/sh\nfor last; do :; done\ncp "$last" "$3/.config"\n')
        (self.work / "source/.config").touch()

    def test_every_build_names_the_option_that_kconfig_has_dropped(self):
        fragments = sorted(path for path in TOP.glob("board/*/linux/*.config"))
        callers = {"kernel-build.sh": fragments, "uboot-build.sh": [TOP / "board/rpi4/u-boot/farhand.config"],
                   "busybox-build.sh": [TOP / "board/common/busybox.config"], "buildroot.sh": DEFCONFIGS}
        self.assertEqual(callers.keys(), {path.name for path in TOP.glob("image/*.sh") if "check-config.sh" in path.read_text()})
        for caller, files in callers.items():
            name, value = re.findall(r"^(\w+)=(y|m)$", "".join(file.read_text() for file in files), re.M)[0]
            arguments = ["rpi4"] if caller == "buildroot.sh" else ["source", "out"]
            environment = dict(os.environ, PATH=f"{self.work / 'bin'}:{os.environ['PATH']}", LOST=name, before="",
                CONFIGS=str(self.work / "buildroot/configs"), FARHAND_VARIANT="development", SOURCE_DATE_EPOCH="0",
                FARHAND_CACHE=str(self.work / "cache"))
            said = subprocess.run([self.work / "image" / caller, *arguments], cwd=self.work, env=environment, text=True,
                capture_output=True, check=False)
            self.assertNotEqual(0, said.returncode, caller)
            self.assertRegex(said.stderr, rf"^check-config.sh: .*\.config lost: {name}={value} \(\S+\)\n$", caller)


class Tree(unittest.TestCase):
    """What the tree promises Buildroot."""

    def setUp(self):
        os.environ["BR2_EXTERNAL_FARHAND_PATH"] = str(TREE)
        # Buildroot writes its symbols without the prefix that Linux has.
        os.environ["CONFIG_"] = ""
        self.cargo = tomllib.loads((TOP / "Cargo.toml").read_text())["package"]

    def test_there_is_something_to_check(self):
        self.assertTrue(DEFCONFIGS)
        self.assertIn("farhand", PACKAGES)

    def test_kconfig_knows_every_symbol_of_ours_that_a_defconfig_sets(self):
        with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
            file.write(KCONFIG)
            file.flush()
            for defconfig in DEFCONFIGS:
                kconfig = kconfiglib.Kconfig(file.name, warn_to_stderr=False)
                kconfig.warn_assign_undef = False
                kconfig.load_config(str(defconfig))
                self.assertEqual([], kconfig.warnings)
                for name in (name for name in values(defconfig) if "FARHAND" in name):
                    self.assertIn(name, kconfig.syms)
                    self.assertEqual("y", kconfig.syms[name].str_value, f"{name} does not survive")
                for package in PACKAGES:
                    name = "BR2_PACKAGE_" + package.upper().replace("-", "_")
                    self.assertEqual("y", kconfig.syms[name].str_value, f"{defconfig.name} leaves out {package}")

    def test_every_package_is_included_by_make_and_of_a_known_kind(self):
        said = subprocess.run(["make", "-s", "--warn-undefined-variables", "-f", "-"], input=MAKE, text=True,
            capture_output=True, check=False)
        self.assertEqual(0, said.returncode, said.stderr)
        self.assertEqual("", said.stderr)
        said = dict(line.split(": ", 1) for line in said.stdout.splitlines())
        self.assertEqual(["farhand=cargo", "skeleton-farhand=generic"], said["kinds"].split())
        self.assertEqual(PACKAGES, sorted(kind.split("=")[0] for kind in said["kinds"].split()))
        self.assertEqual(self.cargo["version"], said["version"])
        self.assertEqual(str(TOP), said["site"])
        self.assertEqual("buildroot production some-board", said["build"])
        for licence in said["licences"].split():
            self.assertTrue((TOP / licence).is_file(), licence)

    def test_every_path_in_a_defconfig_exists(self):
        for defconfig in DEFCONFIGS:
            paths = re.findall(r'\$\(BR2_EXTERNAL_FARHAND_PATH\)(/[^ "]+)', defconfig.read_text())
            self.assertTrue(paths)
            missing = [path for path in paths if not (TREE / path.lstrip("/")).exists()]
            self.assertEqual([], missing, defconfig.name)

    def test_both_builds_configure_linux_from_the_same_fragments(self):
        fragments = sorted(str(path.relative_to(TOP)) for path in TOP.glob("board/*/linux/*.config"))
        for defconfig in DEFCONFIGS:
            asked = re.findall(r'board/\w+/linux/[\w-]+\.config', defconfig.read_text())
            self.assertEqual(fragments, sorted(asked), defconfig.name)

    def test_both_builds_take_the_same_kernel(self):
        pinned = values(TOP / "board/common/linux/source")
        release = pinned["version"].partition("-")[0]
        for defconfig in DEFCONFIGS:
            self.assertEqual(f'"{release}"', values(defconfig)["BR2_LINUX_KERNEL_CUSTOM_VERSION_VALUE"])
        self.assertIn(f"sha256  {pinned['sha256']}  linux-{release}.tar.xz\n",
            (TREE / "patches/linux/linux.hash").read_text())

    def test_both_builds_take_the_same_patches_of_the_kernel(self):
        self.assertTrue(list(TOP.glob("board/common/linux/*.patch")))
        folder = '"$(BR2_EXTERNAL_FARHAND_PATH)/../board/common/linux"'
        for defconfig in DEFCONFIGS:
            self.assertEqual(folder, values(defconfig)["BR2_LINUX_KERNEL_PATCH"], defconfig.name)
        self.assertEqual([], list(TREE.glob("patches/linux*/*.patch")), "Buildroot would apply these, too")
        self.assertIn('for patch in "$board"/common/linux/*.patch; do\n', (TOP / "image/kernel-build.sh").read_text())
        # Else the quick build would take a kernel that was built without them.
        self.assertRegex((TOP / "image/kernel.sh").read_text(), r'(?m)^key=.* "\$board"/common/linux/\*\.patch; }')

    def test_both_builds_take_the_same_patches_of_rauc(self):
        patches = sorted(TOP.glob("board/common/rauc/*.patch"))
        self.assertTrue(patches)
        for defconfig in DEFCONFIGS:
            folder = values(defconfig)["BR2_GLOBAL_PATCH_DIR"].strip('"')
            folder = pathlib.Path(folder.replace("$(BR2_EXTERNAL_FARHAND_PATH)", str(TREE)), "rauc").resolve()
            self.assertEqual(patches, sorted(folder.glob("*.patch")), defconfig.name)
        self.assertIn("patches=$here/../board/common/rauc\n", (TOP / "image/rauc.sh").read_text())

    def test_what_is_downloaded_by_our_choice_has_a_hash(self):
        for defconfig in DEFCONFIGS:
            config = values(defconfig)
            self.assertEqual("y", config["BR2_DOWNLOAD_FORCE_CHECK_HASHES"])
            linux = "linux-" + config["BR2_LINUX_KERNEL_CUSTOM_VERSION_VALUE"].strip('"') + ".tar.xz"
            uboot = "u-boot-" + config["BR2_TARGET_UBOOT_CUSTOM_VERSION_VALUE"].strip('"') + ".tar.bz2"
            for package, file in (("linux", linux), ("uboot", uboot)):
                hashes = (TREE / f"patches/{package}/{package}.hash").read_text()
                self.assertRegex(hashes, rf"(?m)^sha256  [0-9a-f]{{64}}  {re.escape(file)}$")

    def test_a_board_is_told_to_the_scripts_that_ask_for_it(self):
        for defconfig in DEFCONFIGS:
            board = defconfig.name.removeprefix("farhand_").removesuffix("_defconfig")
            self.assertEqual(f'"{board}"', values(defconfig)["BR2_ROOTFS_POST_SCRIPT_ARGS"])

    def test_an_answer_that_kconfig_dropped_is_refused_by_name(self):
        with tempfile.TemporaryDirectory() as directory:
            config, fragment = pathlib.Path(directory, "config"), pathlib.Path(directory, "fragment")
            config.write_text('A=y\nB="two words"\n# C is not set\nE=y\n')
            for asked, lost in (('A=y\nB="two words"\n# C is not set\n# D is not set\n# A comment.\n', None),
                                ("A=m\n", "A=m"), ("C=y\n", "C=y"), ("D=1\n", "D=1"), ("# E is not set\n", "E=n"),
                                ("BR2_aarch64=y\n", "BR2_aarch64=y")):
                fragment.write_text(asked)
                said = subprocess.run([TOP / "board/common/check-config.sh", config, fragment], text=True,
                                      capture_output=True, check=False)
                self.assertEqual(lost is None, said.returncode == 0, asked)
                self.assertIn(lost or "", said.stderr)

    def test_versions_agree(self):
        pinned = values(TREE / "BUILDROOT_VERSION")
        self.assertRegex(pinned["version"], r"^20\d\d\.\d\d(\.\d+)?$")
        self.assertRegex(pinned["sha256"], r"^[0-9a-f]{64}$")
        least = number(self.cargo["rust-version"])
        own = tomllib.loads((TOP / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
        self.assertGreaterEqual(number(pinned["rust"]), least)
        self.assertGreaterEqual(number(own), least)
        uboot = values(TOP / "image/uboot.sh")
        self.assertIn(f"sha256  {uboot['sha256']}  u-boot-{uboot['version']}.tar.bz2",
            (TREE / "patches/uboot/uboot.hash").read_text())


if __name__ == "__main__":
    unittest.main()
