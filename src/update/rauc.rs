//! Understands what RAUC 1.13's `rauc install` says, and says it again for people.
//!
//! It prints a percentage with a step's name for each step, and between them what it does in words. The reason of a
//! failure is one of many such lines: what our own check before the writing says stands behind `Error:`, everything
//! else in RAUC's event of the failure. So whatever is no percentage is remembered, and looked through at the end.

/// From this percentage on all checks are over, and a slot is being written.
pub const WRITING: u8 = 40;

/// What one line means.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// So much is done.
    Percent(u8),
    /// Words, perhaps those that tell why it failed.
    Other,
}

/// What a line of RAUC's output means.
pub fn hear(line: &str) -> Said {
    let line = line.trim();
    let percent = line.split_once('%').and_then(|(number, _)| number.parse().ok()).filter(|percent| *percent <= 100);
    match percent {
        Some(percent) => Said::Percent(percent),
        None => Said::Other,
    }
}

/// What every installation says, so that it explains nothing.
const COMMONPLACE: &[&str] = &[
    "started",
    "finished",
    "rauc-event-Message:",
    "Checking and mounting bundle...",
    "Updating slot",
    "Checking slot",
    "All slots updated",
    "Installing `",
];

/// A phrase of RAUC's and what it means to whoever chose the file. The first that fits counts, so what is particular
/// stands before what is general.
const MEANINGS: &[(&str, &str)] = &[
    ("still on trial", "What runs now has not proven itself yet. Wait half a minute and try again."),
    ("another update is being installed", "Another update is being installed already. Wait until that is done."),
    (
        "cannot be made the next to start",
        "The update is written, but the card has not taken the note that it starts next. Try again; then try another card.",
    ),
    ("not for both parts", "This file does not bring a whole system, so it is not taken."),
    ("the bundle's ", "This file holds something else in the place of a system, so it is not taken."),
    ("the bundle is ", "This file is damaged. Download it again."),
    (
        "certificate has expired",
        "The certificate of the key that signed this file had expired. Get the file afresh from whoever made it.",
    ),
    (
        "certificate is not yet valid",
        "The certificate of the key that signed this file is not valid yet. Get the file afresh from whoever made it.",
    ),
    ("certificate revoked", "The key that signed this file has been withdrawn. Do not use the file; get a newer one."),
    ("Verify error", "This file is not signed by a key that this device trusts."),
    ("CMS_verify", "This file was damaged or changed after it was signed. Download it again."),
    ("signature verification failed", "This file is not signed by a key that this device trusts."),
    (
        "Bundle format '",
        "This file is an update in a form that can be changed unnoticed while it is installed, so it is not taken.",
    ),
    ("Invalid identifier", "This file is not an update for Farhand. Choose one whose name ends in .raucb."),
    ("Unsupported bundle", "This file is not an update for Farhand. Choose one whose name ends in .raucb."),
    ("ignature", "This file is not a signed update, or it is damaged. Download it again."),
    ("is not a multiple of 4KiB", "This file is damaged or not complete. Download it again."),
    ("for verity bundle", "This file is damaged. Download it again."),
    ("assertion", "This file is damaged. Download it again."),
    ("payload is corrupted", "This file is damaged. Download it again."),
    ("exclusive bundle access", "This file was changed while it was being installed, so it was not taken."),
    (
        "No space left on device",
        "There is no space left: the card is full, or this file is larger than the place for it.",
    ),
    ("does not fit", "The system in this file is larger than the place for it on the card."),
    ("too large", "The system in this file is larger than the place for it on the card."),
    ("bigger than", "The system in this file is larger than the place for it on the card."),
    ("Failed mounting bundle", "This file is damaged. Download it again."),
    (
        "Input/output error",
        "This file is damaged, or the card cannot be written. Download it again; then try another card.",
    ),
    (
        "manifest",
        "This file is an update that this version cannot read. Look whether there is one in between to install first.",
    ),
];

/// Explains a failure from what was said on the way to it.
pub fn explain(lines: &[String]) -> String {
    let reason = reason(lines);
    if let Some((ours, theirs)) = quoted(reason, "Compatible mismatch: Expected ") {
        return format!("This file is for another device: it is made for {theirs}, and this is {ours}.");
    }
    if let Some((ours, theirs)) = quoted(reason, "Version mismatch: Expected at least ") {
        return format!(
            "This file is older than what runs here: it is version {theirs}, and at least {ours} is needed."
        );
    }
    if reason.contains("Version mismatch") {
        return "This file does not say which version it is, so it is not taken.".into();
    }
    if let Some((_, more)) = reason.split_once("the bundle holds more than an update: ") {
        return format!("This file holds more than an update, namely {}, so it is not taken.", more.trim());
    }
    for (phrase, meaning) in MEANINGS {
        if reason.contains(phrase) {
            return (*meaning).into();
        }
    }
    match reason {
        "" => "The installer failed without a word; see the log of the hands.".into(),
        reason => format!("The installer failed, and said: {reason}"),
    }
}

/// The words that come nearest to a reason: our own check's, RAUC's of its failure, or the last that were not said
/// every time.
fn reason(lines: &[String]) -> &str {
    let ours = lines.iter().rev().find_map(|line| line.strip_prefix("Error: "));
    let events = lines.iter().rev().filter(|line| line.starts_with("rauc-event-Message: "));
    let event = events.filter_map(|line| line.split_once(" failed: ")).map(|(_, reason)| reason).next();
    let tells = |line: &&String| !COMMONPLACE.iter().any(|common| line.trim().starts_with(common));
    ours.or(event).or_else(|| lines.iter().rfind(tells).map(String::as_str)).unwrap_or_default().trim()
}

/// The two words in quotation marks that follow a phrase.
fn quoted<'a>(text: &'a str, phrase: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = text.split_once(phrase)?;
    let mut parts = rest.split('\'');
    Some((parts.nth(1)?, parts.nth(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What RAUC 1.13 says without its service.
    const GOOD: &str = include_str!("../../tests/data/rauc-good.txt");

    #[track_caller]
    fn explains(said: &str, parts: &[&str]) {
        let event = format!("rauc-event-Message: 14:52: Installation 0a1b2c3d failed: {said}");
        let lines =
            format!("started\nChecking and mounting bundle...\n{event}\n{said}\nfinished\nInstalling `/x` failed");
        let lines: Vec<String> = lines.lines().map(String::from).collect();
        let explained = explain(&lines);
        for part in parts {
            assert!(explained.contains(part), "{part:?} is not in: {explained}");
        }
    }

    #[test]
    fn percentages_are_told_from_words() {
        assert_eq!(Said::Percent(0), hear("  0% Installing"));
        assert_eq!(Said::Percent(100), hear("100% Installing done."));
        for words in ["101% x", "x 5%", "%", "", "started", "-1% x", "999999999999% x"] {
            assert_eq!(Said::Other, hear(words), "{words}");
        }
    }

    #[test]
    fn each_refusal_says_what_is_wrong_with_the_file() {
        let mismatch =
            "Compatible mismatch: Expected 'farhand-rpi4-quick' but bundle manifest has 'farhand-virt-quick'";
        explains(mismatch, &["another device", "made for farhand-virt-quick", "this is farhand-rpi4-quick"]);
        let older = "Version mismatch: Expected at least '0.3.0' but bundle manifest has '0.2.9'";
        explains(older, &["older", "version 0.2.9", "at least 0.3.0"]);
        explains("Version mismatch: Expected at least '0.3.0' but bundle manifest has no version", &["does not say"]);
        let signer = "signature verification failed: Verify error: self-signed certificate in certificate chain";
        explains(signer, &["not signed by a key that this device trusts"]);
        explains("signature verification failed: Verify error: certificate has expired", &["had expired"]);
        explains(
            "signature verification failed: error:1700009E:CMS routines:CMS_verify:content verify error",
            &["damaged"],
        );
        explains("Bundle format 'plain' not allowed", &["changed unnoticed"]);
        explains("Invalid identifier. Did you pass a valid RAUC bundle?", &["not an update", ".raucb"]);
        explains("Signature size (1937204590) exceeds bundle size", &["not a signed update"]);
        explains("Failed to parse signature", &["not a signed update"]);
        explains(
            "Installation error: Failed updating slot root.1: Failed to copy data: Input/output error",
            &["damaged"],
        );
        explains("bundle payload is corrupted", &["damaged"]);
        explains("something new", &["The installer failed, and said: something new"]);
        assert!(explain(&[]).contains("without a word"));
        let check = "Error: the bundle holds more than an update: hook.sh\n\
            rauc-event-Message: x: Installation 0 failed: Pre-install handler error: Child process exited with code 1";
        explains(check, &["more than an update, namely hook.sh"]);
        explains("Error: the running release is still on trial", &["half a minute"]);
        explains("Error: the bundle is damaged", &["damaged"]);
        explains("Error: the bundle is not for both parts of a slot", &["whole system"]);
        explains("Error: the bundle's boot.img is not an image", &["something else in the place"]);
        explains("Error: the update cannot be made the next to start", &["another card"]);
        explains("Invalid hash for verity bundle: 00", &["damaged"]);
        explains("Signature data is no valid CMS", &["not a signed update"]);
        explains("Failed mounting bundle: x", &["damaged"]);
        let died = "rauc:ERROR:../src/bundle.c:1: input_bundle: assertion failed: (size > 0)";
        assert!(explain(&["started".into(), died.into()]).contains("damaged"));
    }

    #[test]
    fn an_installer_that_dies_behind_a_good_installation_has_said_no_reason() {
        let said: Vec<String> = GOOD.lines().filter(|line| hear(line) == Said::Other).map(String::from).collect();
        assert!(explain(&said).contains("without a word"), "{}", explain(&said));
    }

    #[test]
    fn talk_cut_anywhere_or_with_a_bit_flipped_does_not_panic() {
        let text = format!(
            "{GOOD}\nCompatible mismatch: Expected 'a' but bundle manifest has 'b'\nVersion mismatch: Expected at least 'a"
        );
        for length in 0..text.len() {
            let lines: Vec<String> = text[..length].lines().map(String::from).collect();
            lines.iter().for_each(|line| _ = hear(line));
            explain(&lines);
        }
        for bit in 0..text.len() * 8 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<String> = text.lines().map(String::from).collect();
            lines.iter().for_each(|line| _ = hear(line));
        }
    }
}
