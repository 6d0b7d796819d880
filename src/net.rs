//! Serves page, API and pictures over HTTPS. The only place that names hyper.
pub mod api;
pub mod assets;
pub mod http;
pub mod socket;
pub mod stream;
pub mod tls;
