//! Lists everything that can be asked for, a resource in a file.

pub mod authority;
mod card;
pub mod config;
pub mod health;
pub mod keys;
pub mod logs;
pub mod openapi;
pub mod picture;
pub mod power;
pub mod seats;
pub mod session;
pub mod sessions;
pub mod socket;
pub mod system;
pub mod tokens;
pub mod totp;
pub mod update;
pub mod users;
pub mod wake;

use crate::net::http::table::Table;

/// Everything below `/api`.
pub const TABLE: Table = Table(&[
    health::ROWS,
    openapi::ROWS,
    session::ROWS,
    sessions::ROWS,
    users::ROWS,
    totp::ROWS,
    authority::ROWS,
    tokens::ROWS,
    seats::ROWS,
    picture::ROWS,
    socket::ROWS,
    power::ROWS,
    wake::ROWS,
    keys::ROWS,
    system::ROWS,
    config::ROWS,
    update::ROWS,
    logs::ROWS,
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_documented() {
        let documented = include_str!("../../docs/api.md");
        for row in TABLE.rows() {
            assert!(documented.contains(&format!("`{row:?}`")), "{row:?}");
        }
        let is_row = |line: &&str| {
            let method = line.strip_prefix("| `").and_then(|rest| rest.split_once(" /"));
            method.is_some_and(|(method, _)| method.bytes().all(|byte| byte.is_ascii_uppercase()))
        };
        let rows = documented.lines().filter(is_row).count();
        assert_eq!(TABLE.rows().count(), rows, "docs/api.md has other rows too");
    }

    #[test]
    fn no_row_hides_another() {
        let mut rows: Vec<String> = TABLE.rows().map(|row| format!("{row:?}")).collect();
        rows.sort();
        rows.dedup();
        assert_eq!(TABLE.rows().count(), rows.len());
    }
}
