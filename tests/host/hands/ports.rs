//! The port of a capture device that is silent, switched off and on by the hands.

use std::fs;
use std::path::{Path, PathBuf};

use farhand::base::usb::HubPort;
use farhand::hands::appliance::ApplianceClient;
use farhand::hands::client::HandsError;
use farhand::update::ApplianceError;

use super::bench::*;
use crate::appliance::Appliance;

/// A device at a port of a hub, as sysfs has both, with one interface of this class; the port's switch.
fn plug_in(devices: &Path, name: &str, class: &str) -> PathBuf {
    let (hub, number) = name.split_once('.').unwrap();
    let interface = devices.join(format!("{name}/{name}:1.0"));
    let port = devices.join(format!("{hub}/{hub}:1.0/{hub}-port{number}"));
    for folder in [&interface, &port] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(interface.join("bInterfaceClass"), format!("{class}\n")).unwrap();
    fs::write(port.join("disable"), "as before\n").unwrap();
    port.join("disable")
}

#[tokio::test]
async fn only_what_captures_pictures_is_switched_off_and_on_again() {
    let temporary = tempfile::tempdir().unwrap();
    let (root, devices) = (temporary.path().join("appliance"), temporary.path().join("devices"));
    let (dongle, keyboard) = (plug_in(&devices, "1-1.3", "0e"), plug_in(&devices, "1-1.4", "03"));
    let appliance = Appliance::new(&root);
    let own = env!("CARGO_BIN_EXE_farhand");
    appliance.script("farhand", &format!("#!/bin/sh\nexec '{own}' \"$@\" --devices '{}'\n", devices.display()));
    let places = appliance.places(&temporary.path().join("data"));
    let bench = Bench::with(|tasks, stop| ApplianceClient::start(places, tasks, stop)).await;
    let cycle = async |port: &str| {
        let port = HubPort::try_from(port.to_string()).unwrap();
        soon("an answer", bench.hands.cycle_port(port)).await
    };

    assert_eq!(Ok(()), cycle("1-1.3").await);
    assert_eq!("0", fs::read_to_string(dongle).unwrap());

    for other in ["1-1.4", "1-1.9", "2-1"] {
        let refused = cycle(other).await;
        let words = format!("farhand: nothing that captures pictures is plugged in at USB port {other}");
        assert_eq!(Err(HandsError::Appliance(ApplianceError::Port(words))), refused);
    }
    assert_eq!("as before\n", fs::read_to_string(keyboard).unwrap());
}

#[tokio::test]
async fn next_to_a_simulated_machine_there_is_no_port_to_switch() {
    let bench = Bench::new().await;
    let port = HubPort::try_from("1-1.3".to_string()).unwrap();
    assert_eq!(Err(HandsError::Appliance(ApplianceError::Simulated)), bench.hands.cycle_port(port).await);
}
