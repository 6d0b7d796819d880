//! Runs the firmware's set-up program: four pages of values, and a question at its end.

use std::time::Instant;

use super::keyboard::{Key, Press};
use super::screen::{Color, Raster, Style};
use super::settings::Settings;
use super::stage::{Next, Requests, Stage};
use super::text::{TEXT_MODE, TextScreen};
use crate::base::signal::Size;

const PAGE: Style = Style::new(Color::new(0xff, 0xff, 0xff), Color::new(0x10, 0x20, 0x60));
const BAR: Style = Style::new(Color::new(0x08, 0x10, 0x30), Color::new(0xc8, 0xd4, 0xf0));
const FIXED: Style = Style::new(Color::new(0x9f, 0xc4, 0xff), PAGE.paper);
const QUESTION: Style = Style::new(Color::new(0xff, 0xff, 0xff), Color::new(0x80, 0x10, 0x20));

const TABS: [Tab; 4] = [Tab::Main, Tab::Advanced, Tab::Boot, Tab::Exit];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Main,
    Advanced,
    Boot,
    Exit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    QuickBoot,
    BootMenuKey,
    NumLock,
    FastRepeat,
    /// A place in the boot order.
    Order(usize),
    Save,
    Discard,
    Defaults,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Save,
    Discard,
    Defaults,
}

/// The set-up program.
#[derive(Debug)]
pub struct Setup {
    settings: Settings,
    tab: Tab,
    row: usize,
    question: Option<(Question, bool)>,
}

impl Setup {
    /// Opens the first page on a copy of the settings.
    pub fn new(settings: Settings) -> Setup {
        Setup { settings, tab: Tab::Main, row: 0, question: None }
    }

    fn items(&self) -> Vec<Item> {
        match self.tab {
            Tab::Main => vec![Item::QuickBoot],
            Tab::Advanced => vec![Item::BootMenuKey, Item::NumLock, Item::FastRepeat],
            Tab::Boot => (0..self.settings.boot_order.len()).map(Item::Order).collect(),
            Tab::Exit => vec![Item::Save, Item::Discard, Item::Defaults],
        }
    }

    fn chosen(&self) -> Item {
        self.items()[self.row]
    }

    /// Changes the chosen value upwards or downwards.
    fn change(&mut self, up: bool) {
        match self.chosen() {
            Item::QuickBoot => self.settings.quick_boot ^= true,
            Item::BootMenuKey => self.settings.boot_menu_key ^= true,
            Item::NumLock => self.settings.num_lock ^= true,
            Item::FastRepeat => self.settings.fast_repeat ^= true,
            Item::Order(place) => {
                let other = if up { place.checked_sub(1) } else { Some(place + 1) };
                if let Some(other) = other.filter(|other| *other < self.settings.boot_order.len()) {
                    self.settings.boot_order.swap(place, other);
                    self.row = other;
                }
            }
            Item::Save | Item::Discard | Item::Defaults => (),
        }
    }

    fn ask(&mut self, question: Question) {
        self.question = Some((question, true));
    }

    fn enter(&mut self) {
        match self.chosen() {
            Item::Save => self.ask(Question::Save),
            Item::Discard => self.ask(Question::Discard),
            Item::Defaults => self.ask(Question::Defaults),
            // Enter moves nothing in a list, because it has no direction.
            Item::Order(_) => (),
            _ => self.change(true),
        }
    }

    fn turn(&mut self, step: usize) {
        let at = TABS.iter().position(|tab| *tab == self.tab).unwrap_or_default();
        self.tab = TABS[(at + step) % TABS.len()];
        self.row = 0;
    }

    fn answer(&mut self, press: Press, question: Question, yes: bool, requests: &mut Requests) {
        let yes = match press.key {
            Key::Left | Key::Right | Key::Tab => {
                self.question = Some((question, !yes));
                return;
            }
            Key::Char('y' | 'Y') => true,
            Key::Char('n' | 'N') | Key::Escape => false,
            Key::Enter => yes,
            _ => return,
        };
        self.question = None;
        match question {
            Question::Save if yes => requests.next = Some(Next::Restart(Some(self.settings.clone()))),
            Question::Discard if yes => requests.next = Some(Next::Restart(None)),
            Question::Defaults if yes => self.settings = Settings::default(),
            _ => (),
        }
    }

    fn screen(&self) -> TextScreen {
        let mut screen = TextScreen::new(TEXT_MODE, PAGE);
        let columns = screen.columns();
        screen.write(0, 0, &format!("{:^columns$}", "Practice BIOS Setup"), BAR);
        screen.write(0, 1, &" ".repeat(columns), PAGE);
        for (index, tab) in TABS.into_iter().enumerate() {
            let style = if tab == self.tab { PAGE.inverse() } else { PAGE };
            screen.write(2 + index * 12, 1, &format!(" {:<9}", format!("{tab:?}")), style);
        }
        screen.frame((0, 2), (54, 21), PAGE);
        screen.frame((53, 2), (27, 21), PAGE);
        screen.write(53, 2, "┬", PAGE);
        screen.write(53, 22, "┴", PAGE);
        let first = match self.tab {
            Tab::Main => {
                let facts = [
                    ("BIOS version", "1.0"),
                    ("Processor", "Simulated, 4 cores"),
                    ("Memory", "16384 MiB"),
                    ("Disk", "Practice SSD 256GB"),
                ];
                for (row, (name, value)) in facts.iter().enumerate() {
                    screen.write(2, 4 + row, &format!("{name:<24}{value}"), FIXED);
                }
                9
            }
            Tab::Boot => {
                screen.write(2, 4, "Boot order, first to last", FIXED);
                6
            }
            _ => 4,
        };
        for (row, item) in self.items().into_iter().enumerate() {
            let style = if row == self.row { PAGE.inverse() } else { PAGE };
            screen.write(2, first + row, &format!("{:<50}", self.line(item)), style);
        }
        for (row, line) in help(self.chosen()).iter().enumerate() {
            screen.write(55, 4 + row, line, FIXED);
        }
        let keys = ["←→  Select page", "↑↓  Select item", "+ - Change value", "Enter Select", "F9  Defaults"];
        for (row, line) in keys.iter().chain(&["F10 Save and restart", "Esc Leave"]).enumerate() {
            screen.write(55, 15 + row, line, PAGE);
        }
        screen.write(0, 23, &" ".repeat(columns), BAR);
        screen.write(0, 24, &format!("{:^columns$}", "Changes count from the next start on."), BAR);
        screen.write(0, 23, &format!("{:^columns$}", "Practice machine, simulated"), BAR);
        if let Some((question, yes)) = self.question {
            write_question(&mut screen, question, yes);
        }
        screen
    }

    fn line(&self, item: Item) -> String {
        let on = |on: bool| if on { "[Enabled]" } else { "[Disabled]" };
        let (name, value) = match item {
            Item::QuickBoot => ("Quick boot", on(self.settings.quick_boot)),
            Item::BootMenuKey => ("Boot menu key F12", on(self.settings.boot_menu_key)),
            Item::NumLock => ("Num Lock at start", on(self.settings.num_lock)),
            Item::FastRepeat => {
                ("Key repeat", if self.settings.fast_repeat { "[30 a second]" } else { "[10 a second]" })
            }
            Item::Order(place) => {
                return format!(" {}. {}", place + 1, self.settings.boot_order[place].name());
            }
            Item::Save => ("Save changes and restart", ""),
            Item::Discard => ("Discard changes and restart", ""),
            Item::Defaults => ("Load defaults", ""),
        };
        format!(" {name:<28}{value}")
    }
}

fn help(item: Item) -> &'static [&'static str] {
    match item {
        Item::QuickBoot => &["Leaves out the memory", "test, so that starting", "takes less time."],
        Item::BootMenuKey => &["Whether F12 opens the", "boot menu during the", "self-test."],
        Item::NumLock => &["State of Num Lock, and", "of its lamp, after", "each start."],
        Item::FastRepeat => &["How often a held key", "repeats."],
        Item::Order(_) => &["Devices are tried from", "first to last.", "", "+ moves a device up,", "- moves it down."],
        Item::Save => &["Keeps the changes."],
        Item::Discard => &["Forgets the changes."],
        Item::Defaults => &["Sets every value as it", "was when the machine", "was new."],
    }
}

fn write_question(screen: &mut TextScreen, question: Question, yes: bool) {
    let text = match question {
        Question::Save => "Save changes and restart?",
        Question::Discard => "Discard changes and restart?",
        Question::Defaults => "Load defaults?",
    };
    const WIDTH: usize = 38;
    let left = (screen.columns() - WIDTH) / 2;
    screen.frame((left, 8), (WIDTH, 7), QUESTION);
    screen.write(left + (WIDTH - text.len()) / 2, 9, text, QUESTION);
    for (column, label, chosen) in [(8, "  Yes  ", yes), (22, "  No   ", !yes)] {
        screen.write(left + column, 11, label, if chosen { QUESTION.inverse() } else { QUESTION });
    }
    screen.write(left + 11, 13, "Y or N, or Enter", QUESTION);
}

impl Stage for Setup {
    fn size(&self) -> Size {
        TEXT_MODE
    }

    fn press(&mut self, _now: Instant, press: Press, requests: &mut Requests) {
        if let Some((question, yes)) = self.question {
            return self.answer(press, question, yes, requests);
        }
        let rows = self.items().len();
        match press.key {
            Key::Left => self.turn(TABS.len() - 1),
            Key::Right | Key::Tab => self.turn(1),
            Key::Up => self.row = (self.row + rows - 1) % rows,
            Key::Down => self.row = (self.row + 1) % rows,
            Key::Char('+' | '=') | Key::PageUp => self.change(true),
            Key::Char('-') | Key::PageDown => self.change(false),
            Key::Enter => self.enter(),
            Key::Function(9) => self.ask(Question::Defaults),
            Key::Function(10) => self.ask(Question::Save),
            Key::Escape => self.ask(Question::Discard),
            _ => (),
        }
    }

    fn tick(&mut self, _now: Instant, _requests: &mut Requests) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn draw(&self, raster: &mut Raster) {
        self.screen().draw(raster);
    }

    fn text(&self) -> String {
        self.screen().text()
    }
}
