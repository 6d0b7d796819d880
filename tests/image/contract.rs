//! Shows that the image contract (`board/common/check-*.sh`) is kept, and that breaking it is noticed.
//!
//! Each test takes what was built, spoils one thing in a copy, and expects the check to name it. A check that was never
//! seen to fail checks nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A copy of the built root that a test may spoil.
struct Root(PathBuf);

impl Root {
    fn unpack(name: &str) -> Root {
        let root = folder(name).join("root");
        let packed = built("root.squashfs");
        let status =
            Command::new("unsquashfs").args(["-quiet", "-no-progress", "-dest"]).arg(&root).arg(packed).status();
        assert!(status.expect("squashfs-tools is installed").success());
        Root(root)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.0.join(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, &text.replacen(from, to, 1));
    }
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/run/contract").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("out/ can be written");
    folder
}

/// A file that `make image-quick` made.
fn built(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/virt").join(name);
    assert!(path.exists(), "there is no {}: run 'make image-quick'", path.display());
    path
}

/// What a check said, and whether it was content.
fn run(script: &str, subject: &Path) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/common").join(script);
    let output = Command::new(script).arg(subject).output().expect("the check can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// Spoils a root, and expects the check to say `complaint`.
#[track_caller]
fn refused(name: &str, spoil: impl FnOnce(&Root), complaint: &str) {
    let root = Root::unpack(name);
    spoil(&root);
    let said = run("check-root.sh", &root.0).expect_err("the check noticed nothing");
    assert!(said.contains(complaint), "it said: {said}");
}

#[test]
fn the_root_that_was_built_keeps_the_contract() {
    let root = Root::unpack("as-built");
    assert_eq!(Ok(()), run("check-root.sh", &root.0));
}

#[test]
fn a_setuid_file_breaks_the_contract() {
    let spoil = |root: &Root| {
        fs::set_permissions(root.0.join("usr/bin/busybox"), PermissionsExt::from_mode(0o4755)).unwrap();
    };
    refused("setuid", spoil, "setuid or setgid");
}

#[test]
fn a_missing_library_breaks_the_contract() {
    let spoil = |root: &Root| fs::remove_file(root.0.join("usr/lib/libgcc_s.so.1")).unwrap();
    refused("library", spoil, "a library is missing: libgcc_s.so.1");
}

#[test]
fn a_password_breaks_the_contract() {
    refused(
        "password",
        |root| root.edit("etc/passwd", "root:!:", "root:$6$salt$hash:"),
        "an account that could log in",
    );
    refused("no-password", |root| root.edit("etc/passwd", "root:!:", "root::"), "an account that could log in");
    refused("shadow", |root| root.write("etc/shadow", "root:!::0:::::\n"), "there is an etc/shadow");
}

#[test]
fn a_program_that_listens_breaks_the_contract() {
    refused("telnetd", |root| root.write("usr/sbin/telnetd", ""), "a program that listens");
    let service = |root: &Root| root.write("etc/sv/backdoor/run", "#!/bin/sh\nexec sleep 1\n");
    refused("service", service, "a service that is not in the list: backdoor");
}

#[test]
fn a_shell_in_a_production_image_breaks_the_contract() {
    let spoil = |root: &Root| root.edit("etc/os-release", "VARIANT=\"development\"", "VARIANT=\"production\"");
    refused("shell", spoil, "inittab starts a shell");
}

#[test]
fn a_private_key_breaks_the_contract() {
    // In two parts, or a search for keys would find this file.
    let key = ["-----BEGIN ", "PRIVATE KEY-----\nMC4CAQ\n"].concat();
    refused("key", |root| root.write("etc/farhand.key", &key), "a key that every image would share");
}

#[test]
fn a_command_that_is_not_built_breaks_the_contract() {
    let spoil = |root: &Root| root.edit("etc/init.d/rcS", "sysctl -q -p", "iptables -F");
    refused("command", spoil, "uses iptables");
}
