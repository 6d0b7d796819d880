################################################################################
#
# farhand
#
################################################################################

FARHAND_SITE = $(realpath $(BR2_EXTERNAL_FARHAND_PATH)/..)
FARHAND_SITE_METHOD = local
FARHAND_VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' $(BR2_EXTERNAL_FARHAND_PATH)/../Cargo.toml | head -n 1)
FARHAND_LICENSE = Apache-2.0 or MIT
FARHAND_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT
FARHAND_DEPENDENCIES = $(BR2_CMAKE_HOST_DEPENDENCY) # libjpeg-turbo

# What other builds left; our own output may be among it.
FARHAND_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = \
	--exclude=/out \
	--exclude=/target \
	--exclude=node_modules

# Cargo's own choice for a release, which the quick build takes as well.
FARHAND_CARGO_ENV = CARGO_PROFILE_RELEASE_OPT_LEVEL=3

# Buildroot vendors the crates when it packs a download, and a local source
# is none. The page is no crate at all: `make image` builds it first.
define FARHAND_GATHER
	test -s $(@D)/web/dist/index.html || \
		{ echo "The page is not built: run 'make web' in $(FARHAND_SITE)" >&2; exit 1; }
	mkdir -p $(@D)/.cargo
	cd $(@D) && $(HOST_MAKE_ENV) $(PKG_COMMON_CARGO_ENV) \
		cargo vendor --locked VENDOR >.cargo/config.toml
endef
FARHAND_PRE_CONFIGURE_HOOKS += FARHAND_GATHER

# Kconfig answers most questions with yes by default; the appliance has only
# what the fragments name, and all of that.
FARHAND_CHECK_CONFIG = $(FARHAND_SITE)/board/common/check-config.sh

define FARHAND_LINUX_CONFIG_FIXUPS
	cat $(LINUX_KCONFIG_FILE) $(LINUX_KCONFIG_FRAGMENT_FILES) >$(LINUX_DIR)/.farhand
	$(LINUX_KCONFIG_MAKE) KCONFIG_ALLCONFIG=.farhand allnoconfig
	$(FARHAND_CHECK_CONFIG) $(LINUX_DIR)/.config $(LINUX_DIR)/.farhand
endef

# BusyBox's Kconfig knows no list of answers, but keeps the first of two.
define FARHAND_BUSYBOX_CONFIG_FIXUPS
	$(BUSYBOX_KCONFIG_MAKE) allnoconfig
	cat $(BUSYBOX_KCONFIG_FILE) $(BUSYBOX_DIR)/.config >$(BUSYBOX_DIR)/.farhand
	mv $(BUSYBOX_DIR)/.farhand $(BUSYBOX_DIR)/.config
	yes '' | $(BUSYBOX_KCONFIG_MAKE) oldconfig
	$(FARHAND_CHECK_CONFIG) $(BUSYBOX_DIR)/.config $(BUSYBOX_KCONFIG_FILE)
endef

$(eval $(cargo-package))
