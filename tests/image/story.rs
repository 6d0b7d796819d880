//! Operates the image from a browser, as an owner would.

use crate::browser;

#[test]
fn a_first_hour_in_the_browser() {
    browser::run("first-hour", "story.spec.ts");
}

#[test]
fn what_an_owner_must_trust_when_something_fails() {
    browser::run("faults", "image.spec.ts");
}
