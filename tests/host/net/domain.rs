//! The name in the domain of the network, which becomes known and changes while the page is served.

use std::time::Duration;

use farhand::auth::role::Role;

use super::bench::{Bench, bearer, forget_log, keep_log, logged};
use super::socket::Socket;

/// The status of an answer to a request by this name, over a connection to `by`.
async fn status(bench: &Bench, by: &str, name: &str) -> u16 {
    let mut client = bench.connect_by(by).await;
    client.send(&format!("GET /api/v1/health HTTP/1.1\r\nHost: {name}\r\n\r\n")).await;
    client.answer().await.status
}

#[tokio::test]
async fn a_domain_that_becomes_known_is_answered_and_certified_while_sockets_stay_open() {
    keep_log();
    let bench = Bench::new().await;
    let mut socket = Socket::open(&bench, &bearer(Role::Viewer)).await;
    socket.event("status").await;
    assert_eq!(421, status(&bench, "127.0.0.1", "kvm.lan").await);
    for (domain, name, before) in [("lan\n", "kvm.lan", "kvm.fritz.box"), ("fritz.box\n", "kvm.fritz.box", "kvm.lan")] {
        std::fs::write(bench.folders.run().join("dhcp-domain"), domain).unwrap();
        forget_log();
        bench.advance(Duration::from_secs(5));
        logged(&["offering another certificate"]).await;
        assert_eq!(200, status(&bench, name, name).await, "{name}");
        assert_eq!(421, status(&bench, name, before).await, "{before}");
    }
    let _other = Socket::open(&bench, &bearer(Role::Viewer)).await;
    while socket.event("status").await["viewers"].as_array().unwrap().len() < 2 {}
}
