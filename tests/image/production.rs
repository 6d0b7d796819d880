//! Boots the card that owners get, which has no shell, and uses only its network and console.
//!
//! All other scenarios use a development image, because they look inside. This one can be given any production card for
//! a Pi and an update for it, packed or not, from either build: `make test-release IMG= BUNDLE=`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;

use crate::owner::Owner;
use crate::pi::{Card, Cause, Pi, run};

/// Reading the bundle twice and writing it once, on an emulated processor while a build keeps the host busy.
const INSTALLED: Duration = Duration::from_secs(300);

/// The other system's start, and the half minute that its guard takes to confirm it.
const CONFIRMED: Duration = Duration::from_secs(400);

/// A card and an update that it accepts.
#[derive(Debug)]
pub struct Production {
    pub card: PathBuf,
    pub bundle: PathBuf,
}

/// The production image of this tree, signed with keys of its own. It is built once.
#[track_caller]
pub fn built() -> &'static Production {
    static BUILT: OnceLock<Production> = OnceLock::new();
    BUILT.get_or_init(|| {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = top.join("out/run/production");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("out/ can be written");
        let keys = folder.join("keys");
        run(Command::new(top.join("image/keys.sh")).arg(&keys));
        let mut assemble = Command::new(top.join("image/assemble.sh"));
        run(assemble
            .args(["rpi4", "--production"])
            .env("KEYRING", keys.join("keyring.pem"))
            .env("BINARIES_DIR", &folder));
        let mut bundle = Command::new(top.join("image/bundle.sh"));
        run(bundle
            .arg("rpi4")
            .env("SIGN_KEY", keys.join("signer.key"))
            .env("SIGN_CERT", keys.join("signer.pem"))
            .env("BINARIES_DIR", &folder));
        Production { card: folder.join("card.img"), bundle: folder.join("update.raucb") }
    })
}

/// What `make test-release` names, or else what was built here.
fn given() -> (PathBuf, PathBuf) {
    match (env::var_os("FARHAND_IMG"), env::var_os("FARHAND_BUNDLE")) {
        (Some(image), Some(bundle)) => (unpacked(image.into()), bundle.into()),
        (None, None) => (built().card.clone(), built().bundle.clone()),
        _ => panic!("FARHAND_IMG and FARHAND_BUNDLE go together"),
    }
}

/// Unpacks a card, which is compressed when it is downloaded.
fn unpacked(image: PathBuf) -> PathBuf {
    if image.extension().is_none_or(|ending| ending != "xz") {
        return image;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/run/release");
    fs::create_dir_all(&folder).expect("out/ can be written");
    let card = folder.join("unpacked.img");
    let file = fs::File::create(&card).expect("out/ has room");
    let status = Command::new("xz").arg("-dc").arg(&image).stdout(file).status().expect("xz-utils is installed");
    assert!(status.success(), "{} cannot be unpacked", image.display());
    card
}

#[test]
fn the_card_that_owners_get_is_claimed_updated_and_confirmed_without_a_shell() {
    let (image, bundle) = given();
    let pi = Pi::start(Card::copy_of("release", &image));
    let owner = Owner::claim(pi.https, &pi.folder(), &pi.claim_code());
    let token = owner.make_token("release");
    let program = Owner::program(pi.https, &token);
    assert_eq!((json!("A"), json!("production")), (program.system("/slot"), program.system("/variant")));
    program.until("slot A is confirmed", CONFIRMED, || program.system("/confirmed") == true);

    program.uploads(&bundle);
    program.until("the update is ready", INSTALLED, || program.system("/update/phase") == "ready");
    let answer = program.post("/api/v1/restart", &json!({}));
    assert_eq!(202, answer.status, "{answer:?}");
    let end = pi.probe.wait("the restart", CONFIRMED, |seen| seen.resets.first().copied());
    assert_eq!(Some(Cause::Restart), end);
    program.wait_page(CONFIRMED);
    program.until("slot B is confirmed", CONFIRMED, || program.system("/confirmed") == true);
    assert_eq!((json!("B"), json!("update")), (program.system("/slot"), program.system("/started/why")));
    assert_eq!([Some(Cause::Restart)], pi.resets()[..], "nothing else has ended a system");
    assert_eq!(0, pi.probe.pulses().len(), "no relay has closed: {:?}", pi.probe.pulses());
    assert_eq!(Some("B"), pi.unplug().environment().unwrap().get("CONFIRMED").map(String::as_str));
}
