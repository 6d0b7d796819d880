//! Makes update bundles, good ones and every kind that must be refused.
//!
//! It uses what an attacker has: Debian's `rauc` and `openssl`, the public development key, and an editor for bytes.
//! The images inside are small, because slots are raw partitions that take anything: only the checks are tested, some
//! hundreds of times.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the configuration of the image under test calls itself.
pub const COMPATIBLE: &str = "farhand-virt-quick-development";
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Larger than a few hash blocks cover, and small enough to be written quickly.
const ROOT_LEN: usize = 640 << 10;
const BOOT_LEN: usize = 40 << 10;

/// A key and its certificate.
#[derive(Debug, Clone)]
pub struct Signer {
    pub key: PathBuf,
    pub cert: PathBuf,
}

/// The folder where bundles are made.
#[derive(Debug, Clone)]
pub struct Forge {
    /// All files in here reach the appliance on a disk.
    pub disk: PathBuf,
    work: PathBuf,
}

impl Forge {
    pub fn open(name: &str) -> Forge {
        let work = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/run").join(name).join("forge");
        let _ = fs::remove_dir_all(&work);
        let disk = work.join("disk");
        fs::create_dir_all(&disk).expect("out/ can be written");
        Forge { disk, work }
    }

    /// The folder where a test may keep other files.
    pub fn folder(&self) -> PathBuf {
        self.work.clone()
    }

    /// The development key, which everybody has and the image under test trusts.
    pub fn development() -> Signer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/common/keys/development");
        Signer { key: folder.join("signer.key"), cert: folder.join("signer.pem") }
    }

    /// Keys as an owner makes them; the keyring is `NAME/keyring.pem` on the disk.
    pub fn owner(&self, name: &str) -> Signer {
        let folder = self.work.join(name);
        run(Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("image/keys.sh")).arg(&folder));
        fs::create_dir_all(self.disk.join(name)).unwrap();
        fs::copy(folder.join("keyring.pem"), self.disk.join(name).join("keyring.pem")).unwrap();
        Signer { key: folder.join("signer.key"), cert: folder.join("signer.pem") }
    }

    /// A signer with these extensions, valid for so many days, issued by the development root or, if `own`, by itself.
    pub fn issue(&self, name: &str, extensions: &str, days: i32, own: bool) -> Signer {
        let signer = Signer { key: self.work.join(format!("{name}.key")), cert: self.work.join(format!("{name}.pem")) };
        let (request, list) = (self.work.join("request"), self.work.join("extensions"));
        fs::write(&list, extensions).unwrap();
        let genuine = Forge::development();
        openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out"], &[&signer.key]);
        // Every signer here has the name of the genuine one: names must prove nothing.
        openssl(
            &["x509", "-x509toreq", "-in"],
            &[&genuine.cert, Path::new("-signkey"), &signer.key, Path::new("-out"), &request],
        );
        let ca = genuine.cert.with_file_name("ca.pem");
        let days = days.to_string();
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-days", &days, "-in"]).arg(&request).arg("-out").arg(&signer.cert);
        sign.arg("-extfile").arg(&list);
        if own {
            sign.arg("-signkey").arg(&signer.key);
        } else {
            sign.arg("-CA").arg(&ca).arg("-CAkey").arg(ca.with_extension("key"));
        }
        run(&mut sign);
        signer
    }

    /// Makes a bundle with two images of our own, and more files if given.
    pub fn bundle(&self, name: &str, signer: &Signer, manifest: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let content = self.work.join(name);
        fs::create_dir_all(&content).unwrap();
        for (image, len) in [("root.img", ROOT_LEN), ("boot.img", BOOT_LEN)] {
            let bytes = noise(&format!("{name} {image}"), len);
            fs::write(content.join(image), &bytes).unwrap();
        }
        for (file, text) in more {
            let path = content.join(file);
            fs::write(&path, text).unwrap();
            // Executable, as an attacker who wants it to be run would make it.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        self.pack(name, signer, manifest)
    }

    fn pack(&self, name: &str, signer: &Signer, manifest: &str) -> Vec<u8> {
        let content = self.work.join(name);
        fs::write(content.join("manifest.raucm"), manifest).unwrap();
        let bundle = self.file(name);
        run(Command::new("rauc")
            .arg("bundle")
            .args(["--mksquashfs-args=-comp zstd", "--cert"])
            .arg(&signer.cert)
            .arg("--key")
            .arg(&signer.key)
            .args([&content, &bundle]));
        fs::read(bundle).unwrap()
    }

    /// Offers a bundle as `image/bundle.sh` makes it.
    pub fn good(&self, name: &str, signer: &Signer) -> Vec<u8> {
        let bundle = self.bundle(name, signer, &manifest(COMPATIBLE, VERSION), &[]);
        self.offer(name, &bundle);
        bundle
    }

    /// Packs the system that was built last, as large as an owner's update is. It is not on the disk.
    pub fn built(&self, name: &str, signer: &Signer) -> Vec<u8> {
        let content = self.work.join(name);
        fs::create_dir_all(&content).unwrap();
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/virt");
        for image in ["root.img", "boot.img"] {
            fs::copy(built.join(image), content.join(image)).expect("there is an image: run 'make image-quick'");
        }
        self.pack(name, signer, &manifest(COMPATIBLE, VERSION))
    }

    /// Where a bundle is on this machine.
    pub fn file(&self, name: &str) -> PathBuf {
        self.work.join(format!("{name}.raucb"))
    }

    /// Where one of the images that went into a bundle is.
    pub fn image(&self, name: &str, image: &str) -> PathBuf {
        self.work.join(name).join(image)
    }

    /// The same payload and manifest, signed by `signer` with the certificate of `attached`.
    pub fn attach(&self, bundle: &[u8], signer: &Signer, attached: &Signer) -> Vec<u8> {
        let (payload, _) = split(bundle);
        let (manifest, signed) = (self.work.join("manifest"), self.work.join("new.cms"));
        // Writes the manifest where openssl finds it.
        self.resign(bundle, signer, str::to_owned);
        openssl(
            &["cms", "-sign", "-nodetach", "-binary", "-outform", "DER", "-in"],
            &[
                &manifest,
                Path::new("-certfile"),
                &attached.cert,
                Path::new("-signer"),
                &signer.cert,
                Path::new("-inkey"),
                &signer.key,
                Path::new("-out"),
                &signed,
            ],
        );
        join(payload, &fs::read(&signed).unwrap())
    }

    /// The same payload under a manifest that `rauc bundle` would not have written, signed all the same.
    pub fn resign(&self, bundle: &[u8], signer: &Signer, edit: impl Fn(&str) -> String) -> Vec<u8> {
        let (payload, cms) = split(bundle);
        let (old, new, signed) = (self.work.join("old.cms"), self.work.join("manifest"), self.work.join("new.cms"));
        fs::write(&old, cms).unwrap();
        let manifest = openssl(&["cms", "-verify", "-noverify", "-inform", "DER", "-in"], &[&old]);
        fs::write(&new, edit(&String::from_utf8(manifest).unwrap())).unwrap();
        openssl(
            &["cms", "-sign", "-nodetach", "-binary", "-outform", "DER", "-in"],
            &[&new, Path::new("-signer"), &signer.cert, Path::new("-inkey"), &signer.key, Path::new("-out"), &signed],
        );
        join(payload, &fs::read(&signed).unwrap())
    }

    /// Puts a bundle on the disk.
    pub fn offer(&self, name: &str, bundle: &[u8]) {
        fs::write(self.disk.join(format!("{name}.raucb")), bundle).unwrap();
    }
}

/// A bundle's manifest.
pub fn manifest(compatible: &str, version: &str) -> String {
    format!(
        "[update]\ncompatible={compatible}\nversion={version}\n[bundle]\nformat=verity\n\
         [image.root]\nfilename=root.img\n[image.boot]\nfilename=boot.img\n"
    )
}

/// Payload (with its hash tree) and signature: the latter's length is in the last eight bytes.
pub fn split(bundle: &[u8]) -> (&[u8], &[u8]) {
    let (rest, len) = bundle.split_last_chunk().expect("a bundle has more than eight bytes");
    rest.split_at(rest.len() - usize::try_from(u64::from_be_bytes(*len)).unwrap())
}

pub fn join(payload: &[u8], cms: &[u8]) -> Vec<u8> {
    [payload, cms, &(cms.len() as u64).to_be_bytes()].concat()
}

/// How long the hash tree at the end of the payload is: the manifest states it in plain text.
pub fn tree_len(bundle: &[u8]) -> usize {
    let text = String::from_utf8_lossy(split(bundle).1);
    let len = text.split("verity-size=").nth(1).and_then(|rest| rest.lines().next());
    len.expect("a verity bundle").trim().parse().expect("a number")
}

/// Bytes that cannot be compressed, and that are the same in every run.
fn noise(seed: &str, len: usize) -> Vec<u8> {
    let mut state = seed
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes
}

fn openssl(args: &[&str], paths: &[&Path]) -> Vec<u8> {
    run(Command::new("openssl").args(args).args(paths))
}

#[track_caller]
fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("rauc, openssl and mksquashfs are installed: run image/need.sh");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
    output.stdout
}
