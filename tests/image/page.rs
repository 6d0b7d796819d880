//! Boots the card as its new owner would, and checks what the page says about a Pi to which nothing is connected.
//!
//! QEMU's Pi has no USB device controller and no capture device, as with a wrong cable.

use serde_json::{Value, json};

use crate::owner::Owner;
use crate::pi::{A, Pi};
use crate::shell::BOOT;

/// The input that watches the target's power lamp; see /etc/farhand.toml.
const POWER_LAMP: u8 = 22;

#[test]
fn a_new_card_boots_to_a_page_that_says_what_is_missing() {
    let mut pi = Pi::boot("new-card");
    assert_eq!(A, pi.slot());
    for line in ["/dev/dm-0 / squashfs ro,", " /data ext4 rw,nosuid,nodev,noexec,"] {
        pi.ask(&format!("sed 's/^\\/dev\\/root /\\/dev\\/dm-0 /' /proc/mounts | grep '{line}'"));
    }
    // The card is larger than the image that was written to it.
    pi.ask("until [ $(df -k /data | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2) -gt 150000 ]; do sleep 0.2; done");
    let owner = Owner::claim(pi.https, &pi.folder(), &pi.claim_code());

    let seat = |key: &str| owner.get("/api/v1/seats/main").body[key].clone();
    owner.until("the picture's absence is known", BOOT, || seat("signal") == "no-device");
    assert_eq!(Value::Null, seat("udc"));
    let keys = owner.post("/api/v1/seats/main/keys", &json!({ "text": "a" }));
    assert_eq!((503, &json!("usb-unplugged")), (keys.status, &keys.body["error"]["code"]));

    // The kernel reports the supply, and serve, an ordinary user, shows it in the page.
    let low = || owner.system("/health/low_voltage");
    owner.until("the supply is known", BOOT, || !low().is_null());
    assert_eq!(json!({ "now": false, "ever": false }), low());

    // The front panel works nevertheless.
    for (lit, power) in [(true, "on"), (false, "off")] {
        pi.probe.level(POWER_LAMP, lit);
        owner.until(&format!("the target is {power}"), BOOT, || seat("power") == power);
    }
}
