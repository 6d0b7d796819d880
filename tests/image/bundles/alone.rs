//! Runs the image's own rauc and check-bundle on a bundle, without a virtual machine.
//!
//! Signature and manifest are judged before anything is mounted, so no kernel is needed for that. The image's own
//! program runs with the image's own configuration, by QEMU's user mode emulation; check-bundle runs in this machine's
//! shell, with that rauc's output. That an appliance obeys their verdict is tested in a whole one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::pi::run;

/// Some files of the image.
#[derive(Debug)]
pub struct Root(PathBuf);

impl Root {
    /// Extracts them from the image that was built last.
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

    /// What rauc reports about a bundle, as lines of shell variables; or why it refuses it.
    #[track_caller]
    pub fn info(&self, bundle: &Path) -> Result<String, String> {
        let mut rauc = Command::new("qemu-aarch64-static");
        // File names are looked up in the image first.
        rauc.arg("-L").arg(&self.0).arg(self.0.join("usr/bin/rauc"));
        rauc.args(["--conf=/etc/rauc/system.conf", "info", "--output-format=shell"]).arg(bundle);
        verdict(rauc.output().expect("qemu-user-static is installed"))
    }

    /// What check-bundle says about a bundle that rauc accepts.
    ///
    /// It cannot mount anything here, so it fails at that at the latest.
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

/// A program's output, or its complaint if it failed.
fn verdict(output: Output) -> Result<String, String> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said) } else { Err(format!("{}: {said}{complaint}", output.status)) }
}
