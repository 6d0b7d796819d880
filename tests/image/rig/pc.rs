//! Runs a PC with a real BIOS in QEMU, for which the appliance is an ordinary keyboard.
//!
//! Off means that there is no process, so that nothing from a previous run can be mistaken for a start.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::disk;
use super::qmp::Qmp;

/// How long the BIOS waits for its boot menu key: an emulated processor and a person both need time.
const MENU_WAIT: Duration = Duration::from_secs(60);
/// F12 as SeaBIOS counts keys: the BIOS scan code of INT 16h.
const F12: u8 = 0x86;
const MENU_PROMPT: &str = "Press F12 for boot menu.";
/// SeaBIOS's log: the first thing to read when a key did not arrive.
const DIARY: &str = "bios.log";
/// Longer than a keyboard takes to be plugged in; a machine without one starts all the same.
const KEYBOARD_WAIT: Duration = Duration::from_secs(20);
/// Text memory of a VGA: 25 rows of 80 cells, each a character and its colours.
const TEXT: (u32, usize, usize) = (0xb8000, 80, 25);

/// What the screen shows, row by row, three bytes a pixel.
#[derive(Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub rgb: Vec<u8>,
}

/// What remains of the PC when it is off.
pub struct Case {
    folder: PathBuf,
    keyboard: SocketAddr,
}

/// A PC that runs.
pub struct Pc {
    child: Child,
    qmp: Qmp,
    folder: PathBuf,
}

impl Case {
    /// A PC with two disks, kept in `folder`. Its USB socket is connected to `keyboard`.
    pub fn build(folder: &Path, keyboard: SocketAddr) -> io::Result<Case> {
        fs::create_dir_all(folder)?;
        for number in ["one", "two"] {
            let text = format!("Booted from disc {number}. What you type appears here.\r\n\r\n");
            fs::write(folder.join(number), disk::bootable(&text))?;
        }
        fs::write(folder.join("menu-key"), [F12])?;
        fs::write(folder.join("menu-message"), format!("\n{MENU_PROMPT}\n\n"))?;
        Ok(Case { folder: folder.into(), keyboard })
    }

    /// Switches the PC on.
    pub fn start(&self) -> io::Result<Pc> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        // The kernel ends the machine when the tests end, however they end.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        command.args(["-M", "q35", "-accel", "tcg", "-m", "128", "-nodefaults", "-display", "none", "-vga", "std"]);
        command.args(["-qmp", "stdio"]);
        command.args(["-boot", &format!("menu=on,splash-time={}", MENU_WAIT.as_millis())]);
        command.args(["-fw_cfg", &format!("name=etc/boot-menu-key,file={}", file("menu-key"))]);
        command.args(["-fw_cfg", &format!("name=etc/boot-menu-message,file={}", file("menu-message"))]);
        command.args(["-chardev", &format!("file,id=diary,path={}", file(DIARY))]);
        command.args(["-device", "isa-debugcon,iobase=0x402,chardev=diary"]);
        command.args(["-device", "qemu-xhci,id=usb"]);
        let (host, port) = (self.keyboard.ip(), self.keyboard.port());
        command.args(["-chardev", &format!("socket,id=cable,host={host},port={port},reconnect-ms=500")]);
        command.args(["-device", "usb-redir,id=keyboard,bus=usb.0,chardev=cable"]);
        for (index, number) in ["one", "two"].into_iter().enumerate() {
            command.args(["-drive", &format!("if=none,id={number},format=raw,snapshot=on,file={}", file(number))]);
            command.args([
                "-device",
                &format!("ide-hd,drive={number},bus=ide.{index},model=Disc {number},bootindex={index}"),
            ]);
        }
        let errors = fs::File::create(file("qemu.log"))?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn()?;
        let qmp = Qmp::over(&mut child).inspect_err(|_| drop(child.kill()))?;
        let mut pc = Pc { child, qmp, folder: self.folder.clone() };
        pc.await_keyboard()?;
        Ok(pc)
    }
}

impl Pc {
    /// Whether it is still on: an operating system can switch it off.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends the operating system, if there is one, the power button's event.
    pub fn ask(&mut self) -> io::Result<()> {
        self.qmp.run("system_powerdown", json!({})).map(drop)
    }

    /// Starts the processor again.
    pub fn reset(&mut self) -> io::Result<()> {
        self.qmp.run("system_reset", json!({})).map(drop)
    }

    /// What the screen shows.
    pub fn picture(&mut self) -> io::Result<Picture> {
        let file = self.folder.join("screen.ppm");
        self.qmp.run("screendump", json!({ "filename": file }))?;
        parse_ppm(&fs::read(file)?).ok_or_else(|| io::Error::other("QEMU wrote no binary PPM"))
    }

    /// The characters on the screen, read from the video memory, so without anything that is tested.
    pub fn text(&mut self) -> io::Result<String> {
        let (address, columns, rows) = TEXT;
        let file = self.folder.join("text");
        self.qmp.run("pmemsave", json!({ "val": address, "size": columns * rows * 2, "filename": file }))?;
        let cells = fs::read(file)?;
        let rows = cells.chunks(columns * 2).map(|row| {
            let row: String = row
                .chunks(2)
                .map(|cell| if (0x20..0x7f).contains(&cell[0]) { char::from(cell[0]) } else { ' ' })
                .collect();
            row.trim_end().to_owned()
        });
        Ok(rows.collect::<Vec<_>>().join("\n").trim_end().to_owned())
    }

    /// Makes sure that the BIOS has found the keyboard, as it does when it was plugged in before.
    ///
    /// The cable needs a running machine to connect, and a BIOS looks for keyboards once. If the keyboard came too late
    /// for that, the machine is reset; not before the BIOS waits for a key, because a reset during its work can hang
    /// it.
    fn await_keyboard(&mut self) -> io::Result<()> {
        let end = Instant::now() + KEYBOARD_WAIT;
        let mut read = 0;
        while Instant::now() < end {
            let diary = fs::read(self.folder.join(DIARY))?;
            let today = String::from_utf8_lossy(&diary[read..]);
            if today.contains(MENU_PROMPT) {
                if today.contains("USB keyboard initialized") {
                    break;
                }
                let keyboard = json!({ "path": "/machine/peripheral/keyboard", "property": "attached" });
                if self.qmp.run("qom-get", keyboard)? == json!(true) {
                    read = diary.len();
                    self.reset()?;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Pc {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a binary PPM as QEMU writes it: without comments, one byte a sample.
fn parse_ppm(file: &[u8]) -> Option<Picture> {
    let mut fields = file.splitn(4, |byte| byte.is_ascii_whitespace());
    let mut field = || str::from_utf8(fields.next()?).ok();
    if field()? != "P6" {
        return None;
    }
    let (width, height) = (field()?.parse().ok()?, field()?.parse().ok()?);
    let rgb = fields.next()?.strip_prefix(b"255\n")?;
    (rgb.len() == width * height * 3).then(|| Picture { width, height, rgb: rgb.to_vec() })
}
