//! Reads the command line and starts what it asks for.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use farhand::base::error_chain::chain;
use farhand::base::files;
use farhand::base::usb::HubPort;
use farhand::commands;
use farhand::config::boot_card::{self, Card};
use farhand::config::forward::{self, Reading};
use farhand::config::{Config, Redirect, layers, network};
use farhand::daemon::{self, Overrides, Places};
use farhand::hands::appliance::configuration;
use farhand::hw::note::Note;
use farhand::hw::{reset_pin, usb_port};
use farhand::net::api;
use farhand::net::http::openapi;
use farhand::start::StartError;

/// Keyboard, screen, mouse and power button of another machine, over the network.
#[derive(Parser)]
#[command(version)]
struct Line {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Serve page, API and pictures. Prints its address and, until someone has claimed it, the claim code.
    Serve(Serve),
    /// Hold keyboard, pointer and relays for `serve`, and release them when it dies.
    Hands {
        #[command(flatten)]
        common: Common,
        /// Where `serve` will ask.
        #[arg(long, default_value = SOCKET)]
        socket: PathBuf,
        /// Touch no hardware: install updates and restart the machine only.
        #[arg(long)]
        rescue: bool,
    },
    /// Feed the watchdog while the page is well, and confirm a new version once it has proven itself.
    Guard {
        #[command(flatten)]
        common: Common,
        /// Where users and keys are kept.
        #[arg(long, default_value = "/data")]
        data: PathBuf,
        /// What the processes share until the next reboot.
        #[arg(long, default_value = "/run/farhand")]
        run: PathBuf,
    },
    /// Open every relay that the configuration names. Init runs it when `hands` has died.
    Failsafe {
        #[command(flatten)]
        common: Common,
    },
    /// Validate a configuration file.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Say in which keys two configurations differ, and what starts again when the second counts instead of the first.
    Diff {
        /// The first.
        before: PathBuf,
        /// The second.
        after: PathBuf,
    },
    /// Take the configuration that an owner left on the card, if the device has no owner yet. Init runs it at boot.
    Adopt {
        /// The card's farhand.toml.
        file: PathBuf,
        /// The board's own, which it is laid over.
        #[arg(long)]
        over: Option<PathBuf>,
        /// Where configuration, users and keys are kept.
        #[arg(long, default_value = "/data")]
        data: PathBuf,
    },
    /// Print an owner's configuration, laid over the board's own. Init runs it at boot.
    Join {
        /// The board's.
        board: PathBuf,
        /// The owner's.
        file: PathBuf,
    },
    /// Read a password, one line, and print the hash that a card's [claim] takes.
    HashPassword,
    /// Give /data the rest of the card, if there is some left. Init runs it at boot.
    Grow {
        /// The whole card.
        #[arg(long, default_value = "/dev/slots/disk")]
        disk: PathBuf,
        /// Its data partition.
        #[arg(long, default_value = "/dev/slots/data")]
        data: PathBuf,
        /// Where that is mounted.
        #[arg(long, default_value = "/data")]
        mounted: PathBuf,
    },
    /// Have a note on the card's first partition say what standard input says, for an owner with a laptop. Init's
    /// scripts run it.
    Note {
        /// Which, by its file: claim-code.txt or farhand-error.txt.
        #[arg(value_parser = note)]
        file: Note,
        /// The partition.
        #[arg(long, default_value = "/dev/slots/firmware")]
        device: PathBuf,
    },
    /// Print "held" if the pin that asks for a factory reset is held to ground. Init runs it at boot.
    ResetPin {
        /// The GPIO chip's label or node.
        #[arg(long, default_value = reset_pin::CHIP)]
        chip: String,
        /// Its line.
        #[arg(long, default_value_t = reset_pin::LINE)]
        line: u16,
    },
    /// Run a command each time that the cable of a network interface is plugged in again.
    Carrier {
        /// Such as eth0.
        interface: String,
        /// The command, with its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Switch a USB port with a capture device off and on again. The hands run it for one that is silent.
    UsbPort {
        /// As the kernel names what is plugged in there, such as 1-1.3.
        #[arg(value_parser = |name: &str| HubPort::try_from(name.to_string()))]
        port: HubPort,
        /// Switch it on, whatever it is.
        #[arg(long)]
        on: bool,
        /// Where the kernel keeps USB devices.
        #[arg(long, default_value = usb_port::DEVICES)]
        devices: PathBuf,
    },
    /// Print the audit log, or find the first record of it that is not as it was written.
    Audit {
        /// Print nothing but what is wrong, and fail if anything is.
        #[arg(long)]
        verify: bool,
        /// Its folder, or a copy of it, which is one file.
        #[arg(default_value = "/data/audit")]
        folder: PathBuf,
    },
    /// Print the description of the network interface, as OpenAPI.
    Openapi,
    /// Print what init's scripts must know of a configuration, as shell assignments.
    Settings {
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
struct Common {
    /// The configuration; without it, the defaults that the shipped farhand.toml shows.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    common: Common,
    /// What stands behind the seats: this machine's devices, or a simulated machine.
    #[arg(long, value_enum, default_value = "devices")]
    board: Board,
    /// Where users and keys are kept.
    #[arg(long, default_value = "/data")]
    data: PathBuf,
    /// Where sessions are kept until the next reboot [default: DATA/run]
    #[arg(long)]
    run: Option<PathBuf>,
    /// Where to serve HTTPS, instead of where the configuration says; port 0 takes a free one.
    #[arg(long)]
    https: Option<SocketAddr>,
    /// Where plain HTTP redirects from, instead of where the configuration says; "none" for nowhere.
    #[arg(long, value_name = "ADDRESS|none", value_parser = redirect)]
    http: Option<Redirect>,
    /// Serve without TLS to this machine alone, for measuring: 127.0.0.1:PORT.
    #[arg(long, value_parser = loopback)]
    plain: Option<SocketAddr>,
    /// Where `hands` answers.
    #[arg(long, default_value = SOCKET)]
    hands: PathBuf,
    /// Serve a page that takes an update and restarts the machine, and nothing else.
    #[arg(long, conflicts_with = "board")]
    rescue: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Board {
    Devices,
    Sim,
}

const SOCKET: &str = "/run/farhand/hands.sock";

/// Where svlogd keeps what our services say.
const LOGS: &str = "/run/log";

/// Takes the one address on which passwords may travel in the clear.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip() == std::net::Ipv4Addr::LOCALHOST => Ok(address),
        _ => Err("without TLS, only 127.0.0.1:PORT is allowed".into()),
    }
}

/// Takes what the configuration takes for it.
fn redirect(text: &str) -> Result<Redirect, String> {
    Redirect::try_from(text.to_string())
}

/// Takes the name of a file that the image has for a note.
fn note(name: &str) -> Result<Note, String> {
    let known = Note::ALL.into_iter().find(|note| note.file() == name);
    known.ok_or_else(|| format!("the notes are {}", Note::ALL.map(Note::file).join(" and ")))
}

fn main() -> ExitCode {
    let line = Line::parse();
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Info)
        .parse_default_env()
        // svlogd adds the time.
        .format_timestamp(None)
        .init();
    match run(line.job) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads it, it is lost.
            let _ = writeln!(io::stderr(), "farhand: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(job: Job) -> Result<(), StartError> {
    match job {
        Job::Check { file } => {
            // What an owner puts on the card is a configuration, and may name the owner in addition.
            let content = text(&file)?;
            let card = Card::parse("", &content).map_err(|source| {
                for finding in boot_card::findings(&content) {
                    eprintln!("{}:{finding}", file.display());
                }
                StartError::Config { file: file.clone(), source }
            })?;
            for warning in card.warnings.into_iter().chain(card.config.warnings()) {
                println!("{}: {warning}", file.display());
            }
            println!("{}: good", file.display());
            Ok(())
        }
        Job::Diff { before, after } => {
            commands::diff(&read(&before)?.config, &read(&after)?.config);
            Ok(())
        }
        Job::Adopt { file, over, data } => {
            let board = over.map_or(Ok(String::new()), |over| text(&over))?;
            commands::adopt(&file, &board, &data)
        }
        Job::Join { board, file } => {
            let joined = layers::join(&text(&board)?, &text(&file)?);
            print!("{}", joined.map_err(|source| StartError::Config { file, source })?);
            Ok(())
        }
        Job::HashPassword => commands::hash_password(),
        Job::Grow { disk, data, mounted } => commands::grow(&disk, &data, &mounted),
        Job::Note { file, device } => commands::note(&device, file),
        Job::ResetPin { chip, line } => commands::reset_pin(&chip, line, reset_pin::HOLD),
        Job::Carrier { interface, command } => commands::carrier(&interface, &command),
        Job::UsbPort { port, on, devices } => commands::cycle_port(&devices, &port, usb_port::OFF, on),
        Job::Audit { verify: true, folder } => commands::verify_audit(&folder),
        Job::Audit { verify: false, folder } => commands::print_audit(&folder),
        Job::Openapi => {
            println!("{:#}", openapi::document(api::TABLE));
            Ok(())
        }
        Job::Settings { common } => {
            let config = common.read()?;
            print!("{}", network::assignments(&config.network, &config.time));
            Ok(())
        }
        Job::Failsafe { common } => daemon::failsafe(&common.read()?),
        Job::Guard { common, data, run } => daemon::guard(&common.read_or_default(), data, run),
        Job::Hands { common, socket, rescue: false } => daemon::hands(&common.read()?, &socket),
        Job::Hands { common, socket, rescue: true } => {
            daemon::hands(&Config { seats: BTreeMap::new(), ..common.read_or_default() }, &socket)
        }
        Job::Serve(serve) => {
            let run = serve.run.clone().unwrap_or_else(|| serve.data.join("run"));
            let (mut config, configuration) = match serve.board {
                Board::Sim => serve.simulated(&run)?,
                Board::Devices if serve.rescue => {
                    (serve.common.read_or_default(), configuration::Places::of(&serve.data))
                }
                Board::Devices => (serve.common.read()?, configuration::Places::of(&serve.data)),
            };
            let overrides = Overrides { https: serve.https, http: serve.http };
            overrides.apply(&mut config);
            let (data, plain) = (serve.data, serve.plain);
            let places = Places { data, run, logs: LOGS.into(), plain, appliance: None, configuration, overrides };
            match serve.board {
                Board::Sim => daemon::serve_sim(config, places),
                Board::Devices if serve.rescue => daemon::serve_rescue(config, places, &serve.hands),
                Board::Devices => daemon::serve(config, places, &serve.hands),
            }
        }
    }
}

impl Serve {
    /// The configuration of a simulation: the file that is named, or else what has been changed over the page.
    fn simulated(&self, run: &Path) -> Result<(Config, configuration::Places), StartError> {
        let (board, owner) = match &self.common.config {
            Some(file) => (String::new(), file.clone()),
            None => {
                // Someone who tries it out has no rights to the appliance's ports, and no wish to serve the whole
                // network.
                let mut config = Config::default();
                config.server.https = SocketAddr::from(([127, 0, 0, 1], 8443));
                config.server.http = Redirect::None;
                (config.text(), self.data.join("farhand.toml"))
            }
        };
        if self.common.config.is_some() {
            // One that is not there is a mistake.
            text(&owner)?;
        }
        let places = configuration::Places::simulated(board, owner.clone(), &self.data, run);
        let current = places.current().map_err(|source| StartError::Read { file: owner.clone(), source })?;
        let read = layers::read(&current.board, &current.text);
        let Reading { config, warnings } = read.map_err(|source| StartError::Config { file: owner.clone(), source })?;
        for warning in warnings {
            log::warn!("{}: {warning}", owner.display());
        }
        Ok((config, places))
    }
}

impl Common {
    /// For whoever must run whatever an owner has written: a mistake there is what may have brought us here.
    fn read_or_default(&self) -> Config {
        self.read().unwrap_or_else(|error| {
            log::error!("{}; going on with the defaults", chain(&error));
            Config::default()
        })
    }

    fn read(&self) -> Result<Config, StartError> {
        let Some(file) = &self.config else { return Ok(Config::default()) };
        let Reading { config, warnings } = read(file)?;
        for warning in warnings {
            log::warn!("{}: {warning}", file.display());
        }
        Ok(config)
    }
}

fn read(file: &Path) -> Result<Reading, StartError> {
    forward::read(&text(file)?).map_err(|source| StartError::Config { file: file.into(), source })
}

fn text(file: &Path) -> Result<String, StartError> {
    let read = std::fs::read(file).and_then(files::text);
    read.map_err(|source| StartError::Read { file: file.into(), source })
}
