# What board/common/post-build.sh and post-image.sh ask of whichever build calls them.
export FARHAND_BUILD = buildroot
export FARHAND_VARIANT ?= production
export FARHAND_BOARD = $(call qstrip,$(BR2_ROOTFS_POST_SCRIPT_ARGS))

include $(sort $(wildcard $(BR2_EXTERNAL_FARHAND_PATH)/package/*/*.mk))

# U-Boot has no interface for what a package asks of its configuration, but
# runs this once that is final.
define FARHAND_CHECK_UBOOT_CONFIG
	$(FARHAND_CHECK_CONFIG) $(UBOOT_DIR)/.config $(UBOOT_KCONFIG_FRAGMENT_FILES)
endef
UBOOT_PRE_BUILD_HOOKS += FARHAND_CHECK_UBOOT_CONFIG

# The firmware's terms ask to be with every copy.
define FARHAND_INSTALL_FIRMWARE_LICENCE
	$(INSTALL) -m 0644 $(@D)/boot/LICENCE.broadcom $(BINARIES_DIR)/rpi-firmware/
endef
RPI_FIRMWARE_POST_INSTALL_IMAGES_HOOKS += FARHAND_INSTALL_FIRMWARE_LICENCE

# What a card tells of its kernel's configuration, and is checked by.
define FARHAND_INSTALL_KERNEL_CONFIG
	$(INSTALL) -m 0644 $(LINUX_DIR)/.config $(BINARIES_DIR)/kernel.config
endef
LINUX_POST_INSTALL_IMAGES_HOOKS += FARHAND_INSTALL_KERNEL_CONFIG
