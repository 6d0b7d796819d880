//! Offers reports through the HID gadget nodes, and reads the lamps that the target sets.
//!
//! The controller may appear long after the process starts (its driver is a module) and may disappear again, so a
//! [`HidgPort`] exists before there is anything to write to, and binds the gadget whenever it can. Until then, and
//! whenever the target has not configured the keyboard, it answers [`Offer::Absent`].

mod node;

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::libc;
use nix::sys::stat::{major, minor};
use tokio::io::Interest;
use tokio::time::{Instant, Sleep, sleep_until};

use node::{Node, watch};

use super::configfs::{self, Gadget};
use crate::base::error_chain::chain;
use crate::base::usb::{Point, Report, Udc};
use crate::config::{Controller, Usb};
use crate::gadget::plan::{Function, KEYBOARD, POINTER};
use crate::hid::descriptor::{KEYBOARD_BYTES, POINTER_BYTES, keyboard_report, pointer_report};
use crate::ports::{Offer, UsbEvent, UsbPort, WakeError};

/// How often to look for a missing controller: it appears while the system starts, and a user waits for the keyboard.
const SEARCH_INTERVAL: Duration = Duration::from_millis(250);

/// How often to check a present one. The kernel announces its changes, but perhaps not its disappearance.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Where the kernel keeps what we need. A test puts other directories here.
#[derive(Debug, Clone)]
pub struct Places {
    /// Where configfs keeps gadgets.
    pub gadgets: PathBuf,
    /// USB device controllers.
    pub controllers: PathBuf,
    /// Device nodes.
    pub devices: PathBuf,
}

impl Default for Places {
    fn default() -> Places {
        Places { gadgets: configfs::GADGETS.into(), controllers: configfs::CONTROLLERS.into(), devices: "/dev".into() }
    }
}

/// The port of a seat with this gadget. Must be called within a runtime.
pub fn open(gadget: String, usb: &Usb, places: Places) -> Box<dyn UsbPort> {
    match usb.controller {
        Controller::None => Box::new(NoPort),
        Controller::Auto | Controller::Named(_) => Box::new(HidgPort::new(gadget, usb, places)),
    }
}

/// The port of a seat without keyboard.
struct NoPort;

impl UsbPort for NoPort {
    fn offer(&mut self, _: Report) -> Offer {
        Offer::NoFunction
    }

    fn replug(&mut self) {}

    fn wake(&mut self) -> Result<(), WakeError> {
        Err(WakeError::Failed(io::ErrorKind::NotConnected.into()))
    }

    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<UsbEvent> {
        Poll::Pending
    }
}

/// The gadget with our keyboard and pointer, as far as it exists.
struct HidgPort {
    name: String,
    usb: Usb,
    places: Places,
    // The nodes are closed before the gadget is taken down.
    plugged: Option<Plugged>,
    gadget: Option<Gadget>,
    events: VecDeque<UsbEvent>,
    wake: Pin<Box<Sleep>>,
    complaint: String,
    /// The errors that were logged since a report was last taken.
    refusals: Vec<Option<i32>>,
}

impl HidgPort {
    /// Never fails: what is missing is looked for until it is there.
    fn new(name: String, usb: &Usb, places: Places) -> HidgPort {
        HidgPort {
            name,
            usb: usb.clone(),
            places,
            plugged: None,
            gadget: None,
            events: VecDeque::new(),
            wake: Box::pin(sleep_until(Instant::now())),
            complaint: String::new(),
            refusals: Vec::new(),
        }
    }

    /// Does what is due: looks for a controller, or checks that ours is still there and whether it `changed`.
    fn look(&mut self, changed: bool) {
        match &mut self.plugged {
            Some(plugged) => {
                if let Err(error) = plugged.look(changed, &mut self.events) {
                    log::warn!("USB controller {} is gone: {error}", plugged.udc.name);
                    self.unplug();
                }
            }
            None => match self.plug() {
                Ok(plugged) => {
                    log::info!("keyboard and pointer are at USB controller {}", plugged.udc.name);
                    self.complaint.clear();
                    self.events.push_back(UsbEvent::Udc(Some(plugged.udc.clone())));
                    self.plugged = Some(plugged);
                }
                // Logged once: the same reason would fill the log four times a second.
                Err(complaint) if complaint == self.complaint => (),
                Err(complaint) => {
                    log::warn!("no USB keyboard yet: {complaint}");
                    self.complaint = complaint;
                }
            },
        }
        let pause = if self.plugged.is_some() { CHECK_INTERVAL } else { SEARCH_INTERVAL };
        self.wake.as_mut().reset(Instant::now() + pause);
    }

    fn plug(&mut self) -> Result<Plugged, String> {
        let gadget = match self.gadget.take() {
            Some(gadget) => gadget,
            None => Gadget::make(&self.places.gadgets, &self.name, &self.usb).map_err(|error| chain(&error))?,
        };
        let gadget = self.gadget.insert(gadget);
        let controllers = configfs::controllers(&self.places.controllers, &self.usb.controller);
        let mut complaint = match &self.usb.controller {
            Controller::Auto | Controller::None => "there is no USB device controller".to_string(),
            Controller::Named(name) => format!("there is no USB device controller {name}"),
        };
        for controller in controllers {
            // For the kernel a gadget stays busy when the controller that it is bound to has gone, so unbind it first.
            gadget.unbind().map_err(|error| chain(&error))?;
            let plugged =
                gadget.bind(&controller).and_then(|()| Plugged::open(gadget, controller.clone(), &self.places));
            match plugged {
                Ok(plugged) => return Ok(plugged),
                Err(error) => complaint = format!("USB controller {controller}: {error}"),
            }
        }
        Err(complaint)
    }

    fn unplug(&mut self) {
        self.plugged = None;
        self.events.push_back(UsbEvent::Udc(None));
        if let Some(gadget) = &self.gadget
            && let Err(error) = gadget.unbind()
        {
            log::warn!("{}", chain(&error));
        }
    }
}

impl UsbPort for HidgPort {
    fn offer(&mut self, report: Report) -> Offer {
        let Some(plugged) = &mut self.plugged else { return Offer::Absent };
        let offered = match report {
            Report::Keys(keys) => plugged.keyboard.offer(&keyboard_report(&keys)),
            Report::Point(point) => plugged.pointer.offer(&pointer_report(&point)),
        };
        match offered {
            Ok(Offer::Taken) => {
                self.refusals.clear();
                match report {
                    Report::Keys(keys) => plugged.keyboard.answer(&keyboard_report(&keys)),
                    // The wheel is no state: only what has turned since the last report counts.
                    Report::Point(point) => {
                        plugged.pointer.answer(&pointer_report(&Point { wheel: 0, pan: 0, ..point }));
                    }
                }
            }
            Ok(_) => (),
            // A release that waits is offered again and again, but the log needs each reason only once.
            Err(ref error) if self.refusals.contains(&error.raw_os_error()) => (),
            Err(ref error) => {
                log::warn!("USB controller {} refuses a report: {error}", plugged.udc.name);
                self.refusals.push(error.raw_os_error());
            }
        }
        offered.unwrap_or(Offer::Absent)
    }

    fn replug(&mut self) {
        if self.plugged.is_some() {
            self.unplug();
            self.wake.as_mut().reset(Instant::now());
        }
    }

    fn wake(&mut self) -> Result<(), WakeError> {
        match &self.plugged {
            Some(plugged) => signal(&self.places.controllers.join(&plugged.udc.name)),
            None => Err(WakeError::Failed(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<UsbEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            let changed = match &mut self.plugged {
                Some(plugged) => plugged.poll_changed(context, &mut self.events).is_ready(),
                None => false,
            };
            if changed || self.wake.as_mut().poll(context).is_ready() {
                self.look(changed);
            } else if self.events.is_empty() {
                return Poll::Pending;
            }
        }
    }
}

type Change = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A gadget at a controller.
struct Plugged {
    udc: Udc,
    state: File,
    announced: Option<Change>,
    keyboard: Node,
    pointer: Node,
}

impl Plugged {
    fn open(gadget: &Gadget, controller: String, places: &Places) -> io::Result<Plugged> {
        let state = File::open(places.controllers.join(&controller).join("state"))?;
        let node = |function| open_node(gadget, function, places).and_then(Node::new);
        let (mut keyboard, mut pointer) = (node(&KEYBOARD)?, node(&POINTER)?);
        keyboard.answer(&[0; KEYBOARD_BYTES]);
        pointer.answer(&[0; POINTER_BYTES]);
        let udc = Udc { name: controller, state: read_state(&state)? };
        let announced = announced(&state);
        Ok(Plugged { udc, state, announced, keyboard, pointer })
    }

    /// Reads the state, and reports it if it has changed. If the kernel says so although it is the same, it has changed
    /// and changed back.
    fn look(&mut self, changed: bool, events: &mut VecDeque<UsbEvent>) -> io::Result<()> {
        let state = read_state(&self.state)?;
        self.keyboard.listen();
        if changed || state != self.udc.state {
            self.udc.state = state;
            if !["configured", "suspended"].contains(&self.udc.state.as_str()) {
                // The kernel would tell a host that starts of keys that were down for the one before.
                self.keyboard.answer(&[0; KEYBOARD_BYTES]);
                self.pointer.answer(&[0; POINTER_BYTES]);
            }
            events.push_back(UsbEvent::Udc(Some(self.udc.clone())));
        }
        // Only after reading, because the read makes sysfs announce the next change.
        self.announced = self.announced.take().or_else(|| announced(&self.state));
        Ok(())
    }

    /// Collects the nodes' events; ready once the state has to be read.
    fn poll_changed(&mut self, context: &mut Context<'_>, events: &mut VecDeque<UsbEvent>) -> Poll<()> {
        while let Poll::Ready(leds) = self.keyboard.poll_leds(context) {
            events.push_back(UsbEvent::Leds(leds));
        }
        for node in [&mut self.keyboard, &mut self.pointer] {
            if node.poll_fetched(context).is_ready() {
                events.push_back(UsbEvent::Ready);
            }
        }
        let Some(change) = &mut self.announced else { return Poll::Pending };
        // If waiting fails, reading the state again is right as well.
        let _ = ready!(change.as_mut().poll(context));
        self.announced = None;
        Poll::Ready(())
    }
}

/// Waits until the kernel announces a change of the state, if it does that for this file (it does in sysfs).
fn announced(state: &File) -> Option<Change> {
    let fd = Arc::new(watch(state.try_clone().ok()?, Interest::PRIORITY).ok()?);
    Some(Box::pin(async move {
        let mut change = fd.ready(Interest::PRIORITY).await?;
        change.clear_ready();
        Ok(())
    }))
}

/// Has a controller signal the host to wake up.
fn signal(controller: &Path) -> Result<(), WakeError> {
    // Named after OTG's session request, but it is also the kernel's way to ask for a remote wake-up.
    let written = OpenOptions::new().write(true).open(controller.join("srp")).and_then(|mut srp| srp.write_all(b"1"));
    written.map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => WakeError::NotArmed,
        _ => WakeError::Failed(error),
    })
}

fn read_state(state: &File) -> io::Result<String> {
    let mut text = [0; 64];
    // Read from the start, which also tells sysfs that this state has been seen.
    let len = state.read_at(&mut text, 0)?;
    Ok(String::from_utf8_lossy(&text[..len]).trim().to_string())
}

fn open_node(gadget: &Gadget, function: &Function, places: &Places) -> io::Result<File> {
    let numbers = gadget.numbers(function).map_err(io::Error::other)?;
    // f_hid names the node by its minor number.
    let path = places.devices.join(format!("hidg{}", numbers.1));
    let node = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path)?;
    let device = node.metadata()?.rdev();
    if (major(device), minor(device)) != numbers {
        let problem = format!("{} is not the node of {}", path.display(), function.name);
        return Err(io::Error::new(io::ErrorKind::NotFound, problem));
    }
    Ok(node)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::base::usb::Keys;

    #[tokio::test(start_paused = true)]
    async fn a_port_without_a_kernel_to_back_it_goes_on_looking() {
        let directory = std::env::temp_dir().join(format!("farhand-hidg-{}", std::process::id()));
        let places = Places {
            gadgets: directory.join("gadgets"),
            controllers: directory.join("controllers"),
            devices: directory.clone(),
        };
        let mut port = HidgPort::new("farhand-main".into(), &Usb::default(), places.clone());
        let settle = async |port: &mut HidgPort| {
            let nothing = poll_fn(|context| port.poll_event(context));
            assert!(tokio::time::timeout(2 * SEARCH_INTERVAL, nothing).await.is_err(), "nothing can have happened");
            assert_eq!(Offer::Absent, port.offer(Report::Keys(Keys::default())));
        };
        settle(&mut port).await;
        assert!(port.complaint.contains("load libcomposite"), "{}", port.complaint);
        // This directory does not do what the kernel's does, so the gadget fails at its first attribute.
        std::fs::create_dir_all(&places.gadgets).unwrap();
        settle(&mut port).await;
        assert!(port.complaint.contains("farhand-main/"), "{}", port.complaint);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn a_refusal_is_logged_once_until_a_report_is_taken() {
        let mut port = HidgPort::new("farhand-main".into(), &Usb::default(), Places::default());
        // Nobody can write to the end of a pipe that is for reading, which is none of the errors of an absent host.
        let (reader, _writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).unwrap();
        let (socket, _target) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let (pointer, keyboard) = (Node::new(OwnedFd::from(socket).into()), Node::new(reader.into()));
        let (pointer, keyboard) = (pointer.unwrap(), keyboard.unwrap());
        let state = File::open("/dev/null").unwrap();
        let udc = Udc { name: "udc.0".into(), state: "configured".into() };
        port.plugged = Some(Plugged { udc, state, announced: None, keyboard, pointer });
        for _ in 0..3 {
            assert_eq!(Offer::Absent, port.offer(Report::Keys(Keys::default())));
            assert_eq!(vec![Some(libc::EBADF)], port.refusals);
        }
        assert_eq!(Offer::Taken, port.offer(Report::Point(Point::default())));
        assert!(port.refusals.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_without_keyboard_looks_for_none() {
        let usb = Usb { controller: Controller::None, ..Usb::default() };
        let mut port = open("farhand-main".into(), &usb, Places::default());
        let event = tokio::time::timeout(10 * CHECK_INTERVAL, poll_fn(|context| port.poll_event(context)));
        assert!(event.await.is_err(), "nothing can have happened");
        assert_eq!(Offer::NoFunction, port.offer(Report::Keys(Keys::default())));
    }

    #[test]
    fn a_controller_is_asked_to_signal_by_its_file_for_that() {
        let controller = std::env::temp_dir().join(format!("farhand-srp-{}", std::process::id()));
        std::fs::create_dir_all(&controller).unwrap();
        assert!(matches!(signal(&controller), Err(WakeError::Failed(_))), "there is none");
        std::fs::write(controller.join("srp"), "").unwrap();
        assert!(signal(&controller).is_ok());
        assert_eq!("1", std::fs::read_to_string(controller.join("srp")).unwrap());
        std::fs::remove_dir_all(controller).unwrap();
    }
}
