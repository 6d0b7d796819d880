//! The script that makes an appliance forget its owner, on a folder of a test's own.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

struct Data(PathBuf, #[expect(dead_code, reason = "removed with this")] TempDir);

impl Data {
    fn new() -> Data {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().to_path_buf();
        for folder in ["tls", "rauc", "state", "lost+found", "spool/deep", "audit", ".hidden"] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        for file in [
            "users.json",
            "farhand.toml",
            "tls/key.pem",
            "audit/00000001.jsonl",
            "rauc/central.raucs",
            "state/restart",
            "state/factory-reset",
            "spool/deep/x",
            ".hidden/x",
            ".farhand.new",
            "..odd",
            "with space",
        ] {
            fs::write(path.join(file), file).unwrap();
        }
        std::os::unix::fs::symlink(path.join("rauc"), path.join("link")).unwrap();
        Data(path, temporary)
    }

    /// Runs the script; `tools` comes before the system's own programs.
    fn reset(&self, tools: &Path) -> bool {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/overlay/usr/libexec/factory-reset");
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        Command::new("sh").arg(script).arg(&self.0).env("PATH", path).status().unwrap().success()
    }

    fn left(&self) -> BTreeSet<String> {
        let mut left = BTreeSet::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                left.insert(path.strip_prefix(&self.0).unwrap().display().to_string());
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                }
            }
        }
        left
    }
}

fn forgotten() -> BTreeSet<String> {
    ["lost+found", "rauc", "rauc/central.raucs", "state"].map(String::from).into()
}

#[test]
fn a_reset_keeps_what_is_installed_and_nothing_else() {
    let data = Data::new();
    assert!(data.reset(Path::new("/nowhere")));
    assert_eq!(forgotten(), data.left());
    assert!(data.reset(Path::new("/nowhere")), "on a card that has just been written");
    assert_eq!(forgotten(), data.left());
}

#[test]
fn a_reset_cut_short_is_taken_up_again() {
    let temporary = tempfile::tempdir().unwrap();
    let tools = temporary.path();
    let allowed = |count: usize| {
        // Removes so many times, then the power is gone, for this program too.
        let rm = format!(
            "#!/bin/sh\necho >>'{0}/done'\n[ $(wc -l <'{0}/done') -le {count} ] || {{ kill -9 $PPID; exit 1; }}\nexec /bin/rm \"$@\"\n",
            tools.display()
        );
        fs::write(tools.join("rm"), rm).unwrap();
        fs::set_permissions(tools.join("rm"), Permissions::from_mode(0o755)).unwrap();
        fs::write(tools.join("done"), "").unwrap();
    };
    let mut cuts = 0;
    loop {
        allowed(cuts);
        let data = Data::new();
        if data.reset(tools) {
            assert_eq!(forgotten(), data.left());
            break;
        }
        let left = data.left();
        assert!(left.contains("state/factory-reset") || left == forgotten(), "after {cuts}: {left:?}");
        allowed(1000);
        assert!(data.reset(tools));
        assert_eq!(forgotten(), data.left(), "after {cuts}");
        cuts += 1;
    }
    assert!(8 < cuts, "{cuts} is fewer than there were things to remove");
}
