//! Serves page, API and pictures over HTTPS. The only place that names hyper.
//!
//! [`gate`] accepts and bounds connections, [`http`] turns tables of endpoints into answers, [`api`] is the table, and
//! [`ws`] speaks with a page once it has opened its socket. Neither pictures nor sockets ever wait for a slow viewer.

pub mod addresses;
pub mod api;
pub mod assets;
mod coding;
pub mod domain;
pub mod download;
pub mod gate;
pub mod http;
pub mod mdns;
mod pages;
pub mod probe;
mod redirect;
mod rescue;
pub mod serve;
pub mod site;
pub mod ws;

/// The names by which this machine may be called: its own, the same in multicast DNS, and those configured.
pub fn names(hostname: &str, configured: &[String]) -> Vec<String> {
    let own = [hostname.to_string(), format!("{hostname}.local")];
    let own = if hostname.is_empty() { &own[..0] } else { &own };
    let names = own.iter().chain(configured);
    // The dot at the end is the root, which every name ends in: a request may come with it or without.
    names.map(|name| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()).collect()
}
