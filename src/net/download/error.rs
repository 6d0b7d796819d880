//! Says in words why an update was not fetched.

use std::io;
use std::net::IpAddr;

use crate::appliance::upload::UploadError;
use crate::base::url::UrlError;
use crate::update::LARGEST;

/// From a project's page to its store and to a mirror is three.
pub(super) const MOST_REDIRECTS: usize = 5;

/// Why an update was not fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// Its name has no address.
    #[error("{0} is not found: is the name right, and is there a name server?")]
    Unknown(String),
    /// Nobody is there, or says nothing.
    #[error("{0} does not answer")]
    Silent(String),
    /// The address is one that we refuse to fetch from.
    #[error("{host} leads to {address}, an address within this device or its network")]
    Inward { host: String, address: IpAddr },
    /// It may be somebody else.
    #[error("the certificate of {host} is not trusted: {why}")]
    Distrusted { host: String, why: String },
    /// Something other than TLS is spoken there.
    #[error("{host} does not speak TLS as it should")]
    NoTls { host: String, source: io::Error },
    /// Something other than HTTP is spoken there, or the connection broke.
    #[error("{host} does not speak HTTP as it should")]
    Nonsense { host: String, source: hyper::Error },
    /// It has no file for us.
    #[error("{host} answered {status}{}", if *.status == 404 { ": there is no such file" } else { "" })]
    Answered { host: String, status: u16 },
    /// The file is packed, and is not to be.
    #[error("{0} sends the file compressed once more")]
    Packed(String),
    /// No space can be asked for.
    #[error("{0} did not say how long the file is")]
    NoLength(String),
    /// Longer than any update.
    #[error("{host} sends more than an update, which is {} MiB at most", LARGEST >> 20)]
    TooLong { host: String },
    /// It sends us where we do not go.
    #[error("{host} redirects to {to:?}, where nothing is fetched from: {why}")]
    Misled { host: String, to: String, why: UrlError },
    /// It sends us round and round.
    #[error("{0} redirects more than {MOST_REDIRECTS} times")]
    Endless(String),
    /// The file has not come whole.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// It has come, and the hands do not take it.
    #[error("{0}")]
    Install(String),
}
