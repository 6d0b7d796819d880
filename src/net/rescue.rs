//! Serves the page of the rescue mode: a form each to log in, to update, to restart, and to read what happened.
//!
//! It stands in for the page proper when a part of the daemon kept on crashing or hung, so it needs nothing of that
//! page's build. Everything it does goes through the same routes, with the same privileges.

use bytes::Bytes;

use super::assets::{Asset, AssetError};
use super::coding::Coding;

/// The file at a path of the page.
pub fn find(path: &str) -> Result<Asset, AssetError> {
    let (text, kind) = match path {
        "/" => (include_str!("rescue/page.html"), "text/html; charset=utf-8"),
        "/rescue.js" => (include_str!("rescue/page.js"), "text/javascript; charset=utf-8"),
        _ => return Err(AssetError::NotFound),
    };
    // The page proper comes back to the same address.
    let bytes = Bytes::from_static(text.as_bytes());
    Ok(Asset { bytes, kind, cache: "no-store", coding: Coding::Identity, varies: false })
}
