//! Reads the configuration: one documented struct, parsed by a pure function, each value valid by its type.
//!
//! Nothing downstream checks a value again. A bad one is reported with its key, the value and the accepted range, and
//! the daemon does not start on it: a relay on the wrong pin can switch the target off.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::base::seat_id::SeatId;
use crate::base::url::is_label;

mod addresses;
pub mod boot_card;
pub mod change;
pub mod check;
mod choice;
pub mod edit;
mod error;
pub mod forward;
mod guard;
pub mod layers;
mod loopback;
pub mod network;
mod seat;
pub mod update;
mod written;

use choice::Choice;
pub use error::ConfigError;
pub use guard::{Guard, Watchdog};
pub use loopback::loopback_twin;
use network::{Network, Time};
pub use seat::{
    CaptureRange, CaptureSize, Controller, Device, Line, Power, RelayDriver, Seat, Usb, UsbString, Video, Wake,
};
use update::Update;

/// The form of the configuration that this version writes and reads strictly. Each release that knows a new key raises
/// it: an older one to which an update is taken back refuses what it does not know in a file of its own schema.
pub const SCHEMA: u32 = 2;

/// The first port on which `serve` may listen, as `sysctl.conf` has it.
const LOWEST_PORT: u16 = 80;

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which form the file has; see [`forward`].
    pub schema: u32,
    /// The machine on its network.
    pub network: Network,
    /// Its clock.
    pub time: Time,
    /// What is served there.
    pub server: Server,
    /// What supervises the machine.
    pub guard: Guard,
    /// Where updates may be fetched from.
    pub update: Update,
    /// One table for each target machine.
    pub seats: BTreeMap<SeatId, Seat>,
}

/// Where the daemon listens, and as whom.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port of page and API. Every IPv4 and IPv6 address unless narrowed.
    pub https: SocketAddr,
    /// Address and port that only redirect there, or `"none"`.
    pub http: Redirect,
    /// Host names by which browsers may call us, in addition to IP addresses, `localhost` and the machine's own name.
    pub names: Vec<String>,
}

/// Where plain HTTP is answered with the way to HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Redirect {
    /// Nowhere.
    None,
    /// At this address and port.
    At(SocketAddr),
}

const REDIRECT: Choice<Redirect> =
    Choice { key: "http", words: &[("none", Redirect::None)], or: &["an address and port, such as \"[::]:80\""] };

impl TryFrom<String> for Redirect {
    type Error = String;

    fn try_from(text: String) -> Result<Redirect, String> {
        REDIRECT.read(&text, |address| address.parse().ok().map(Redirect::At))
    }
}

impl Default for Config {
    fn default() -> Config {
        let main = SeatId::try_from("main".to_string()).expect("a lower-case word is a seat name");
        Config {
            schema: SCHEMA,
            network: Network::default(),
            time: Time::default(),
            server: Server::default(),
            guard: Guard::default(),
            update: Update::default(),
            seats: BTreeMap::from([(main, Seat::default())]),
        }
    }
}

impl Default for Server {
    fn default() -> Server {
        let any = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        Server { https: any(443), http: Redirect::At(any(80)), names: Vec::new() }
    }
}

impl Server {
    /// Refuses where nobody could ever reach the page.
    fn check(&self, network: &Network) -> Result<(), ConfigError> {
        let conflict = |key: &str, problem: String| Err(ConfigError::conflict(format!("server.{key}"), problem));
        let http = match self.http {
            Redirect::None => None,
            Redirect::At(http) => Some(http),
        };
        for (key, at) in [("https", Some(self.https)), ("http", http)] {
            let Some(at) = at else { continue };
            if at.port() < LOWEST_PORT {
                return conflict(key, format!("the port of {at} must be {LOWEST_PORT} to 65535"));
            }
            if let Err(accepted) = network.listens(at.ip()) {
                return conflict(key, format!("{} is no address of this device: it must be {accepted}", at.ip()));
            }
        }
        let listens = [self.https, loopback_twin(self.https)];
        let is_taken = |http: SocketAddr| listens.iter().any(|taken| may_be_same(*taken, http));
        match http {
            Some(http) if is_taken(http) => {
                conflict("http", format!("{http} must be another address or port than server.https, {}", self.https))
            }
            _ => Ok(()),
        }
    }
}

/// Whether who listens at one address may be in the way of another: an unspecified one is every other.
fn may_be_same(one: SocketAddr, other: SocketAddr) -> bool {
    let (at, beside) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && (at == beside || at.is_unspecified() || beside.is_unspecified())
}

impl Config {
    /// Parses and checks a configuration file's text.
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::checked(toml::from_str(text)?)
    }

    /// Refuses values that do not go together.
    fn checked(mut config: Config) -> Result<Config, ConfigError> {
        if config.seats.is_empty() {
            return Err(ConfigError::conflict("seats", "there is no seat: name one, such as [seats.main]"));
        }
        for name in &mut config.server.names {
            // A name with the root's dot at its end is the same name (RFC 1034 section 3.1).
            name.truncate(name.strip_suffix('.').unwrap_or(name).len());
            if 253 < name.len() || !name.split('.').all(is_label) {
                let shown: String = name.chars().take(64).collect();
                let problem = format!(
                    "{shown:?} must be a host name of 253 characters at most, with 1 to 63 letters, digits and inner dashes \
                     between its dots, such as \"kvm.example.org\""
                );
                return Err(ConfigError::conflict("server.names", problem));
            }
        }
        config.network.check()?;
        config.time.check()?;
        config.update.check()?;
        for (id, seat) in &config.seats {
            seat.power.check(&format!("seats.{id}.power"))?;
        }
        config.check_shared()?;
        Ok(config)
    }

    /// What cannot be as it is named. Who writes a text has to correct it; a start goes on with it as it is, since an
    /// earlier version has taken it, and a device that did not start would be worse off.
    pub fn unusable(&self) -> Vec<ConfigError> {
        [self.network.check_use(), self.server.check(&self.network)].into_iter().filter_map(Result::err).collect()
    }

    /// What is allowed, and will surprise.
    pub fn warnings(&self) -> Vec<String> {
        let auto = self.seats.iter().filter(|(_, seat)| seat.video.device == Device::Auto);
        let names: Vec<&str> = auto.map(|(id, _)| id.as_str()).collect();
        if names.len() < 2 {
            return Vec::new();
        }
        let names = names.join(", ");
        vec![format!(
            "the seats {names} each look for a dongle by themselves, and may exchange theirs when Farhand starts: name \
             each one's USB port, such as seats.NAME.video.device = \"usb:1-1.3\""
        )]
    }

    /// Refuses seats that would take each other's devices: each works while it is alone, so nothing else would say why
    /// the other one is dead.
    fn check_shared(&self) -> Result<(), ConfigError> {
        let seats: Vec<_> = self.seats.iter().collect();
        for (at, (id, seat)) in seats.iter().enumerate() {
            for (other, earlier) in &seats[..at] {
                let conflict = |key: &str, advice: &str| {
                    let problem = format!("may be the same device as seats.{other}.{key}; {advice}");
                    ConfigError::conflict(format!("seats.{id}.{key}"), problem)
                };
                if seat.usb.controller.may_be(&earlier.usb.controller) {
                    let advice =
                        "name a different one of /sys/class/udc in each, or \"none\" for a seat without keyboard";
                    return Err(conflict("usb.controller", advice));
                }
                if seat.video.device.is_same(&earlier.video.device) {
                    return Err(conflict("video.device", "name a different one in each, such as \"usb:1-1.3\""));
                }
                if let Some((key, taken)) = seat.power.shared_line(&earlier.power) {
                    let problem = format!("is the same line as seats.{other}.power.{taken}; take another, or \"none\"");
                    return Err(ConfigError::conflict(format!("seats.{id}.power.{key}"), problem));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why nobody may write this.
    pub fn refusal(text: &str) -> Option<ConfigError> {
        match Config::parse(text) {
            Ok(config) => config.unusable().into_iter().next(),
            Err(error) => Some(error),
        }
    }

    #[track_caller]
    fn refuses(text: &str, parts: &[&str]) {
        let message = refusal(text).unwrap().to_string();
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Config::default(), Config::parse("").unwrap());
    }

    #[test]
    fn the_shipped_file_shows_the_defaults() {
        let shipped = include_str!("../overlay/etc/farhand.toml");
        assert_eq!(Config::default(), Config::parse(shipped).unwrap());
    }

    #[test]
    fn an_unknown_key_is_named_with_what_is_known() {
        refuses("[seats.main.video]\ndevise = \"auto\"", &["devise", "device", "line 2"]);
    }

    #[test]
    fn a_line_that_the_appliance_uses_itself_is_named_with_its_use() {
        for (line, part) in [(14, "console"), (26, "factory reset")] {
            let text = format!("[seats.main.power]\ndriver = \"rppal\"\nreset = {line}");
            refuses(&text, &["seats.main.power.reset", &line.to_string(), part]);
        }
    }

    #[test]
    fn a_line_outside_the_header_is_named_with_its_range() {
        refuses("[seats.main.power]\ndriver = \"rppal\"\npower = 45", &["seats.main.power.power", "45", "2 to 27"]);
        refuses("[seats.main.power]\ndriver = \"rppal\"\npower = -1", &["power = -1", "0 to 1023"]);
    }

    #[test]
    fn the_same_lines_are_spoken_for_whoever_drives_them() {
        for chip in ["/dev/gpiochip0", "pinctrl-bcm2711"] {
            let text = format!("[seats.main.power]\ndriver = \"gpiocdev\"\nchip = \"{chip}\"\npower = 14");
            refuses(&text, &["seats.main.power.power", "14", "console"]);
        }
        let expander = "[seats.main.power]\ndriver = \"gpiocdev\"\nchip = \"/dev/gpiochip4\"\npower = 14";
        assert!(Config::parse(expander).is_ok(), "another chip has its own line 14");
    }

    #[test]
    fn two_seats_cannot_share_a_line() {
        let seat = |name: &str, devices: &str, power: &str| {
            format!("[seats.{name}]\n{devices}\n[seats.{name}.power]\n{power}\n")
        };
        let two = |one: &str, other: &str| {
            seat("one", "", one) + &seat("two", "usb.controller = \"none\"\nvideo.device = \"/dev/video2\"", other)
        };
        let one = |power: &str| {
            two("driver = \"rppal\"\npower = 17\nreset = 27\npower_led = 22", power)
                .replace("[seats.one]\n", "[seats.one]\nusb.controller = \"a\"\nvideo.device = \"/dev/video0\"\n")
        };
        for power in [
            "driver = \"rppal\"\npower = 27",
            "driver = \"gpiocdev\"\nchip = \"pinctrl-bcm2711\"\npower = 27",
            "driver = \"gpiocdev\"\nchip = \"/dev/gpiochip0\"\npower = 27",
        ] {
            refuses(&one(power), &["seats.two.power.power", "seats.one.power.reset"]);
        }
        refuses(&one("driver = \"rppal\"\ndisk_led = 22"), &["seats.two.power.disk_led", "seats.one.power.power_led"]);
        for power in ["driver = \"rppal\"\npower = 5", "driver = \"gpiocdev\"\nchip = \"/dev/gpiochip4\"\npower = 17"] {
            assert_eq!(2, Config::parse(&one(power)).unwrap().seats.len(), "{power}");
        }
    }

    #[test]
    fn host_names_are_names_and_the_roots_dot_is_none() {
        let names =
            |name: &str| Config::parse(&format!("server.names = [\"{name}\"]")).map(|config| config.server.names);
        assert_eq!(["kvm.example.org"], names("kvm.example.org.").unwrap()[..]);
        assert_eq!(["kvm"], names("kvm").unwrap()[..]);
        for bad in ["a..b", "-", ".", "", "a-.b", "kvm..", &"a".repeat(64), &"a.".repeat(35_000)] {
            refuses(&format!("server.names = [\"{bad}\"]"), &["server.names", "253", "kvm.example.org"]);
            assert!(names(bad).unwrap_err().to_string().len() < 400);
        }
    }

    #[test]
    fn a_page_that_nobody_could_reach_is_refused() {
        for (text, parts) in [
            ("server.https = \"[::]:0\"", ["server.https", "80 to 65535"]),
            ("server.https = \"[::]:79\"", ["server.https", "80 to 65535"]),
            ("server.http = \"[::]:22\"", ["server.http", "80 to 65535"]),
            ("server = {https = \"192.0.2.1:8443\", http = \"127.0.0.1:8443\"}", ["server.http", "127.0.0.1:8443"]),
            ("server = {https = \"[2001:db8::1]:8443\", http = \"[::ffff:127.0.0.1]:8443\"}", ["server.http", "8443"]),
            ("server.http = \"0.0.0.0:0\"", ["server.http", "80 to 65535"]),
            ("server.https = \"[::]:80\"", ["server.http", "another address or port"]),
            ("server = {https = \"192.0.2.1:80\", http = \"0.0.0.0:80\"}", ["server.http", "192.0.2.1:80"]),
            ("server.https = \"224.0.0.1:443\"", ["server.https", "224.0.0.1"]),
            ("server.https = \"192.0.2.1:443\"\nnetwork.address = \"192.0.2.2/24\"", ["server.https", "192.0.2.2"]),
        ] {
            refuses(text, &parts);
        }
        for text in [
            "server.https = \"192.0.2.2:443\"\nnetwork.address = \"192.0.2.2/24\"",
            "server.https = \"127.0.0.1:443\"\nnetwork.address = \"192.0.2.2/24\"",
            "server = {https = \"192.0.2.1:80\", http = \"192.0.2.2:80\"}",
            "server = {https = \"[::]:80\", http = \"none\"}",
            "server = {https = \"127.0.0.2:8443\", http = \"127.0.0.1:8443\"}",
        ] {
            assert!(refusal(text).is_none(), "{text}");
        }
    }

    #[test]
    fn serve_may_listen_on_every_port_that_is_accepted() {
        let settings = include_str!("../overlay/etc/sysctl.conf");
        assert!(settings.contains(&format!("\nnet.ipv4.ip_unprivileged_port_start = {LOWEST_PORT}\n")));
    }

    #[test]
    fn one_line_cannot_have_two_jobs() {
        refuses(
            "[seats.main.power]\ndriver = \"rppal\"\npower = 17\nreset = 17",
            &["seats.main.power.reset", "17", "seats.main.power.power"],
        );
    }

    #[test]
    fn lines_need_a_driver() {
        refuses("[seats.main.power]\npower = 17", &["seats.main.power.power", "rppal", "gpiocdev"]);
        refuses("[seats.main.power]\ndriver = \"gpiocdev\"\npower = 17", &["seats.main.power.chip", "/dev/gpiochip0"]);
    }

    #[test]
    fn several_seats_that_look_for_a_dongle_by_themselves_are_warned_of() {
        let seats = |one: &str, two: &str| {
            let text = "[seats.one.usb]\n[seats.two.usb]\ncontroller = \"none\"\n";
            let device = |seat, device| format!("[seats.{seat}.video]\ndevice = \"{device}\"\n");
            Config::parse(&(text.to_string() + &device("one", one) + &device("two", two))).unwrap()
        };
        let said = seats("auto", "auto").warnings();
        assert!(said.len() == 1 && said[0].contains("one, two") && said[0].contains("usb:1-1.3"), "{said:?}");
        assert!(seats("auto", "usb:1-1.3").warnings().is_empty());
        assert!(Config::default().warnings().is_empty());
    }

    #[test]
    fn two_seats_cannot_share_a_device() {
        let seat = |name: &str, controller: &str, device: &str| {
            format!("[seats.{name}]\nusb.controller = \"{controller}\"\nvideo.device = \"{device}\"\n")
        };
        let one = seat("one", "a.usb", "/dev/video0");
        for controller in ["auto", "a.usb"] {
            let keys = ["seats.two.usb.controller", "seats.one.usb.controller", "/sys/class/udc", "\"none\""];
            refuses(&(one.clone() + &seat("two", controller, "/dev/video2")), &keys);
        }
        for device in ["/dev/video0", "usb:1-1.3"] {
            let keys = ["seats.two.video.device", "seats.one.video.device", "usb:1-1.3"];
            refuses(&(seat("one", "a.usb", device) + &seat("two", "b.usb", device)), &keys);
            // What is found by itself is never another seat's.
            for (one, two) in [("auto", device), (device, "auto"), ("auto", "auto"), (device, "usb:1-1.4")] {
                let both = seat("one", "a.usb", one) + &seat("two", "b.usb", two);
                assert_eq!(2, Config::parse(&both).unwrap().seats.len());
            }
        }
        refuses("[seats.one]\n[seats.two]", &["seats.two.usb.controller", "seats.one.usb.controller"]);
        let several = one + &seat("two", "none", "/dev/video2") + &seat("three", "none", "/dev/video4");
        assert_eq!(3, Config::parse(&several).unwrap().seats.len());
    }

    #[test]
    fn bad_values_are_named_with_what_would_do() {
        refuses("[seats.Main]", &["\"Main\"", "a-z"]);
        for device in ["video0", "usb:", "usb:1", "usb:1-", "usb:1-1.", "usb:1-1/2", "usb:a-1", "usb:../1-1"] {
            let keys = [&format!("{device:?}"), "auto", "usb:1-1.3", "/dev/video0"];
            refuses(&format!("[seats.main.video]\ndevice = {device:?}"), &keys);
        }
        refuses("[seats.main.video]\nsize = \"9000x10\"", &["9000x10", "4096x2160"]);
        refuses("[seats.main.video]\nrange = \"tv\"", &["range \"tv\"", "\"auto\", \"full\" or \"limited\""]);
        refuses("[seats.main.usb]\ncontroller = \"../x\"", &["../x", "/sys/class/udc"]);
        refuses("[seats.main.usb]\nwake = \"mouse\"", &["mouse", "`button`", "`key`"]);
        refuses("[seats.main.usb]\nname = \"a\\nb\"", &["126 printable"]);
        refuses("[seats.main.power]\ndriver = \"relay\"", &["driver \"relay\"", "\"none\", \"rppal\" or \"gpiocdev\""]);
        refuses("[seats.main.power]\nreset = \"off\"", &["line \"off\"", "\"none\" or 0 to 1023"]);
        refuses("[server]\nhttps = \"443\"", &["https", "443"]);
        refuses("[server]\nhttp = \"80\"", &["\"80\"", "none", "[::]:80"]);
        refuses("[guard]\nwatchdog = \"yes\"", &["watchdog \"yes\"", "auto", "none", "/dev/watchdog0"]);
        refuses("[server]\nnames = [\"a b\"]", &["server.names", "a b"]);
        refuses("[update]\nurl = \"ftp://a/b\"", &["url \"ftp://a/b\"", "https://updates.example.org", "http://"]);
        refuses("[update]\nurl = \"https://anna:pw@a/b\"", &["user name or password"]);
        refuses("[update]\nurl = \"https://a/b#c\"", &["fragment"]);
        refuses("[update]\nca = \"x\"", &["update.ca", "url"]);
        refuses("[update]\nurl = \"https://a\"\nca = \"x\"", &["update.ca", "\"x\"", "BEGIN CERTIFICATE"]);
    }
}
