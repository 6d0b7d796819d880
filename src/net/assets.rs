//! Serves the built page from inside the binary.
//!
//! Vite puts a hash of the content into every name below `assets/`, so those may be kept for ever; the page itself may
//! not, or an update would not be seen. Where the build has put compressed copies next to a file, the client gets the
//! one that it prefers: a browser over a slow line waits for a third of the bytes.

use bytes::Bytes;
use hyper::header::HeaderMap;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::coding::{self, Coding};

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

/// A file of the page.
#[derive(Debug)]
#[expect(missing_docs, reason = "`bytes` says it")]
pub struct Asset {
    pub bytes: Bytes,
    /// Its content type.
    pub kind: &'static str,
    /// What caches may do.
    pub cache: &'static str,
    /// What was done to its content.
    pub coding: Coding,
    /// Whether another client may get it in another coding, which caches must know.
    pub varies: bool,
}

/// Why there is no file.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum AssetError {
    /// No such file.
    #[error("there is nothing at this path")]
    NotFound,
    /// The page was not built before the daemon was.
    #[error("this daemon was built without its page; build web/ first, then the daemon. The API works")]
    NotBuilt,
}

/// The file at a path of the page, in the coding that fits the client's headers.
pub fn find(path: &str, headers: &HeaderMap) -> Result<Asset, AssetError> {
    let name = if path == "/" { "index.html" } else { path.strip_prefix('/').ok_or(AssetError::NotFound)? };
    // Only what is listed is ours, however the path is spelt.
    if !Dist::iter().any(|listed| listed == name && !is_copy(&listed)) {
        return Err(if path == "/" { AssetError::NotBuilt } else { AssetError::NotFound });
    }
    let copies = Coding::COMPRESSED.map(|coding| (coding, copy(name, coding)));
    let offered: Vec<Coding> = copies.iter().filter_map(|(coding, copy)| copy.as_ref().map(|_| *coding)).collect();
    let coding = coding::choose(headers, &offered);
    let chosen = copies.into_iter().find(|(offer, _)| *offer == coding).and_then(|(_, copy)| copy);
    let file = chosen.or_else(|| Dist::get(name)).ok_or(AssetError::NotFound)?;
    let bytes = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => bytes.into(),
    };
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    Ok(Asset { bytes, kind: kind(name), cache, coding, varies: !offered.is_empty() })
}

/// How the build ends the name of a compressed copy.
fn suffix(coding: Coding) -> Option<&'static str> {
    match coding {
        Coding::Brotli => Some(".br"),
        Coding::Gzip => Some(".gz"),
        Coding::Identity => None,
    }
}

fn copy(name: &str, coding: Coding) -> Option<EmbeddedFile> {
    Dist::get(&format!("{name}{}", suffix(coding)?))
}

/// Whether this is a copy of another file, which has no path of its own.
fn is_copy(name: &str) -> bool {
    let mut originals = Coding::COMPRESSED.into_iter().filter_map(|coding| name.strip_suffix(suffix(coding)?));
    originals.any(|original| Dist::get(original).is_some())
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{ACCEPT_ENCODING, HeaderValue};

    use super::*;

    #[test]
    fn only_listed_names_are_files() {
        for path in
            ["", "index.html", "/../Cargo.toml", "/assets/../index.html", "//index.html", "/%2e%2e/x", "/./index.html"]
        {
            assert_eq!(Some(AssetError::NotFound), find(path, &HeaderMap::new()).err(), "{path}");
        }
    }

    /// Files of the page that have compressed copies; none if it was not built.
    fn compressed() -> Vec<String> {
        Dist::iter().filter(|name| copy(name, Coding::Brotli).is_some()).map(|name| format!("/{name}")).collect()
    }

    #[test]
    fn a_compressed_file_comes_in_the_coding_that_is_accepted_and_keeps_its_type() {
        for path in compressed().into_iter().filter(|path| path != "/index.html") {
            let ask = |accept: &str| {
                let accept = HeaderValue::from_str(accept).unwrap();
                find(&path, &HeaderMap::from_iter([(ACCEPT_ENCODING, accept)])).unwrap()
            };
            let (plain, gzip, brotli) = (ask("identity"), ask("gzip"), ask("gzip, br"));
            assert_eq!([Coding::Identity, Coding::Gzip, Coding::Brotli], [&plain, &gzip, &brotli].map(|a| a.coding));
            assert!(brotli.bytes.len().max(gzip.bytes.len()) < plain.bytes.len(), "{path}");
            for asset in [plain, gzip, brotli] {
                assert!(asset.varies, "{path}");
                assert_eq!((kind(&path), "public, max-age=31536000, immutable"), (asset.kind, asset.cache), "{path}");
            }
        }
    }

    #[test]
    fn a_copy_has_no_path_of_its_own() {
        for path in compressed() {
            for suffix in [".br", ".gz"] {
                let found = find(&format!("{path}{suffix}"), &HeaderMap::new());
                assert_eq!(Some(AssetError::NotFound), found.err(), "{path}{suffix}");
            }
        }
    }

    #[test]
    fn scripts_and_styles_have_the_types_that_nosniff_insists_on() {
        assert_eq!("text/javascript; charset=utf-8", kind("assets/index-abc.js"));
        assert_eq!("text/css; charset=utf-8", kind("assets/index-abc.css"));
    }
}
