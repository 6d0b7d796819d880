//! Serves a listener: page and API, or the way to them.

use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::base::tasks::Stop;
use crate::net::gate::accept;
use crate::net::http::admission;
use crate::net::http::body::Body;
use crate::net::http::connection::{self, Connection, Handler};
use crate::net::site::Site;
use crate::net::{api, pages, redirect};

/// How long what was begun may take to be carried out, once we are to end.
const GRACE: Duration = Duration::from_secs(2);

/// How a listener speaks.
#[derive(Clone)]
pub enum ListenerKind {
    /// Page, API and pictures over TLS.
    Tls(TlsAcceptor),
    /// The same without TLS: for this machine only.
    Plain,
    /// Nothing but the way to the port given here.
    Redirect(u16),
}

/// Serves a listener until told to stop, and then for as long as what is under way needs, up to a few seconds.
pub async fn run(listener: TcpListener, kind: ListenerKind, site: Arc<Site>, stop: Stop) {
    let tls = if let ListenerKind::Tls(acceptor) = &kind { Some(acceptor.clone()) } else { None };
    let redirect = if let ListenerKind::Redirect(port) = kind { Some(port) } else { None };
    let answerer = Arc::new(Answerer { site: site.clone(), redirect });
    let limiter = site.limiter().clone();
    accept::run(
        listener,
        limiter,
        |guest| connection::serve(guest, tls.clone(), answerer.clone(), stop.clone()),
        stop.clone(),
    )
    .await;
    let _ = timeout(GRACE, site.all_done()).await;
}

/// Answers what comes over one listener.
struct Answerer {
    site: Arc<Site>,
    redirect: Option<u16>,
}

impl Handler for Answerer {
    async fn answer(self: Arc<Self>, connection: Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
        if let Some(port) = self.redirect {
            return redirect::answer(&self.site, port, &request);
        }
        let page = |head: &Parts| {
            let path = head.uri.path();
            let is_page = !path.starts_with("/api/");
            is_page.then(|| pages::answer(self.site.mode(), &head.method, path, &head.headers))
        };
        admission::answer(&self.site, api::TABLE, &connection, request, page).await
    }
}
