//! Gives the page's files: those of the page proper, or of the one that stands in for it in rescue mode.

use hyper::Method;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};

use crate::net::http::admission::Answer;
use crate::net::http::answers;
use crate::net::http::codes::{self, Code};
use crate::net::http::problem::ApiError;
use crate::net::http::table::RouteError;
use crate::net::site::Mode;
use crate::net::{assets, rescue};

use assets::AssetError;

impl ApiError for AssetError {
    fn code(&self) -> &'static Code {
        match self {
            AssetError::NotFound => codes::NOT_FOUND,
            AssetError::NotBuilt => codes::NO_PAGE,
        }
    }
}

/// Answers a request for a file.
pub fn answer(mode: Mode, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
    let asset = if mode == Mode::Usual { assets::find(path, headers)? } else { rescue::find(path)? };
    if *method != Method::GET && *method != Method::HEAD {
        return Err(RouteError::WrongMethod("GET, HEAD".into()).into());
    }
    let mut response = answers::labelled(asset.kind, asset.bytes);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(asset.cache));
    if let Some(coding) = asset.coding.name() {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if asset.varies {
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    Ok(response)
}
