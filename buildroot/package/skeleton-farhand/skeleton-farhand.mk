################################################################################
#
# skeleton-farhand
#
################################################################################

# Every package depends on the skeleton, so it can depend on none, the
# toolchain included.
SKELETON_FARHAND_ADD_TOOLCHAIN_DEPENDENCY = NO
SKELETON_FARHAND_ADD_SKELETON_DEPENDENCY = NO

SKELETON_FARHAND_PROVIDES = skeleton
SKELETON_FARHAND_INSTALL_STAGING = YES

define SKELETON_FARHAND_DIRECTORIES
	$(INSTALL) -d -m 0755 $(1)/etc $(1)/usr/bin $(1)/usr/lib
	$(call SYSTEM_USR_SYMLINKS_OR_DIRS,$(1))
	$(call SYSTEM_LIB_SYMLINK,$(1))
endef

define SKELETON_FARHAND_INSTALL_TARGET_CMDS
	$(call SKELETON_FARHAND_DIRECTORIES,$(TARGET_DIR))
endef

define SKELETON_FARHAND_INSTALL_STAGING_CMDS
	$(call SKELETON_FARHAND_DIRECTORIES,$(STAGING_DIR))
	$(INSTALL) -d -m 0755 $(STAGING_DIR)/usr/include
endef

$(eval $(generic-package))
