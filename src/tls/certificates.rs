//! Makes, keeps, renews and offers the certificate of this device.
//!
//! Every device makes its own key at its first start, so that no two share one and no image contains one. The
//! certificate comes from the device's own [`Authority`] and names what the device answers to. The device makes it
//! again when those names change or when it is about to expire. Whoever wants another authority's certificate puts
//! their own two files in the place of ours; these are left alone.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::{info, warn};
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use tokio_rustls::TlsAcceptor;

use crate::auth::clock::Clock;
use crate::base::error_chain::chain;
use crate::base::files;
use crate::base::tasks::Stop;

use super::authority::{Authority, Validity};
use super::{TlsError, has_aes, provider};

/// How often names, addresses and times are looked at. Somebody who has just plugged a cable in waits for it, and a
/// look costs a few files that the kernel holds in memory.
const ROUND: Duration = Duration::from_secs(5);

/// The certificate that is offered, and what it takes to renew it.
#[derive(Debug)]
pub struct Certificates {
    files: Files,
    /// By which we answer, in addition to addresses and `localhost`.
    names: Mutex<Arc<[String]>>,
    offered: Arc<Offered>,
    /// Of our own making: the authority's certificate. `None` with a certificate that somebody else put there.
    authority: Mutex<Option<String>>,
}

/// What each new connection is offered.
#[derive(Debug)]
struct Offered(Mutex<Pair>);

/// Certificate and key, as they were read.
#[derive(Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    /// The hash of the certificate's file.
    hash: Option<String>,
}

impl ResolvesServerCert for Offered {
    fn resolve(&self, _: ClientHello) -> Option<Arc<CertifiedKey>> {
        Some(lock(&self.0).key.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked has changed nothing by halves: each change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Files {
    folder: PathBuf,
    key: PathBuf,
    certificate: PathBuf,
    made: PathBuf,
    authority: PathBuf,
    vouched: PathBuf,
    /// The damaged authority that has been told of, so that a card that takes no other is not told of each round.
    damaged: Mutex<Option<String>>,
}

/// What we remember of the certificate that we made last.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    /// For these names.
    names: Vec<String>,
    /// Its file's hash, by which we know it from one that somebody else put in its place.
    sha256: String,
    /// The hash of the one before, which is still there if the power went between two writes.
    #[serde(default)]
    before: String,
    /// For these addresses.
    #[serde(default)]
    addresses: Vec<IpAddr>,
    /// Missing of one that signs itself, as they were made before there was an authority.
    #[serde(default)]
    validity: Option<Validity>,
    /// The hash of its authority's certificate.
    #[serde(default)]
    authority: String,
}

impl Certificates {
    /// Reads key and certificate from `folder`, and makes what is missing or out of date. `now` is in seconds since
    /// 1970.
    pub fn open(
        folder: &Path,
        names: &[String],
        now: u64,
        addresses: &[IpAddr],
    ) -> Result<Arc<Certificates>, TlsError> {
        let at = |name| folder.join(name);
        let files = Files {
            folder: folder.to_path_buf(),
            key: at("key.pem"),
            certificate: at("certificate.pem"),
            made: at("made.json"),
            authority: at("authority.json"),
            vouched: at("authority.crt"),
            damaged: Mutex::default(),
        };
        files::create_folder(folder).map_err(|source| file(folder, "create", source))?;
        // First the key, then the certificate: a power cut between the two leaves a key without a certificate, which is
        // fine.
        if !exists(&files.key)? {
            let key = KeyPair::generate()?;
            files::write_whole(&files.key, key.serialize_pem().as_bytes())
                .map_err(|source| file(&files.key, "write", source))?;
        }
        let authority = match files.refresh(names, now, addresses) {
            Ok(authority) => authority,
            // A card that takes no more writes is no reason to have no page.
            Err(error @ TlsError::File { .. }) if exists(&files.certificate)? => {
                warn!("going on with the certificate as it is: {}", chain(&error));
                files.authority_of_ours()?.map(|authority| authority.certificate().to_string())
            }
            Err(error) => return Err(error),
        };
        let offered = Arc::new(Offered(Mutex::new(files.load()?)));
        let (names, authority) = (Mutex::new(names.into()), Mutex::new(authority));
        Ok(Arc::new(Certificates { files, names, offered, authority }))
    }

    /// The names by which this device answers, in addition to addresses and `localhost`.
    pub fn names(&self) -> Arc<[String]> {
        lock(&self.names).clone()
    }

    /// Answers by these names from now on. [`Certificates::renew`] makes a certificate for them.
    pub fn answer_to(&self, names: &[String]) {
        *lock(&self.names) = names.into();
    }

    /// What a browser has to be told to trust, as PEM, if the certificate is of our own making.
    pub fn authority(&self) -> Option<String> {
        lock(&self.authority).clone()
    }

    /// How to speak TLS with the certificate of the moment.
    pub fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(provider(has_aes())))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.offered.clone());
        // The client's order fits the client's processor. It is ours that has to encrypt thirty pictures a second.
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Makes the certificate again if names, addresses or the time require it, and offers what there is from then on.
    /// Returns whether that is another.
    pub fn renew(&self, now: u64, addresses: &[IpAddr]) -> Result<bool, TlsError> {
        let authority = self.files.refresh(&self.names(), now, addresses)?;
        *lock(&self.authority) = authority;
        // Somebody may have put their own two files there, too.
        let is_read = lock(&self.offered.0).hash == self.files.certificate_hash()?;
        if !is_read {
            *lock(&self.offered.0) = self.files.load()?;
        }
        Ok(!is_read)
    }

    /// Keeps the certificate in step with clock, names and addresses, until the stop.
    pub async fn keep(
        self: Arc<Self>,
        clock: Arc<dyn Clock>,
        names: impl Fn() -> Vec<String> + Send + Sync + 'static,
        addresses: impl Fn() -> Vec<IpAddr> + Send + Sync + 'static,
        mut stop: Stop,
    ) {
        let known = Arc::new((names, addresses));
        let mut told = None;
        loop {
            tokio::select! {
                () = stop.requested() => return,
                () = clock.wait_for(clock.since_boot() + ROUND) => (),
            }
            let (own, known, now) = (self.clone(), known.clone(), clock.wall());
            let look = move || {
                let (names, addresses) = &*known;
                // First, since they hold with a card that takes no certificate, too.
                own.answer_to(&names());
                own.renew(now, &addresses())
            };
            // The card may keep one waiting.
            match spawn_blocking(look).await {
                Ok(Ok(is_another)) => {
                    told = None;
                    if is_another {
                        info!("offering another certificate from now on");
                    }
                }
                Ok(Err(error)) => {
                    if let Some(why) = news(&mut told, chain(&error)) {
                        warn!("going on with the certificate as it is: {why}");
                    }
                }
                Err(error) => warn!("the certificate was not looked at: {error}"),
            }
        }
    }
}

impl Files {
    /// Makes a certificate of ours again if it is out of date or missing, and gives its authority's. One of somebody
    /// else's is left alone.
    fn refresh(&self, names: &[String], now: u64, addresses: &[IpAddr]) -> Result<Option<String>, TlsError> {
        let hash = self.certificate_hash()?;
        let made = self.made()?;
        let is_ours = |made: &&Made| hash.as_ref().is_none_or(|hash| made.sha256 == *hash || made.before == *hash);
        let made = made.as_ref().filter(is_ours);
        // Where the note of what was made is lost, the authority proves it: nobody else has its key.
        if hash.is_some() && made.is_none() && !self.is_vouched()? {
            return Ok(None);
        }
        let authority = self.authority(names, now)?;
        let vouched = authority.certificate().to_string();
        let is_current = made.is_some_and(|made| {
            hash.as_ref() == Some(&made.sha256)
                // A name that is away for a moment, as the network's domain is at each start, is no reason for another.
                && names.iter().all(|name| made.names.contains(name))
                && addresses.iter().all(|address| made.addresses.contains(address))
                && made.validity.is_some_and(|validity| !validity.needs_renewal(now))
                && made.authority == digest(vouched.as_bytes())
        });
        if !is_current {
            self.issue(&authority, names, now, addresses, hash.unwrap_or_default())?;
        }
        Ok(Some(vouched))
    }

    fn issue(
        &self,
        authority: &Authority,
        names: &[String],
        now: u64,
        addresses: &[IpAddr],
        before: String,
    ) -> Result<(), TlsError> {
        let text = fs::read_to_string(&self.key).map_err(|source| file(&self.key, "read", source))?;
        let key = KeyPair::from_pem(&text).map_err(|error| self.broken(&self.key, "private key", error))?;
        let mut subjects = names.to_vec();
        subjects.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
        subjects.extend(addresses.iter().map(IpAddr::to_string));
        let (certificate, validity) = authority.issue(&key, &subjects, now)?;
        // With its authority's, so that whoever keeps a copy of this file goes on believing us when ours is renewed.
        let chain = format!("{}{}", certificate.pem(), authority.certificate());
        let made = Made {
            names: names.to_vec(),
            sha256: digest(chain.as_bytes()),
            before,
            addresses: addresses.to_vec(),
            validity: Some(validity),
            authority: digest(authority.certificate().as_bytes()),
        };
        let made = serde_json::to_vec(&made).expect("names, numbers and addresses are plain data with string keys");
        files::write_whole(&self.made, &made).map_err(|source| file(&self.made, "write", source))?;
        files::write_whole(&self.certificate, chain.as_bytes())
            .map_err(|source| file(&self.certificate, "write", source))
    }

    /// The authority, which is made or renewed if need be.
    fn authority(&self, names: &[String], now: u64) -> Result<Authority, TlsError> {
        let kept = self.authority_of_ours()?;
        let renewed = match &kept {
            Some(authority) => authority.renewed(now)?,
            None => Some(Authority::new(names.first().map_or("farhand", String::as_str), now)?),
        };
        let Some(renewed) = renewed else { return kept.ok_or(TlsError::Make(rcgen::Error::CouldNotParseKeyPair)) };
        files::write_whole(&self.authority, renewed.to_text().as_bytes())
            .map_err(|source| file(&self.authority, "write", source))?;
        // For somebody who compares it with what they were given over the network. We never read it.
        files::write_with_mode(&self.vouched, renewed.certificate().as_bytes(), 0o644)
            .map_err(|source| file(&self.vouched, "write", source))?;
        Ok(renewed)
    }

    fn authority_of_ours(&self) -> Result<Option<Authority>, TlsError> {
        let text = files::read(&self.authority).map_err(|source| file(&self.authority, "read", source))?;
        let authority = text.as_deref().and_then(Authority::parse);
        let mut damaged = lock(&self.damaged);
        match &text {
            Some(text) if authority.is_none() => {
                if news(&mut damaged, digest(text.as_bytes())).is_some() {
                    let path = self.authority.display();
                    warn!("{path} is damaged: browsers have to be told to trust another authority");
                }
            }
            _ => *damaged = None,
        }
        Ok(authority)
    }

    /// Whether the certificate's file ends with that of our own authority, as those that it issues do.
    fn is_vouched(&self) -> Result<bool, TlsError> {
        let chain = files::read(&self.certificate).map_err(|source| file(&self.certificate, "read", source))?;
        let authority = self.authority_of_ours()?;
        Ok(chain.zip(authority).is_some_and(|(chain, authority)| chain.ends_with(authority.certificate())))
    }

    fn made(&self) -> Result<Option<Made>, TlsError> {
        let text = files::read(&self.made).map_err(|source| file(&self.made, "read", source))?;
        // Damaged is as good as missing: then nothing proves that it is ours.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// The hash of the certificate's file, if there is one.
    fn certificate_hash(&self) -> Result<Option<String>, TlsError> {
        match fs::read(&self.certificate) {
            Ok(bytes) => Ok(Some(digest(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file(&self.certificate, "read", error)),
        }
    }

    fn load(&self) -> Result<Pair, TlsError> {
        let hash = self.certificate_hash()?;
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| self.broken(&self.key, "private key", error))?;
        let chain: Vec<CertificateDer> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(|certificates| certificates.collect())
            .map_err(|error| self.broken(&self.certificate, "certificate", error))?;
        let pair = CertifiedKey::from_der(chain, key, &provider(has_aes()))
            .map_err(|error| self.broken(&self.certificate, "certificate for key.pem", error))?;
        Ok(Pair { key: Arc::new(pair), hash })
    }

    fn broken(
        &self,
        path: &Path,
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> TlsError {
        TlsError::Broken { path: path.to_path_buf(), what, remedy: self.folder.clone(), source: source.into() }
    }
}

/// What there is to tell, unless it was `told` last: a card that takes no writes says the same each minute.
fn news(told: &mut Option<String>, text: String) -> Option<&str> {
    let is_new = told.as_ref() != Some(&text);
    let told = told.insert(text);
    is_new.then_some(told)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn exists(path: &Path) -> Result<bool, TlsError> {
    path.try_exists().map_err(|source| file(path, "look for", source))
}

fn file(path: &Path, op: &'static str, source: io::Error) -> TlsError {
    TlsError::File { path: path.to_path_buf(), op, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_each_minute_is_told_once_until_something_else_happens() {
        let mut told = None;
        assert_eq!(Some("read-only"), news(&mut told, "read-only".into()));
        assert_eq!(None, news(&mut told, "read-only".into()));
        assert_eq!(Some("full"), news(&mut told, "full".into()));
        assert_eq!(Some("read-only"), news(&mut told, "read-only".into()));
    }
}
