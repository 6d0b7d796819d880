//! Writes a gadget plan into configfs, and removes what a previous run left there.
//!
//! A gadget outlives the process that made it, complete or not, bound or not. So nothing is assumed about what exists:
//! it is listed, taken down and made again. Dropping a [`Gadget`] takes it down too.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::base::error_chain::chain;
use crate::config::{Controller, Usb};
use crate::gadget::plan::{self, Configuration, Existing, Function, Step};

/// Where the kernel shows its gadgets.
pub const GADGETS: &str = "/sys/kernel/config/usb_gadget";

/// Where the kernel shows its USB device controllers.
pub const CONTROLLERS: &str = "/sys/class/udc";

/// Why there is no gadget.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the message")]
pub enum GadgetError {
    /// The kernel offers no gadgets here.
    #[error("{} is missing: mount configfs and load libcomposite", .0.display())]
    Missing(PathBuf),
    /// The kernel refused a step of the plan.
    #[error("{op} {} failed", path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
}

/// A gadget that exists, and is taken down when dropped.
#[derive(Debug)]
pub struct Gadget {
    gadgets: PathBuf,
    name: String,
}

impl Gadget {
    /// Removes what exists under this name and makes it again. It is not bound to a controller yet.
    pub fn make(gadgets: &Path, name: &str, usb: &Usb) -> Result<Gadget, GadgetError> {
        if !gadgets.is_dir() {
            return Err(GadgetError::Missing(gadgets.into()));
        }
        clear(gadgets, name)?;
        // From here on a failure drops this, which takes down what has been made so far.
        let gadget = Gadget { gadgets: gadgets.into(), name: name.into() };
        plan::build(name, usb).iter().try_for_each(|step| carry_out(gadgets, step))?;
        Ok(gadget)
    }

    /// Binds the gadget to a controller, as if its cable were plugged in. `ResourceBusy`: another gadget has the
    /// controller.
    pub fn bind(&self, controller: &str) -> io::Result<()> {
        write(&self.gadgets.join(&self.name).join("UDC"), controller.as_bytes())
    }

    /// Unbinds it, which is no failure if it was not bound.
    pub fn unbind(&self) -> Result<(), GadgetError> {
        carry_out(&self.gadgets, &Step::Unbind(Path::new(&self.name).join("UDC")))
    }

    /// Major and minor number of a function's node: their order is that of creation, so they cannot be known before.
    pub fn numbers(&self, function: &Function) -> Result<(u64, u64), GadgetError> {
        let path = self.gadgets.join(&self.name).join("functions").join(function.name).join("dev");
        let fail = |source| GadgetError::Io { op: "reading", path: path.clone(), source };
        let text = fs::read_to_string(&path).map_err(fail)?;
        text.trim()
            .split_once(':')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| fail(io::Error::new(io::ErrorKind::InvalidData, format!("{text:?} is not MAJOR:MINOR"))))
    }
}

impl Drop for Gadget {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.gadgets, &self.name) {
            log::warn!("gadget {}: {}", self.name, chain(&error));
        }
    }
}

/// Takes down whatever exists under this name. The target then sees the keyboard unplugged, and releases its keys.
pub fn clear(gadgets: &Path, name: &str) -> Result<(), GadgetError> {
    let directory = gadgets.join(name);
    if !directory.is_dir() {
        return Ok(());
    }
    let existing = look(&directory).map_err(|source| GadgetError::Io { op: "listing", path: directory, source })?;
    plan::teardown(name, &existing).iter().try_for_each(|step| carry_out(gadgets, step))
}

/// Takes down every gadget of ours, whatever seat it was made for. All are tried, and the first error is returned.
pub fn clear_all(gadgets: &Path) -> Result<(), GadgetError> {
    let existing = names(gadgets, fs::FileType::is_dir);
    let existing = existing.map_err(|source| GadgetError::Io { op: "listing", path: gadgets.into(), source })?;
    let ours = existing.iter().filter(|name| plan::is_ours(name));
    ours.map(|name| clear(gadgets, name)).fold(Ok(()), Result::and)
}

/// The controllers that the configuration allows, in the kernel's order.
pub fn controllers(class: &Path, wanted: &Controller) -> Vec<String> {
    if *wanted == Controller::None {
        return Vec::new();
    }
    // Without the directory no driver has been loaded, so there are no controllers either.
    let mut present = names(class, |_| true).unwrap_or_default();
    if let Controller::Named(wanted) = wanted {
        present.retain(|name| name == wanted);
    }
    present
}

fn look(gadget: &Path) -> io::Result<Existing> {
    let configurations = names(&gadget.join("configs"), fs::FileType::is_dir)?.into_iter().map(|name| {
        let directory = gadget.join("configs").join(&name);
        let links = names(&directory, fs::FileType::is_symlink)?;
        let languages = names(&directory.join("strings"), fs::FileType::is_dir)?;
        Ok(Configuration { name, links, languages })
    });
    Ok(Existing {
        configurations: configurations.collect::<io::Result<_>>()?,
        functions: names(&gadget.join("functions"), fs::FileType::is_dir)?,
        languages: names(&gadget.join("strings"), fs::FileType::is_dir)?,
    })
}

/// The names in a directory, sorted; none if there is no such directory.
fn names(directory: &Path, wanted: impl Fn(&fs::FileType) -> bool) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // The kernel's names and ours are ASCII, so another name was not written by us.
        if let Ok(name) = entry.file_name().into_string()
            && wanted(&entry.file_type()?)
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn carry_out(gadgets: &Path, step: &Step) -> Result<(), GadgetError> {
    let (op, path, done) = match step {
        Step::MakeDir(path) => ("making", path, fs::create_dir(gadgets.join(path))),
        Step::Write(path, bytes) => ("writing", path, write(&gadgets.join(path), bytes)),
        // Absolute, since configfs looks the target up from the process's own directory.
        Step::Link { at, to } => ("linking", at, symlink(gadgets.join(to), gadgets.join(at))),
        Step::Unlink(path) => ("unlinking", path, fs::remove_file(gadgets.join(path))),
        Step::RemoveDir(path) => ("removing", path, fs::remove_dir(gadgets.join(path))),
        Step::Unbind(path) => ("unbinding", path, unbind(&gadgets.join(path))),
    };
    done.map_err(|source| GadgetError::Io { op, path: path.clone(), source })
}

/// Writes an attribute in one call, as configfs takes every write for a whole value.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut attribute = fs::OpenOptions::new().write(true).open(path)?;
    match attribute.write(bytes)? {
        len if len == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

fn unbind(path: &Path) -> io::Result<()> {
    match write(path, b"\n") {
        // The kernel's answer when the gadget was not bound.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENODEV) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "farhand-main";

    /// A directory in which a test does what configfs does by itself: a new directory gets attributes and fixed
    /// subdirectories, and removing one removes them too. The image's tests check that the kernel does the same.
    struct Shim(PathBuf);

    impl Shim {
        fn new(name: &str) -> Shim {
            let path = std::env::temp_dir().join(format!("farhand-configfs-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Shim(path)
        }

        fn carry_out(&self, step: &Step) -> Result<(), GadgetError> {
            if let Step::RemoveDir(path) = step {
                self.furniture(path, |file| fs::remove_file(file), |directory| fs::remove_dir(directory));
            }
            carry_out(&self.0, step)?;
            if let Step::MakeDir(path) = step {
                self.furniture(path, |file| fs::write(file, ""), |directory| fs::create_dir(directory));
            }
            Ok(())
        }

        /// What the kernel puts into a directory at this depth. As in the kernel, a directory that holds anything else
        /// cannot be removed.
        fn furniture(
            &self,
            path: &Path,
            file: impl Fn(&Path) -> io::Result<()>,
            directory: impl Fn(&Path) -> io::Result<()>,
        ) {
            let parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).collect();
            let (files, directories): (&[&str], &[&str]) = match parts[1..] {
                [] => (&["idVendor", "idProduct", "bcdUSB", "bcdDevice", "UDC"], &["strings", "functions", "configs"]),
                ["functions", _] => {
                    (&["subclass", "protocol", "report_length", "no_out_endpoint", "report_desc", "dev"], &[])
                }
                ["configs", _] => (&["MaxPower", "bmAttributes"], &["strings"]),
                ["configs", _, "strings", _] => (&["configuration"], &[]),
                ["strings", _] => (&["manufacturer", "product", "serialnumber"], &[]),
                _ => panic!("configfs has no place for {}", path.display()),
            };
            // What cannot be removed makes the removal of the directory fail, which the test checks.
            files.iter().for_each(|name| drop(file(&self.0.join(path).join(name))));
            directories.iter().for_each(|name| drop(directory(&self.0.join(path).join(name))));
        }
    }

    impl Drop for Shim {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_gadget_abandoned_at_any_step_is_taken_down() {
        let shim = Shim::new("abandoned");
        let plan = plan::build(NAME, &Usb::default());
        for done in 1..=plan.len() {
            plan[..done].iter().for_each(|step| shim.carry_out(step).unwrap());
            let existing = look(&shim.0.join(NAME)).unwrap();
            for step in plan::teardown(NAME, &existing) {
                shim.carry_out(&step).unwrap_or_else(|error| panic!("after {done} steps: {}", chain(&error)));
            }
            assert!(!shim.0.join(NAME).exists(), "after {done} steps");
        }
    }

    #[test]
    fn all_of_ours_are_cleared_and_nothing_else() {
        let shim = Shim::new("all");
        for name in ["farhand", "farhand-lab", "g1"] {
            fs::create_dir(shim.0.join(name)).unwrap();
            fs::write(shim.0.join(name).join("UDC"), "x").unwrap();
        }
        // Each is unbound, and is left only because of its attribute, which the kernel alone removes.
        let error = clear_all(&shim.0).unwrap_err();
        assert!(error.to_string().ends_with("farhand failed"), "{error}");
        let controllers =
            ["farhand", "farhand-lab", "g1"].map(|name| fs::read_to_string(shim.0.join(name).join("UDC")));
        assert_eq!(["\n", "\n", "x"], controllers.map(Result::unwrap));
        assert!(clear_all(&shim.0.join("missing")).is_ok());
    }

    #[test]
    fn what_the_kernel_reads_is_what_was_planned() {
        let shim = Shim::new("made");
        plan::build(NAME, &Usb::default()).iter().for_each(|step| shim.carry_out(step).unwrap());
        let gadget = shim.0.join(NAME);
        assert_eq!("Farhand", fs::read_to_string(gadget.join("strings/0x409/manufacturer")).unwrap());
        let interface = gadget.join("configs/c.1/hid.keyboard");
        assert_eq!("1", fs::read_to_string(interface.join("protocol")).unwrap());
        fs::write(gadget.join("functions/hid.keyboard/dev"), "240:3\n").unwrap();
        // Not dropped, since a plain directory could not be taken down without the shim.
        let made = std::mem::ManuallyDrop::new(Gadget { gadgets: shim.0.clone(), name: NAME.into() });
        assert_eq!((240, 3), made.numbers(&plan::KEYBOARD).unwrap());
        made.bind("dummy_udc.0").unwrap();
        assert_eq!("dummy_udc.0", fs::read_to_string(gadget.join("UDC")).unwrap());
    }

    #[test]
    fn without_configfs_the_error_says_what_to_load() {
        let error = Gadget::make(Path::new("/no/such/place"), NAME, &Usb::default()).unwrap_err();
        assert_eq!("/no/such/place is missing: mount configfs and load libcomposite", error.to_string());
    }

    #[test]
    fn controllers_are_those_present_and_wanted() {
        let shim = Shim::new("controllers");
        assert!(controllers(&shim.0.join("none"), &Controller::Auto).is_empty());
        for name in ["fe980000.usb", "dummy_udc.0"] {
            fs::create_dir(shim.0.join(name)).unwrap();
        }
        assert_eq!(["dummy_udc.0", "fe980000.usb"].as_slice(), controllers(&shim.0, &Controller::Auto));
        let named = |name: &str| controllers(&shim.0, &Controller::Named(name.into()));
        assert_eq!(["fe980000.usb"].as_slice(), named("fe980000.usb"));
        assert!(named("other").is_empty());
        assert!(controllers(&shim.0, &Controller::None).is_empty());
    }
}
