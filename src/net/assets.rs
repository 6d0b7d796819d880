//! Serves the built page from inside the binary.
//!
//! Vite puts a hash of the content into every name below `assets/`, so those may be kept for ever; the page itself may not,
//! or an update would not be seen.

use bytes::Bytes;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

/// A file of the page.
#[derive(Debug)]
pub struct Asset {
    /// Its content.
    pub bytes: Bytes,
    /// Its content type.
    pub kind: &'static str,
    /// What caches may do.
    pub cache: &'static str,
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

/// The file at a path of the page.
pub fn find(path: &str) -> Result<Asset, AssetError> {
    let name = if path == "/" { "index.html" } else { path.strip_prefix('/').ok_or(AssetError::NotFound)? };
    // Only what is listed is ours, however the path is spelt.
    if !Dist::iter().any(|listed| listed == name) {
        return Err(if path == "/" { AssetError::NotBuilt } else { AssetError::NotFound });
    }
    let file = Dist::get(name).ok_or(AssetError::NotFound)?;
    let bytes = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => bytes.into(),
    };
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    Ok(Asset { bytes, kind: kind(name), cache })
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
    use super::*;

    #[test]
    fn only_listed_names_are_files() {
        for path in
            ["", "index.html", "/../Cargo.toml", "/assets/../index.html", "//index.html", "/%2e%2e/x", "/./index.html"]
        {
            assert_eq!(Some(AssetError::NotFound), find(path).err(), "{path}");
        }
    }

    #[test]
    fn scripts_and_styles_have_the_types_that_nosniff_insists_on() {
        assert_eq!("text/javascript; charset=utf-8", kind("assets/index-abc.js"));
        assert_eq!("text/css; charset=utf-8", kind("assets/index-abc.css"));
    }
}
