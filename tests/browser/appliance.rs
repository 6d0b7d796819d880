//! Serves a simulated machine with an appliance around it, whose installer, boot loader and restart are scripts.
//!
//! Usage: appliance FOLDER ADDRESS [URL], the last to fetch updates from. Everything is below the folder; `farhand`
//! itself takes no such thing on its command line.

// The test that starts it sees why it failed.
#![allow(clippy::unwrap_used)]

#[path = "../host/appliance.rs"]
mod appliance;

use std::fs;
use std::path::PathBuf;

use farhand::base::url::Url;
use farhand::config::{Config, Redirect};
use farhand::daemon::{Overrides, Places, serve_sim};
use farhand::hands::appliance::configuration;

fn main() {
    env_logger::Builder::new().filter_level(log::LevelFilter::Info).parse_default_env().init();
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder"));
    let mut config = Config::default();
    config.server.https = arguments.next().expect("an address").parse().expect("an address with a port");
    config.server.http = Redirect::None;
    config.update.url = arguments.next().map(|url| Url::parse(&url).expect("a web address"));
    let (data, run, logs) = (folder.join("data"), folder.join("run"), folder.join("logs"));
    let appliance = appliance::Appliance::new(&folder.join("appliance")).places(&data);
    fs::create_dir_all(logs.join("hands")).unwrap();
    let log = "2026-11-22_14:36:47.12345 INFO farhand: a line of a log <img src=x onerror=alert(1)>\n";
    fs::write(logs.join("hands/current"), log).unwrap();
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("started.json"), r#"{"why":"fallback","detail":"slot B did not prove itself"}"#).unwrap();
    let health = r#"{"low_voltage":{"now":false,"ever":true},"celsius":61,"slowed":null,"card":"good"}"#;
    fs::write(run.join("health.json"), health).unwrap();
    let configuration = configuration::Places::simulated(config.text(), data.join("farhand.toml"), &data, &run);
    let overrides = Overrides::default();
    let places = Places { data, run, logs, plain: None, appliance: Some(appliance), configuration, overrides };
    serve_sim(config, places).unwrap();
}
