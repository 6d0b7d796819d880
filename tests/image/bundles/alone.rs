//! Asks the image's own rauc and check-bundle about a bundle, without a machine around them.
//!
//! What signature and manifest give away is known before anything is mounted, so no kernel is needed for it. The very
//! program of the image runs with the image's own configuration, by QEMU's emulation of a process; and check-bundle
//! runs in this machine's shell, with what that rauc says of the bundle. That an appliance goes by their verdict is
//! tested in a whole one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::pi::run;

/// Some files of the image.
#[derive(Debug)]
pub struct Root(PathBuf);

impl Root {
    /// Takes them out of the image that was built last.
    #[track_caller]
    pub fn unpack(folder: &Path) -> Root {
        let root = folder.join("root");
        let _ = fs::remove_dir_all(&root);
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/virt/root.squashfs");
        assert!(packed.exists(), "there is no {}: run 'make image-quick'", packed.display());
        let files = ["lib", "usr/lib", "usr/bin/rauc", "usr/libexec/check-bundle", "etc/rauc"];
        run(Command::new("unsquashfs").args(["-quiet", "-no-progress", "-dest"]).arg(&root).arg(packed).args(files));
        Root(root)
    }

    /// What rauc says of a bundle, as lines that a shell understands; or why it refuses it.
    #[track_caller]
    pub fn info(&self, bundle: &Path) -> Result<String, String> {
        let mut rauc = Command::new("qemu-aarch64-static");
        // Names of files are looked up in the image first.
        rauc.arg("-L").arg(&self.0).arg(self.0.join("usr/bin/rauc"));
        rauc.args(["--conf=/etc/rauc/system.conf", "info", "--output-format=shell"]).arg(bundle);
        verdict(rauc.output().expect("qemu-user-static is installed"))
    }

    /// What check-bundle says of a bundle that rauc takes.
    ///
    /// It mounts nothing here, so at the latest it complains of that.
    #[track_caller]
    pub fn check(&self, bundle: &Path) -> String {
        let info = self.info(bundle).unwrap_or_else(|said| panic!("rauc itself refuses {}: {said}", bundle.display()));
        let (content, programs) = (bundle.with_extension("content"), self.0.join("programs"));
        let _ = fs::remove_dir_all(&content);
        run(Command::new("unsquashfs").args(["-quiet", "-no-progress", "-dest"]).arg(&content).arg(bundle));
        fs::create_dir_all(&programs).expect("out/ can be written");
        let print = programs.join("fw_printenv");
        // As in a slot that is confirmed.
        fs::write(&print, "#!/bin/sh\necho A\n").expect("out/ can be written");
        fs::set_permissions(&print, fs::Permissions::from_mode(0o755)).expect("it was made just now");
        let mut check = Command::new("sh");
        check.arg(self.0.join("usr/libexec/check-bundle")).env_clear();
        check.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
        check.env("RAUC_CURRENT_BOOTNAME", "A").env("RAUC_BUNDLE_MOUNT_POINT", content);
        for (name, value) in info.lines().filter_map(|line| line.split_once('=')) {
            check.env(name, value.trim_matches('\''));
        }
        verdict(check.output().expect("there is a shell")).expect_err("nothing was mounted")
    }
}

/// What a program said, or complained of.
fn verdict(output: Output) -> Result<String, String> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said) } else { Err(format!("{}: {said}{complaint}", output.status)) }
}
