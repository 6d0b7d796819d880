//! Lists, in order, what must be created in configfs for a gadget to exist.
//!
//! The order is the contract: firmware such as SeaBIOS binds only the first interface it knows of a device, so the boot
//! keyboard comes first; and configfs refuses to remove what is still in use, so teardown runs in the opposite order.
//! Here the order is only listed, so that it can be tested without a kernel.

use std::path::{Path, PathBuf};

use crate::base::seat_id::SeatId;
use crate::config::Usb;
use crate::hid::descriptor;

/// What the names of our gadgets begin with.
const OURS: &str = "farhand";

/// The directory of a seat's gadget. Each has its own, or one seat would take down another's.
pub fn name(seat: &SeatId) -> String {
    format!("{OURS}-{seat}")
}

/// Whether a gadget is ours, even one from a previous run with other seats.
pub fn is_ours(name: &str) -> bool {
    name.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The boot keyboard.
pub const KEYBOARD: Function = Function { name: "hid.keyboard", subclass: 1, protocol: 1 };

/// The absolute pointer. It is no boot device: a BIOS would expect relative movement from one.
pub const POINTER: Function = Function { name: "hid.pointer", subclass: 0, protocol: 0 };

/// The only language whose strings we have: US English, USB language identifier 0x0409.
const LANGUAGE: &str = "strings/0x409";

/// What every port must give. We are seldom powered by the target, and a bus-powered hub rejects a device that asks for
/// more.
const MILLIAMPERES: &str = "100";

/// Powered by the bus, and able to wake its host (USB 2.0 table 9-10; bit 7 is always set).
const ATTRIBUTES: &str = "0xa0";

/// A HID function of the gadget.
#[derive(Debug)]
pub struct Function {
    /// Its directory below `functions`.
    pub name: &'static str,
    /// HID 1.11 section 4.2: 1 if it can speak the boot protocol.
    subclass: u8,
    /// HID 1.11 section 4.3: 1 for a keyboard.
    protocol: u8,
}

/// One thing to do below `usb_gadget`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make a directory; configfs fills it with attributes.
    MakeDir(PathBuf),
    /// Write an attribute in one go.
    Write(PathBuf, Vec<u8>),
    /// Put a function into a configuration.
    Link {
        /// The symbolic link to make.
        at: PathBuf,
        /// The function's directory.
        to: PathBuf,
    },
    /// Take the gadget off its controller, which is no failure if it is on none.
    Unbind(PathBuf),
    /// Take a function out of a configuration.
    Unlink(PathBuf),
    /// Remove a directory; configfs takes its attributes along.
    RemoveDir(PathBuf),
}

/// The steps that make a gadget of this name, up to but without binding it to a controller.
pub fn build(name: &str, usb: &Usb) -> Vec<Step> {
    let gadget = Path::new(name);
    let write = |path: &str, text: &str| Step::Write(gadget.join(path), text.into());
    let make = |path: &str| Step::MakeDir(gadget.join(path));
    let mut steps = vec![
        Step::MakeDir(gadget.into()),
        write("idVendor", &format!("{:#06x}", usb.vendor)),
        write("idProduct", &format!("{:#06x}", usb.product)),
        write("bcdUSB", "0x0200"),
        write("bcdDevice", "0x0100"),
        make(LANGUAGE),
        write(&format!("{LANGUAGE}/manufacturer"), usb.manufacturer.as_str()),
        write(&format!("{LANGUAGE}/product"), usb.name.as_str()),
        write(&format!("{LANGUAGE}/serialnumber"), usb.serial.as_str()),
    ];
    for (function, len, description) in [
        (KEYBOARD, descriptor::KEYBOARD_BYTES, descriptor::keyboard()),
        (POINTER, descriptor::POINTER_BYTES, descriptor::pointer()),
    ] {
        let directory = gadget.join("functions").join(function.name);
        let set = |attribute: &str, value: usize| Step::Write(directory.join(attribute), value.to_string().into());
        steps.extend([
            Step::MakeDir(directory.clone()),
            set("subclass", function.subclass.into()),
            set("protocol", function.protocol.into()),
            set("report_length", len),
            // With an OUT endpoint f_hid refuses SET_REPORT, by which BIOSes and Linux alike set the keyboard's lamps.
            set("no_out_endpoint", 1),
            Step::Write(directory.join("report_desc"), description),
        ]);
    }
    steps.extend([
        make("configs/c.1"),
        write("configs/c.1/MaxPower", MILLIAMPERES),
        write("configs/c.1/bmAttributes", ATTRIBUTES),
        make(&format!("configs/c.1/{LANGUAGE}")),
        write(&format!("configs/c.1/{LANGUAGE}/configuration"), "Keyboard and pointer"),
    ]);
    // The order of the links is the order of the interfaces.
    steps.extend([KEYBOARD, POINTER].map(|function| Step::Link {
        at: gadget.join("configs/c.1").join(function.name),
        to: gadget.join("functions").join(function.name),
    }));
    steps
}

/// What exists of a gadget, perhaps incomplete, perhaps made by another version of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "`configurations` is described by its type")]
pub struct Existing {
    pub configurations: Vec<Configuration>,
    /// The directories below `functions`.
    pub functions: Vec<String>,
    /// The languages below `strings`.
    pub languages: Vec<String>,
}

/// A configuration of an existing gadget.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Its directory below `configs`.
    pub name: String,
    /// The symbolic links in it.
    pub links: Vec<String>,
    /// The languages below its `strings`.
    pub languages: Vec<String>,
}

/// The steps that take down what exists: off the controller, functions out of configurations, then from the leaves to
/// the root.
pub fn teardown(name: &str, existing: &Existing) -> Vec<Step> {
    let gadget = Path::new(name);
    let mut steps = vec![Step::Unbind(gadget.join("UDC"))];
    for configuration in &existing.configurations {
        let directory = gadget.join("configs").join(&configuration.name);
        steps.extend(configuration.links.iter().map(|link| Step::Unlink(directory.join(link))));
        let strings = directory.join("strings");
        steps.extend(configuration.languages.iter().map(|language| Step::RemoveDir(strings.join(language))));
        steps.push(Step::RemoveDir(directory));
    }
    let functions = gadget.join("functions");
    steps.extend(existing.functions.iter().map(|function| Step::RemoveDir(functions.join(function))));
    let strings = gadget.join("strings");
    steps.extend(existing.languages.iter().map(|language| Step::RemoveDir(strings.join(language))));
    steps.push(Step::RemoveDir(gadget.into()));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "farhand";

    #[test]
    fn a_gadget_is_named_after_its_seat_and_known_as_ours() {
        let seat = SeatId::try_from("lab-2".to_string()).unwrap();
        assert_eq!("farhand-lab-2", name(&seat));
        for (gadget, ours) in [("farhand-lab-2", true), ("farhand", true), ("farhander", false), ("g1", false)] {
            assert_eq!(ours, is_ours(gadget), "{gadget}");
        }
    }

    fn position(steps: &[Step], wanted: impl Fn(&Step) -> bool) -> usize {
        steps.iter().position(wanted).expect("the step is not in the plan")
    }

    fn writes(steps: &[Step], path: &str, value: &str) -> bool {
        steps.contains(&Step::Write(path.into(), value.into()))
    }

    fn plan() -> Vec<Step> {
        build(NAME, &Usb::default())
    }

    #[test]
    fn the_keyboard_is_the_first_function_and_the_first_interface() {
        let plan = plan();
        let made =
            |name: &str| position(&plan, |step| *step == Step::MakeDir(format!("farhand/functions/{name}").into()));
        assert!(made("hid.keyboard") < made("hid.pointer"));
        let linked = |name: &str| {
            let path = PathBuf::from(format!("farhand/configs/c.1/{name}"));
            position(&plan, |step| matches!(step, Step::Link { at, .. } if *at == path))
        };
        assert!(linked("hid.keyboard") < linked("hid.pointer"));
    }

    #[test]
    fn the_keyboard_is_what_a_bios_needs() {
        for (attribute, value) in
            [("subclass", "1"), ("protocol", "1"), ("report_length", "8"), ("no_out_endpoint", "1")]
        {
            assert!(writes(&plan(), &format!("farhand/functions/hid.keyboard/{attribute}"), value), "{attribute}");
        }
    }

    #[test]
    fn the_pointer_is_no_boot_device() {
        for (attribute, value) in
            [("subclass", "0"), ("protocol", "0"), ("report_length", "7"), ("no_out_endpoint", "1")]
        {
            assert!(writes(&plan(), &format!("farhand/functions/hid.pointer/{attribute}"), value), "{attribute}");
        }
    }

    #[test]
    fn the_target_sees_the_configured_names() {
        let plan = plan();
        assert!(writes(&plan, "farhand/idVendor", "0x1d6b"));
        assert!(writes(&plan, "farhand/idProduct", "0x0104"));
        assert!(writes(&plan, "farhand/strings/0x409/product", "Remote hands"));
    }

    #[test]
    fn the_target_may_let_the_keyboard_wake_it() {
        assert!(writes(&plan(), "farhand/configs/c.1/bmAttributes", "0xa0"));
    }

    #[test]
    fn every_step_finds_its_directory_made() {
        let mut made = vec![PathBuf::new()];
        // These come with the gadget's own directory.
        made.extend(
            ["farhand/strings", "farhand/functions", "farhand/configs", "farhand/configs/c.1/strings"]
                .map(PathBuf::from),
        );
        for step in plan() {
            let path = match &step {
                Step::MakeDir(path) | Step::Write(path, _) | Step::Link { at: path, .. } => path,
                other => panic!("{other:?} builds nothing"),
            };
            assert!(made.contains(&path.parent().unwrap().to_path_buf()), "{step:?} comes too early");
            made.push(path.clone());
            if let Step::Link { to, .. } = &step {
                assert!(made.contains(to), "{step:?} points at nothing");
            }
        }
    }

    #[test]
    fn what_is_in_use_is_removed_last() {
        let existing = Existing {
            configurations: vec![Configuration {
                name: "c.1".into(),
                links: vec!["hid.keyboard".into()],
                languages: vec!["0x409".into()],
            }],
            functions: vec!["hid.keyboard".into()],
            languages: vec!["0x409".into()],
        };
        let expected = [
            Step::Unbind("farhand/UDC".into()),
            Step::Unlink("farhand/configs/c.1/hid.keyboard".into()),
            Step::RemoveDir("farhand/configs/c.1/strings/0x409".into()),
            Step::RemoveDir("farhand/configs/c.1".into()),
            Step::RemoveDir("farhand/functions/hid.keyboard".into()),
            Step::RemoveDir("farhand/strings/0x409".into()),
            Step::RemoveDir("farhand".into()),
        ];
        assert_eq!(expected.as_slice(), teardown(NAME, &existing));
    }
}
