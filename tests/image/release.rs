//! Makes releases for the slots of a card from the one that was built last, and bundles of them.
//!
//! A bad release is the good one with a single fault: signed by us and complete, so that only its trial finds the
//! fault.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pi::run;

/// The contents of a slot: a folder with `boot.img` and `root.img`.
#[derive(Debug, Clone)]
pub struct Release {
    folder: PathBuf,
}

impl Release {
    /// The Pi's release that was built last.
    pub fn built() -> Release {
        Release { folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("out/rpi4") }
    }

    /// A release with other bytes, in this folder, after `change` has changed the files of its root.
    #[track_caller]
    pub fn repacked(folder: &Path, change: impl FnOnce(&Path)) -> Release {
        let built = Release::built();
        let other = Release { folder: folder.to_owned() };
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("out/ can be written");
        for file in ["Image", "kernel.config", "slot.dtbo"] {
            fs::copy(built.folder.join(file), folder.join(file))
                .expect("there is an image: run 'image/assemble.sh rpi4 --development'");
        }
        let root = folder.join("root");
        run(Command::new("unsquashfs").args(["-q", "-n", "-d"]).arg(&root).arg(built.folder.join("root.squashfs")));
        change(&root);
        let squashfs = folder.join("root.squashfs");
        let how = "-comp zstd -b 64K -all-root -no-xattrs -quiet -no-progress";
        run(Command::new("mksquashfs").args([&root, &squashfs]).args(how.split(' ')));
        run(Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/board/common/slot.sh")).arg(folder).arg("rpi4"));
        fs::remove_dir_all(&root).expect("it was made just now");
        other
    }

    /// The same release with this addition to its part of the device tree, in this folder.
    #[track_caller]
    pub fn with_tree(folder: &Path, addition: &str) -> Release {
        let other = Release { folder: folder.to_owned() };
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("out/ can be written");
        for file in ["Image", "kernel.config", "root.squashfs"] {
            fs::copy(Release::built().folder.join(file), folder.join(file))
                .expect("there is an image: run 'image/assemble.sh rpi4 --development'");
        }
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let source = fs::read_to_string(top.join("board/rpi4/slot.dtso")).expect("the board has a tree");
        fs::write(folder.join("slot.dtso"), source + addition).expect("out/ has room");
        let dtc = "-q -I dts -O dtb -o";
        run(Command::new("dtc").args(dtc.split(' ')).arg(folder.join("slot.dtbo")).arg(folder.join("slot.dtso")));
        run(Command::new(top.join("board/common/slot.sh")).arg(folder).arg("rpi4"));
        other
    }

    pub fn boot(&self) -> PathBuf {
        self.folder.join("boot.img")
    }

    pub fn root(&self) -> PathBuf {
        self.folder.join("root.img")
    }

    /// Packs it into a bundle as an owner gets it, in a folder of its own.
    #[track_caller]
    pub fn bundle(&self, folder: &Path) -> PathBuf {
        bundle("rpi4", folder, &self.boot(), &self.root())
    }
}

/// Makes a bundle for a board's image of this release, in a folder of its own.
#[track_caller]
pub fn bundle(board: &str, folder: &Path, boot: &Path, root: &Path) -> PathBuf {
    let _ = fs::remove_dir_all(folder);
    let (content, bundle) = (folder.join("content"), folder.join("bundle"));
    fs::create_dir_all(&content).expect("out/ can be written");
    fs::copy(boot, content.join("boot.img")).expect("out/ has room");
    fs::copy(root, content.join("root.img")).expect("out/ has room");
    let manifest = format!(
        "[update]\ncompatible=farhand-{board}-quick-development\nversion={}\n[bundle]\nformat=verity\n\
         [image.root]\nfilename=root.img\n[image.boot]\nfilename=boot.img\n",
        env!("CARGO_PKG_VERSION")
    );
    fs::write(content.join("manifest.raucm"), manifest).expect("out/ has room");
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/common/keys/development");
    let mut rauc = Command::new("rauc");
    rauc.arg("bundle").arg("--mksquashfs-args=-comp zstd");
    rauc.arg(format!("--cert={}", keys.join("signer.pem").display()));
    rauc.arg(format!("--key={}", keys.join("signer.key").display()));
    run(rauc.arg(&content).arg(&bundle));
    bundle
}
