//! Makes this device known to machines nearby: `NAME.local`, and a web page in the list of those who look for one.
//!
//! An owner whose router shows no list of names has no other way to find the address that DHCP gave. It is a
//! convenience, so nothing that happens here, not even its end, is a reason to take the page away.

use log::{info, warn};
use mdns_sd::{DaemonEvent, IfKind, ServiceDaemon, ServiceInfo};

use crate::base::error_chain::chain;
use crate::base::tasks::Stop;

/// What we are, as RFC 6763 section 7 spells it.
const SERVICE: &str = "_https._tcp.local.";

/// Answers to `host` with whatever addresses the machine has at the time, until it is time to end.
///
/// The library has a thread of its own, looks for changed addresses every five seconds, answers only what is asked of
/// this name, and keeps nothing of what others say.
pub async fn run(host: String, port: u16, mut stop: Stop) {
    if let Err(error) = announce(&host, port, &mut stop).await {
        warn!("nobody nearby will find {host}.local: {}", chain(&error));
    }
    stop.requested().await;
}

async fn announce(host: &str, port: u16, stop: &mut Stop) -> Result<(), mdns_sd::Error> {
    let responder = ServiceDaemon::new()?;
    // Whoever is on this machine need not look for it.
    responder.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
    let events = responder.monitor()?;
    let nothing_to_add: Option<std::collections::HashMap<String, String>> = None;
    let page = ServiceInfo::new(SERVICE, host, &format!("{host}.local."), (), port, nothing_to_add)?;
    responder.register(page.enable_addr_auto())?;
    loop {
        let event = tokio::select! {
            event = events.recv_async() => event,
            () = stop.requested() => break,
        };
        match event {
            Ok(DaemonEvent::IpAdd(address)) => info!("{host}.local is at {address}"),
            Ok(DaemonEvent::NameChange(change)) => {
                warn!(
                    "another machine is called {} already, so this one answers to {}; give it a network.host of its own",
                    change.original, change.new_name
                );
            }
            Ok(DaemonEvent::Error(error)) => warn!("multicast DNS: {}", chain(&error)),
            Ok(_) => (),
            Err(_) => return Err(mdns_sd::Error::Msg("multicast DNS has ended by itself".into())),
        }
    }
    // It says goodbye, so that lists nearby do not show what has gone. There is nothing to do if it cannot.
    if let Ok(end) = responder.shutdown() {
        let _ = end.recv_async().await;
    }
    Ok(())
}
