//! Turns a table of endpoints into answers over HTTP/1.1. The only place, next to the fetching of updates, that names
//! hyper.
//!
//! An [`Endpoint`](endpoint::Endpoint) is a type that says where it is, who may use it, and what it takes and gives. A
//! [`Row`](row::Row) is an endpoint without its types, and a [`Table`](table::Table) is rows. What holds for every
//! request is done once, in [`admission`], so that no endpoint can forget it: host, path, origin, credential, privilege
//! at the seat, the limits of the body, and the record of what was done.

pub mod accepts;
pub mod admission;
pub mod answers;
pub mod body;
pub mod caller;
pub mod codes;
pub mod connection;
pub mod door;
pub mod endpoint;
mod json;
pub mod openapi;
pub mod parameter;
pub mod problem;
pub mod query;
pub mod row;
pub mod table;
pub mod trace;
