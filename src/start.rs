//! Says why a job of the binary did not start, or ended: one error for `serve`, `hands`, `guard` and every short
//! command.

use std::io;
use std::path::PathBuf;

use crate::adopt::AdoptError;
use crate::audit::folder::VerifyError;
use crate::auth::accounts::AccountError;
use crate::auth::store::StoreError;
use crate::base::seat_id::SeatId;
use crate::config::ConfigError;
use crate::hw::grow::GrowError;
use crate::hw::note::NoteError;
use crate::hw::relay::RelayError;
use crate::hw::usb_port::PortError;
use crate::tls::TlsError;
use crate::tls::authorities::TrustError;

/// The unprivileged user whose `serve` the hands obey.
pub const SERVE_USER: &str = "farhand";

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum StartError {
    /// The configuration cannot be read.
    #[error("cannot read {}", file.display())]
    Read { file: PathBuf, source: io::Error },
    /// The configuration cannot be used.
    #[error("{} is not a good configuration", file.display())]
    Config { file: PathBuf, source: ConfigError },
    /// A system resource is unavailable.
    #[error("cannot {what}")]
    System { what: String, source: io::Error },
    /// Users or sessions cannot be read.
    #[error(transparent)]
    Authenticator(#[from] StoreError),
    /// The certificate cannot be made or read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificates by which to recognise the server of updates cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The card's configuration was not taken.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// The password cannot be used.
    #[error(transparent)]
    Password(#[from] AccountError),
    /// The card's last partition is as small as before.
    #[error(transparent)]
    Grow(#[from] GrowError),
    /// The card does not tell its owner.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The pin that asks for a factory reset cannot be read.
    #[error(transparent)]
    Pin(RelayError),
    /// A USB port was not switched.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The audit log is not as it was written, or cannot be read.
    #[error(transparent)]
    Audit(#[from] VerifyError),
    /// A relay's line cannot be taken in order to open its contact.
    #[error("seat {seat}")]
    Relay { seat: SeatId, source: RelayError },
    /// A part ended that should run as long as the daemon.
    #[error("{0} has ended, so the daemon ends too, to be started whole")]
    Ended(String),
}

/// Names what could not be done.
pub fn cannot(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let what = what.into();
    move |source| StartError::System { what, source }
}
