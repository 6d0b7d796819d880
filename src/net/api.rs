//! Lists everything that can be asked for, a resource in a file.

pub mod audit;
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
    audit::ROWS,
]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::control as appliance;
    use crate::audit::record::What;
    use crate::auth::rights::Denied;
    use crate::base::coded::Coded;
    use crate::hands::protocol::HandsError;
    use crate::net::http::problem::ApiError;
    use crate::net::http::trace;
    use crate::seat::control as seat;

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
    fn whatever_acts_has_a_word_in_the_audit_log() {
        for row in TABLE.rows().filter(|row| row.semantics.acts) {
            assert_ne!(What::Other, trace::word(row.path), "{row:?}: give it one in src/net/http/trace.rs");
        }
    }

    #[test]
    fn the_audit_log_and_the_interface_have_the_same_code_for_an_error() {
        fn check(error: impl ApiError + Coded) {
            assert_eq!(error.code().name, error.code_name(), "{error}");
        }
        use crate::base::front_panel::Contact::Power;
        use crate::update::ApplianceError::*;
        let program = || crate::update::ProgramError::Hung { program: String::new(), seconds: 1 };
        let text = String::new;
        let known = [Simulated, NoSlots, Away, Busy, Restarting, Spool(text()), Store(text()), Restart(program())];
        let configured = [Changed, BadConfiguration(text()), OnTrial, NotOnTrial, TooEarly, Configuration(text())];
        for error in known.into_iter().chain(configured).chain([Port(text())]) {
            check(HandsError::Appliance(error.clone()));
            check(appliance::ControlError::Appliance(error.clone()));
            check(error);
        }
        for error in [
            HandsError::Away,
            HandsError::Unplugged,
            HandsError::Stale,
            HandsError::Flooded,
            HandsError::TooMany,
            HandsError::TooLong,
            HandsError::CutShort,
            HandsError::Busy(Power),
            HandsError::NoRelay(Power),
            HandsError::Length,
            HandsError::Relay(String::new()),
            HandsError::Awake,
            HandsError::NotArmed,
            HandsError::CannotWake(String::new()),
        ] {
            check(seat::ControlError::Hands(error.clone()));
            check(error);
        }
        for denied in [Denied::NotAllowed, Denied::Ended] {
            check(seat::ControlError::Denied(denied));
            check(appliance::ControlError::Denied(denied));
            check(denied);
        }
        check(appliance::ControlError::WrongName(String::new()));
        for error in [
            seat::ControlError::HoldLength,
            seat::ControlError::ChordLength,
            seat::ControlError::TextLength,
            seat::ControlError::CheckLength,
            seat::ControlError::UnknownKey(String::new()),
            seat::ControlError::Late,
        ] {
            check(error);
        }
    }

    #[test]
    fn no_row_hides_another() {
        let mut rows: Vec<String> = TABLE.rows().map(|row| format!("{row:?}")).collect();
        rows.sort();
        rows.dedup();
        assert_eq!(TABLE.rows().count(), rows.len());
    }
}
