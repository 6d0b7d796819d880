//! The programs of an appliance that update and restart it, played by scripts in a folder of a test's own.
//!
//! Only these programs are played: what starts them, reads what they say and takes files over is the daemon's own. The
//! installer does what the first word of its file says, so that a test chooses by what it uploads.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use farhand::base::launcher::Launcher;
use farhand::hands::appliance::Places;
use farhand::hw::bootenv::BootEnv;

/// Says what RAUC says. `slow` stops half-way until there is a file called `go`, and `hangs` for good.
const INSTALLER: &str = r#"#!/bin/sh
here=${0%/*}
read -r word _ <"$1"
stat -c '%a %h %n' "$1" >"$here/given"
id=0a1b2c3d
fail() {
	printf '%s\n' "$@" '100% Installing failed.' "Installing \`$0\` failed"
	exit 1
}
case $word in
good) cat "$here/good.txt" ;;
slow)
	head -n 20 "$here/good.txt"
	until [ -e "$here/go" ]; do sleep 0.02; done
	tail -n +21 "$here/good.txt" ;;
hangs)
	echo '  7% Installing'
	exec sleep 1000 ;;
other) fail '  0% Installing' "rauc-event-Message: x: Installation $id failed: Compatible mismatch: Expected 'farhand-rpi4-quick' but bundle manifest has 'farhand-virt-quick'" ;;
unsigned) fail ' 10% Checking bundle' "rauc-event-Message: x: Installation $id failed: signature verification failed: Verify error: self-signed certificate" ;;
*) fail "rauc-event-Message: x: Installation $id failed: Invalid identifier. Did you pass a valid RAUC bundle?" ;;
esac
"#;

/// The folder.
pub struct Appliance(PathBuf);

impl Appliance {
    /// Lays everything out below `root`, which is the caller's to remove. The running slot has proven itself.
    pub fn new(root: &Path) -> Appliance {
        fs::create_dir_all(root).unwrap();
        let appliance = Appliance::at(root);
        let good = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rauc-good.txt");
        fs::copy(good, root.join("good.txt")).unwrap();
        appliance.write("cmdline", "console=ttyS1 rauc.slot=A\n");
        appliance.write("environment", "BOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_B_LEFT=3\nCONFIRMED=A\n");
        appliance.script("install", INSTALLER);
        appliance.script("printenv", "#!/bin/sh\ncat \"${0%/*}/environment\"\n");
        appliance.script("reboot", "#!/bin/sh\necho >>\"${0%/*}/rebooted\"\n");
        appliance
    }

    /// The one that was laid out here.
    pub fn at(root: &Path) -> Appliance {
        Appliance(root.to_path_buf())
    }

    /// For the daemon whose data folder this is.
    pub fn places(&self, data: &Path) -> Places {
        Places {
            spool: data.join("spool"),
            taken: data.join("install"),
            state: data.join("state"),
            installer: self.path("install"),
            status: data.join("rauc/central.raucs"),
            boot_env: BootEnv { printenv: self.path("printenv"), ..BootEnv::default() },
            reboot: self.path("reboot"),
            cmdline: self.path("cmdline"),
            own: self.path("farhand"),
            launcher: Launcher::default(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn script(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), Permissions::from_mode(0o755)).unwrap();
    }
}
