//! Runs the text console: kernel messages, a prompt that echoes, an orderly shutdown.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::keyboard::{Key, Press};
use super::screen::{Color, Raster, Style};
use super::settings::Device;
use super::shell::{self, Outcome};
use super::stage::{Next, Requests, Stage};
use super::text::{PLAIN, TextScreen};
use crate::base::signal::Size;

/// Time between kernel messages: short, but long enough to see them scroll.
const LINE_INTERVAL: Duration = Duration::from_millis(60);
/// Half a caret's period.
const BLINK_INTERVAL: Duration = Duration::from_millis(500);
/// Longest line that is kept; a key that is held down must not fill the memory.
const LINE_CHARACTERS: usize = 400;
/// Lines that Up brings back.
const HISTORY: usize = 20;

const MODE: Size = Size { width: 1024, height: 768 };
const PROMPT: Style = Style::new(Color::new(0x7f, 0xe0, 0x9f), PLAIN.paper);

/// The console of one system.
#[derive(Debug)]
pub struct Console {
    screen: TextScreen,
    host: &'static str,
    booted: Instant,
    /// Messages still to come, and what follows when they have all been written.
    script: Option<(VecDeque<String>, Instant, After)>,
    line: String,
    history: Vec<String>,
    recalled: usize,
    blinks_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Prompt,
    Off,
    Restart,
}

impl Console {
    /// Boots a system, message by message, up to its prompt.
    pub fn boot(now: Instant, device: Device) -> Console {
        let mut console = Console::new(now, now, device);
        let messages = [
            "Linux version 6.12.0-simulated (practice machine)",
            "BIOS-provided physical RAM map: 16384 MiB",
            "smpboot: Total of 4 processors activated",
            "usb 1-1: new high-speed USB device number 2",
            "input: Remote hands Keyboard as /class/input/input0",
            "input: Remote hands Pointer as /class/input/input1",
            "usb 1-2: new high-speed USB device number 3",
            "sd 0:0:0:0: [sda] 8 GB removable disk: Rescue Stick",
            "nvme0n1: p1 p2 p3",
            "EXT4-fs: mounted filesystem with ordered data mode",
            "eth0: Link is Up - 1Gbps/Full",
        ];
        let stamped = messages
            .iter()
            .enumerate()
            .map(|(index, text)| format!("[{:5}.{:06}] {text}\n", index / 4, 137_041 + index % 4 * 231_907));
        let started = ["Mounted /home", "Started network", "Started remote login", "Reached multi-user system"];
        let lines = stamped.chain(started.map(|text| format!("[  OK  ] {text}\n")));
        console.play(now, lines.collect(), After::Prompt);
        console
    }

    /// Shows the prompt of a system that runs since `booted`.
    pub fn prompt(now: Instant, booted: Instant, device: Device) -> Console {
        let mut console = Console::new(now, booted, device);
        console.write_prompt();
        console
    }

    /// Shuts down a system that ran without a console of its own.
    pub fn shutdown(now: Instant, booted: Instant, device: Device, restart: bool) -> Console {
        let mut console = Console::new(now, booted, device);
        console.shut_down(now, restart);
        console
    }

    fn new(now: Instant, booted: Instant, device: Device) -> Console {
        Console {
            screen: TextScreen::new(MODE, PLAIN),
            host: if device == Device::Stick { "rescue" } else { "practice" },
            booted,
            script: None,
            line: String::new(),
            history: Vec::new(),
            recalled: 0,
            blinks_at: now + BLINK_INTERVAL,
        }
    }

    fn play(&mut self, now: Instant, lines: VecDeque<String>, after: After) {
        self.screen.caret = false;
        self.script = Some((lines, now + LINE_INTERVAL, after));
    }

    fn shut_down(&mut self, now: Instant, restart: bool) {
        if matches!(self.script, Some((_, _, After::Off | After::Restart))) {
            return;
        }
        let then = if restart { "Restarting" } else { "Power down" };
        let steps = ["Stopped remote login", "Stopped network", "Unmounted /home", "Reached shutdown"];
        let mut lines = VecDeque::from(["\nThe system is shutting down...\n".to_string()]);
        for step in steps {
            // The pauses stand for the time that stopping services takes, and let a viewer read.
            lines.extend(["".into(), "".into(), "".into(), format!("[  OK  ] {step}\n")]);
        }
        lines.extend([format!("{then}.\n"), "".into(), "".into(), "".into()]);
        self.play(now, lines, if restart { After::Restart } else { After::Off });
    }

    fn write_prompt(&mut self) {
        self.screen.print(&format!("{}$ ", self.host), PROMPT);
        self.screen.caret = true;
    }

    fn enter(&mut self, now: Instant, requests: &mut Requests) {
        let line = std::mem::take(&mut self.line);
        self.screen.print("\n", PLAIN);
        if !line.trim().is_empty() && self.history.last() != Some(&line) {
            self.history.push(line.clone());
            let surplus = self.history.len().saturating_sub(HISTORY);
            self.history.drain(..surplus);
        }
        self.recalled = self.history.len();
        requests.disk = Duration::from_millis(150);
        match shell::run(&line, now - self.booted) {
            Outcome::Say(text) => self.screen.print(&text, PLAIN),
            Outcome::Clear => self.screen.clear(),
            Outcome::Mode(size) => self.screen = TextScreen::new(size, PLAIN),
            Outcome::Desktop => requests.next = Some(Next::Desktop),
            Outcome::Hang => {
                self.screen.print("kernel: everything stops here. Reset or hold power.", PLAIN);
                requests.next = Some(Next::Hang);
                return;
            }
            Outcome::Shutdown { restart } => return self.shut_down(now, restart),
        }
        self.write_prompt();
    }

    fn recall(&mut self, index: usize) {
        self.recalled = index.min(self.history.len());
        self.erase(self.line.chars().count());
        self.line = self.history.get(self.recalled).cloned().unwrap_or_default();
        let line = self.line.clone();
        self.screen.print(&line, PLAIN);
    }

    fn erase(&mut self, characters: usize) {
        for _ in 0..characters {
            let (column, row) = self.screen.place;
            // A wrapped line continues at the end of the row above.
            self.screen.place = match column {
                0 => (self.screen.columns() - 1, row.saturating_sub(1)),
                _ => (column - 1, row),
            };
            let (column, row) = self.screen.place;
            self.screen.write(column, row, " ", PLAIN);
        }
    }
}

impl Stage for Console {
    fn size(&self) -> Size {
        self.screen.size()
    }

    fn press(&mut self, now: Instant, press: Press, requests: &mut Requests) {
        if self.script.is_some() {
            return;
        }
        // The caret stays visible while somebody types.
        self.screen.caret = true;
        self.blinks_at = now + BLINK_INTERVAL;
        match press.key {
            Key::Char('c') if press.control => {
                self.line.clear();
                self.screen.print("^C\n", PLAIN);
                self.write_prompt();
            }
            Key::Char('l') if press.control => {
                self.screen.clear();
                self.write_prompt();
                let line = self.line.clone();
                self.screen.print(&line, PLAIN);
            }
            Key::Char('u') if press.control => {
                self.erase(self.line.chars().count());
                self.line.clear();
            }
            Key::Char(character) if !press.control && !press.alt && self.line.len() < LINE_CHARACTERS => {
                self.line.push(character);
                self.screen.print(character.encode_utf8(&mut [0; 4]), PLAIN);
            }
            Key::Backspace if self.line.pop().is_some() => self.erase(1),
            Key::Up => self.recall(self.recalled.saturating_sub(1)),
            Key::Down => self.recall(self.recalled + 1),
            Key::Enter => self.enter(now, requests),
            _ => (),
        }
    }

    fn tick(&mut self, now: Instant, requests: &mut Requests) {
        if let Some((lines, due, after)) = &mut self.script {
            while *due <= now {
                *due += LINE_INTERVAL;
                requests.redraw = true;
                requests.disk = LINE_INTERVAL;
                let Some(line) = lines.pop_front() else {
                    let after = *after;
                    self.script = None;
                    match after {
                        After::Prompt => {
                            self.screen.print("\nWelcome. Type help for what can be done here.\n\n", PLAIN);
                            self.write_prompt();
                        }
                        After::Off => requests.next = Some(Next::Off),
                        After::Restart => requests.next = Some(Next::Restart(None)),
                    }
                    return;
                };
                self.screen.print(&line, PLAIN);
            }
        } else if self.blinks_at <= now {
            self.blinks_at = now + BLINK_INTERVAL;
            self.screen.caret ^= true;
            requests.redraw = true;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.script.as_ref().map_or(self.blinks_at, |(_, due, _)| *due))
    }

    fn draw(&self, raster: &mut Raster) {
        self.screen.draw(raster);
    }

    fn text(&self) -> String {
        self.screen.text()
    }

    fn power(&mut self, now: Instant, _requests: &mut Requests) {
        self.shut_down(now, false);
    }

    fn control_alt_delete(&mut self, now: Instant, _requests: &mut Requests) {
        self.shut_down(now, true);
    }
}
