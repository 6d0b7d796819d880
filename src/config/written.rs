//! Writes each value as the file has it, so that a whole configuration can be shown, compared and read again.
//!
//! A key that has no value in the file, such as a gateway that nobody named, is left out.

use serde::{Serialize, Serializer};

use super::Redirect;
use super::guard::Watchdog;
use super::network::{Address, Host, TimeServer};
use super::seat::{CaptureRange, CaptureSize, Controller, Device, RelayDriver, UsbString, Wake};
use crate::base::url::Url;

/// Makes values be written as the texts from which they are read.
macro_rules! written {
    ($($value:ty: $as_text:expr;)*) => {
        $(impl Serialize for $value {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let as_text: fn(&$value) -> String = $as_text;
                serializer.serialize_str(&as_text(self))
            }
        })*
    };
}

written! {
    Redirect: |redirect| match redirect {
        Redirect::None => "none".into(),
        Redirect::At(address) => address.to_string(),
    };
    Watchdog: |watchdog| match watchdog {
        Watchdog::Auto => "auto".into(),
        Watchdog::None => "none".into(),
        Watchdog::Path(path) => path.display().to_string(),
    };
    Host: |host| host.as_str().into();
    Address: |address| match address {
        Address::Dhcp => "dhcp".into(),
        Address::Fixed { address, prefix } => format!("{address}/{prefix}"),
    };
    TimeServer: |server| server.as_str().into();
    Device: |device| match device {
        Device::Auto => "auto".into(),
        Device::Usb(port) => format!("usb:{port}"),
        Device::Path(path) => path.display().to_string(),
    };
    CaptureSize: |size| match size {
        CaptureSize::Auto => "auto".into(),
        CaptureSize::Exactly(size) => size.to_string(),
    };
    CaptureRange: |range| match range {
        CaptureRange::Auto => "auto".into(),
        CaptureRange::Full => "full".into(),
        CaptureRange::Limited => "limited".into(),
    };
    Controller: |controller| match controller {
        Controller::Auto => "auto".into(),
        Controller::None => "none".into(),
        Controller::Named(name) => name.clone(),
    };
    Wake: |wake| match wake {
        Wake::Button => "button".into(),
        Wake::Key => "key".into(),
    };
    UsbString: |text| text.as_str().into();
    Url: |url| format!("{}://{}{}", if url.is_secure() { "https" } else { "http" }, url.authority(), url.path());
    RelayDriver: |driver| match driver {
        RelayDriver::None => "none".into(),
        RelayDriver::Rppal => "rppal".into(),
        RelayDriver::Gpiocdev => "gpiocdev".into(),
    };
}
