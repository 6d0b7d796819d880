//! Connects a PC with a real BIOS to the appliance: keyboard, screen and buttons as an owner would wire them.
//!
//! The appliance's gadget is exported by its own kernel's host side and becomes the PC's USB keyboard, the PC's screen
//! is fed to the appliance's capture device, and the appliance's relays are the PC's buttons. Both machines are
//! emulated, so the whole works without hardware, and the appliance needs no changes for it.

mod cable;
mod disk;
mod panel;
mod pc;
mod qmp;
mod witness;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::cable::Cable;
use self::panel::{Action, Panel};
use self::pc::{Case, Pc, Picture};
use crate::vm::{self, Vm};

/// How often the screen is looked at. An emulated processor has to decode and encrypt each picture that changed.
const SCREEN_INTERVAL: Duration = Duration::from_millis(120);
/// How often a still picture is repeated: rarely enough to cost nothing, often enough to count as a signal.
const REPEAT_INTERVAL: Duration = Duration::from_millis(400);
/// Good enough to read small letters, like the better dongles.
const QUALITY: i32 = 85;
/// The longest start of a program on an emulated processor while a build keeps the host busy.
const FIRST_WORD: Duration = Duration::from_secs(20);
/// The guest's address and port at which it exports its gadget.
const USB: (&str, u16) = ("10.0.3.15", 4000);

/// The folder and the port for the cables, chosen before there is an appliance.
pub struct Plan {
    folder: PathBuf,
    usb: SocketAddr,
}

/// Both machines, joined. Dropping it takes the PC away.
pub struct Rig {
    events: SyncSender<Event>,
    thread: Option<JoinHandle<()>>,
    folder: PathBuf,
}

/// The PC's state, seen without the appliance.
#[derive(Debug)]
pub struct State {
    pub running: bool,
    /// The characters on its screen; empty while it is off.
    pub text: String,
}

/// An event for the PC.
enum Event {
    /// The contact over a button moved.
    Button { power: bool, closed: bool, at: Instant },
    /// The capture device took what was sent.
    Taken,
    /// A request for its state.
    Ask(SyncSender<State>),
    /// The cable was pulled, or the rig is taken down.
    End(Option<io::Error>),
}

impl Plan {
    /// Chooses a folder and a free port.
    pub fn draw(name: &str) -> io::Result<Plan> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
        let folder = parent.join(format!("farhand-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Plan { folder, usb: SocketAddr::from(([127, 0, 0, 1], vm::free_port())) })
    }

    /// The appliance's QEMU needs these arguments in addition to its own.
    pub fn arguments(&self) -> Vec<String> {
        let disk = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/virt/rig.squashfs");
        let (guest, port) = USB;
        // A network of its own for USB, so that the appliance's stays as its owner configured it.
        let network = format!("user,id=usb,net=10.0.3.0/24,hostfwd=tcp:{}-{guest}:{port}", self.usb);
        let socket = format!("socket,id=cable,server=on,wait=off,path={}", self.socket().display());
        let drive = format!("if=none,id=rig,format=raw,readonly=on,file={}", disk.display());
        let pairs = [
            ["-drive", &drive],
            ["-device", "virtio-blk-pci,drive=rig,serial=rig"],
            ["-netdev", &network],
            // As a device, so that it comes after the appliance's own: QEMU creates those of `-nic` first.
            ["-device", "virtio-net-pci,netdev=usb,romfile="],
            ["-chardev", &socket],
            ["-device", "virtserialport,chardev=cable,name=cable"],
        ];
        pairs.into_iter().flatten().map(str::to_owned).collect()
    }

    /// Joins a PC, switched off, to an appliance that was started with our arguments.
    #[track_caller]
    pub fn build(self, vm: &mut Vm) -> io::Result<Rig> {
        vm.ask(&prepare_guest());
        let (events, inbox) = mpsc::sync_channel(64);
        let cable = Cable::plug(&self.socket(), events.clone())?;
        vm.ask("/tmp/rig/cable >/run/log/cable 2>&1 &");
        // It first reports the state of the relays, so its first line tells that it runs.
        if let Err(silence) = inbox.recv_timeout(FIRST_WORD) {
            return Err(io::Error::other(format!(
                "no cable in the guest: {silence}; {}",
                vm.sh("cat /run/log/cable").text
            )));
        }
        let case = Case::build(&self.folder, self.usb)?;
        let pc_thread = PcThread { inbox, cable, case, panel: Panel::default(), pc: None, shown: None };
        let thread = thread::spawn(move || {
            if let Err(error) = pc_thread.run() {
                eprintln!("the rig has come apart: {error}");
            }
        });
        Ok(Rig { events, thread: Some(thread), folder: self.folder })
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("cable")
    }
}

impl Rig {
    /// Serves the PC's state at the address that is returned; see [`witness`].
    pub fn witness(&self) -> io::Result<SocketAddr> {
        let events = self.events.clone();
        witness::listen(move || {
            let (answer, state) = mpsc::sync_channel(1);
            events.send(Event::Ask(answer)).ok()?;
            state.recv().ok()
        })
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.events.send(Event::End(None));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Prepares the guest for the rig: another picture, and no other driver for our keyboard.
fn prepare_guest() -> String {
    let (address, port) = USB;
    format!(
        "( set -e
        # The board's simulated parts appear while the services start; the panel is the last of them.
        until [ -e /dev/video0 ] && ls /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio3; do sleep 1; done >/dev/null 2>&1
        rig=$(grep -lx rig /sys/block/*/serial)
        rig=${{rig%/serial}}
        mkdir -p /tmp/rig
        mount -t squashfs -o ro /dev/${{rig##*/}} /tmp/rig
        for card in /sys/class/net/eth*; do card=${{card##*/}}; done
        ip addr add {address}/24 dev $card
        ip link set $card up
        # Removed like a dongle: the daemon has to find the next one.
        for device in /sys/bus/platform/drivers/vivid/vivid.*; do
            echo ${{device##*/}} >/sys/bus/platform/drivers/vivid/unbind
        done
        modprobe -a videobuf2-v4l2 videobuf2-vmalloc
        insmod /tmp/rig/jpegcap.ko
        /tmp/rig/export-usb.sh 1d6b:0104 {port} >/run/log/usb 2>&1 & )"
    )
}

/// The thread that owns the PC, so that all events for it are in order.
struct PcThread {
    inbox: Receiver<Event>,
    cable: Cable,
    case: Case,
    panel: Panel,
    pc: Option<Pc>,
    shown: Option<(Picture, Instant)>,
}

impl PcThread {
    fn run(mut self) -> io::Result<()> {
        let mut look = Instant::now();
        loop {
            let wake = self.panel.deadline().filter(|_| self.pc.is_some()).map_or(look, |end| end.min(look));
            match self.inbox.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                Ok(Event::Button { power, closed, at }) => {
                    let running = self.pc.is_some();
                    let action =
                        if power { self.panel.power(at, closed, running) } else { self.panel.reset(closed, running) };
                    self.carry_out(action)?;
                }
                Ok(Event::Taken) => self.cable.taken(),
                Ok(Event::Ask(answer)) => {
                    let text = self.pc.as_mut().map(Pc::text).transpose()?.unwrap_or_default();
                    // The client may have gone.
                    let _ = answer.send(State { running: self.pc.is_some(), text });
                }
                Ok(Event::End(Some(error))) => return Err(error),
                Ok(Event::End(None)) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                // Only when no event waits: events during the PC's start must be handled before the deadline.
                Err(RecvTimeoutError::Timeout) => {
                    let action = self.panel.tick(Instant::now(), self.pc.is_some());
                    self.carry_out(action)?;
                }
            }
            if look <= Instant::now() {
                self.look()?;
                look = Instant::now() + SCREEN_INTERVAL;
            }
        }
    }

    fn carry_out(&mut self, action: Option<Action>) -> io::Result<()> {
        match (action, &mut self.pc) {
            (Some(Action::Start), None) => {
                self.pc = Some(self.case.start()?);
                self.cable.send(b"LAMP up")?;
                self.cable.send(b"BACK")
            }
            (Some(Action::Ask), Some(pc)) => pc.ask(),
            (Some(Action::Reset), Some(pc)) => pc.reset(),
            (Some(Action::Cut), Some(_)) => self.go_dark(),
            _ => Ok(()),
        }
    }

    fn go_dark(&mut self) -> io::Result<()> {
        self.pc = None;
        self.shown = None;
        self.cable.send(b"GONE")?;
        self.cable.send(b"LAMP down")
    }

    /// Sends the screen over the cable, unless the last picture is still on its way.
    fn look(&mut self) -> io::Result<()> {
        let Some(pc) = &mut self.pc else { return Ok(()) };
        if !pc.is_running() {
            return self.go_dark();
        }
        if !self.cable.is_free() {
            return Ok(());
        }
        let picture = pc.picture()?;
        if self.shown.as_ref().is_some_and(|(last, at)| *last == picture && at.elapsed() < REPEAT_INTERVAL) {
            return Ok(());
        }
        let size = (picture.width, picture.height);
        if self.shown.as_ref().is_none_or(|(last, _)| (last.width, last.height) != size) {
            self.cable.send(format!("RES {} {}", picture.width, picture.height).as_bytes())?;
        }
        let image = turbojpeg::Image {
            pixels: picture.rgb.as_slice(),
            width: picture.width,
            pitch: picture.width * 3,
            height: picture.height,
            format: turbojpeg::PixelFormat::RGB,
        };
        let jpeg = turbojpeg::compress(image, QUALITY, turbojpeg::Subsamp::Sub2x1).map_err(io::Error::other)?;
        self.cable.send(&jpeg)?;
        self.shown = Some((picture, Instant::now()));
        Ok(())
    }
}
