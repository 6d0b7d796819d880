//! Lists every code by which an error is reported, with its HTTP status.
//!
//! Programs rely on a code; people read the message next to it. So a code is data: an error names one by
//! [`ApiError`](super::problem::ApiError), and the table in `docs/api.md` is compared with [`ALL`] both ways.

use hyper::StatusCode;

/// What went wrong, for programs.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The HTTP status that goes with it.
    pub status: StatusCode,
    /// A name that stays the same from release to release.
    pub name: &'static str,
}

/// Makes a constant of each, and lists them all.
macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = $status:ident, $name:literal;)*) => {
        $($(#[$doc])* pub const $constant: &Code = &Code { status: StatusCode::$status, name: $name };)*

        /// Every code there is.
        pub const ALL: &[&Code] = &[$($constant),*];
    };
}

codes! {
    /// The request names a host that we are not.
    UNKNOWN_HOST = MISDIRECTED_REQUEST, "unknown-host";
    /// A page that is not ours had a browser send it.
    FOREIGN_ORIGIN = FORBIDDEN, "foreign-origin";
    /// There is nothing at this path.
    NOT_FOUND = NOT_FOUND, "not-found";
    /// The path takes other methods, which `Allow` names.
    WRONG_METHOD = METHOD_NOT_ALLOWED, "wrong-method";
    /// The daemon was built without its page.
    NO_PAGE = SERVICE_UNAVAILABLE, "no-page";
    /// The certificate is the owner's own, so no authority of ours stands behind it.
    NO_AUTHORITY = NOT_FOUND, "no-authority";
    /// A part of the daemon hangs, or cannot be used.
    UNWELL = SERVICE_UNAVAILABLE, "unwell";
    /// Too many sockets and streams: of this session, of this name or at this seat.
    TOO_MANY_VIEWERS = TOO_MANY_REQUESTS, "too-many-viewers";
    /// There is no owner yet.
    UNCLAIMED = FORBIDDEN, "unclaimed";
    /// There is an owner already.
    CLAIMED = CONFLICT, "claimed";
    /// Not the code on the console.
    WRONG_CODE = FORBIDDEN, "wrong-code";
    /// Not this user's password, or no such user.
    WRONG_PASSWORD = UNAUTHORIZED, "wrong-password";
    /// No credential, or none that is valid.
    NOT_LOGGED_IN = UNAUTHORIZED, "not-logged-in";
    /// The caller lacks the privilege.
    NOT_ALLOWED = FORBIDDEN, "not-allowed";
    /// Too many guesses; `Retry-After` says how long to wait.
    TOO_MANY_TRIES = TOO_MANY_REQUESTS, "too-many-tries";
    /// Not a name for a user or a token.
    BAD_NAME = BAD_REQUEST, "bad-name";
    /// Not a password that is taken.
    WEAK_PASSWORD = BAD_REQUEST, "weak-password";
    /// Not what a token can be for.
    BAD_SCOPE = BAD_REQUEST, "bad-scope";
    /// Something behind the `?` of the address is not what this path takes.
    BAD_QUERY = BAD_REQUEST, "bad-query";
    /// A token that would have expired already.
    BAD_TIME = BAD_REQUEST, "bad-time";
    /// The password is right, and a code of the second factor is needed, too.
    OTP_NEEDED = UNAUTHORIZED, "otp-needed";
    /// Not a code of the second factor, or one that was used.
    WRONG_OTP = UNAUTHORIZED, "wrong-otp";
    /// No secret was shown of which this could be a code.
    NOT_BEGUN = CONFLICT, "totp-not-begun";
    /// A second factor has to be set up first.
    NO_SECOND_FACTOR = FORBIDDEN, "no-second-factor";
    /// Not the sender's password as it is now.
    NOT_YOUR_PASSWORD = FORBIDDEN, "not-your-password";
    /// There is no room for another user.
    TOO_MANY_USERS = CONFLICT, "too-many-users";
    /// There is a user of this name.
    USER_EXISTS = CONFLICT, "user-exists";
    /// No user has this name.
    UNKNOWN_USER = NOT_FOUND, "unknown-user";
    /// Nobody could let others in any more.
    LAST_ADMINISTRATOR = CONFLICT, "last-administrator";
    /// There is no room for another token.
    TOO_MANY_TOKENS = CONFLICT, "too-many-tokens";
    /// Storage did not take it.
    NOT_STORED = INTERNAL_SERVER_ERROR, "not-stored";
    /// The body is not labelled as JSON.
    NOT_JSON = UNSUPPORTED_MEDIA_TYPE, "not-json";
    /// The body is not labelled as a file.
    NOT_OCTETS = UNSUPPORTED_MEDIA_TYPE, "not-octets";
    /// The length of a file is not announced.
    NO_LENGTH = LENGTH_REQUIRED, "no-length";
    /// The body is longer than this path takes.
    TOO_LONG = PAYLOAD_TOO_LARGE, "too-long";
    /// The body did not arrive in time.
    TOO_SLOW = REQUEST_TIMEOUT, "too-slow";
    /// The body is not what this path takes.
    MALFORMED = BAD_REQUEST, "malformed";
    /// No seat has this name.
    UNKNOWN_SEAT = NOT_FOUND, "unknown-seat";
    /// No token has this name.
    UNKNOWN_TOKEN = NOT_FOUND, "unknown-token";
    /// No session of the sender's has this name.
    UNKNOWN_SESSION = NOT_FOUND, "unknown-session";
    /// No picture has come yet.
    NO_PICTURE = SERVICE_UNAVAILABLE, "no-picture";
    /// Not a WebSocket's opening handshake.
    NOT_A_WEBSOCKET = BAD_REQUEST, "not-a-websocket";
    /// No key has this code. Told on the WebSocket only.
    UNKNOWN_KEY = BAD_REQUEST, "unknown-key";
    /// What was asked for came too late to be done: the network stalled meanwhile.
    LATE = CONFLICT, "late";
    /// No key gives this character, or has this code.
    CANNOT_TYPE = BAD_REQUEST, "cannot-type";
    /// The process that holds keyboard and relays restarts.
    HANDS_AWAY = SERVICE_UNAVAILABLE, "hands-away";
    /// The target does not take keys.
    USB_UNPLUGGED = SERVICE_UNAVAILABLE, "usb-unplugged";
    /// The target takes keys more slowly than they come.
    FLOODED = SERVICE_UNAVAILABLE, "flooded";
    /// What was to be changed is not what it was any more: `If-Match` names another state.
    CHANGED = PRECONDITION_FAILED, "changed";
    /// The daemon stops.
    STOPPING = SERVICE_UNAVAILABLE, "stopping";
    /// A mistake of ours; the log says more.
    INTERNAL = INTERNAL_SERVER_ERROR, "internal";
    /// Another press lasts, or another update is under way.
    BUSY = CONFLICT, "busy";
    /// No relay is configured for this button.
    NO_RELAY = SERVICE_UNAVAILABLE, "no-relay";
    /// The relay did not move.
    RELAY_FAILED = INTERNAL_SERVER_ERROR, "relay-failed";
    /// The target does not sleep.
    NOT_ASLEEP = CONFLICT, "not-asleep";
    /// The target does not let the keyboard wake it up, or the controller cannot.
    CANNOT_WAKE = CONFLICT, "cannot-wake";
    /// A simulation has no appliance to change.
    SIMULATED = NOT_IMPLEMENTED, "simulated";
    /// The machine was not started from a Farhand card.
    NO_SLOTS = NOT_IMPLEMENTED, "no-slots";
    /// The card has no room for the file.
    NO_SPACE = INSUFFICIENT_STORAGE, "no-space";
    /// The file that arrived is not the one that was announced.
    NOT_TAKEN_OVER = INTERNAL_SERVER_ERROR, "not-taken-over";
    /// The configuration names no address to fetch from.
    NO_UPDATE_URL = NOT_FOUND, "no-update-url";
    /// No update is being fetched.
    NOT_FETCHING = CONFLICT, "not-fetching";
    /// The appliance is on its way down.
    RESTARTING = CONFLICT, "restarting";
    /// The appliance did not begin to restart.
    NOT_RESTARTED = INTERNAL_SERVER_ERROR, "not-restarted";
    /// The configuration has mistakes, which the detail lists.
    BAD_CONFIGURATION = BAD_REQUEST, "bad-configuration";
    /// A configuration is being tried, and has to be confirmed or taken back before another.
    ON_TRIAL = CONFLICT, "on-trial";
    /// No configuration is being tried.
    NOT_ON_TRIAL = CONFLICT, "not-on-trial";
    /// The configuration is confirmed before it can count.
    TOO_EARLY = CONFLICT, "too-early";
    /// A change must say by `If-Match` what it changes.
    NO_REVISION = PRECONDITION_REQUIRED, "no-revision";
    /// There is no such version of the configuration.
    UNKNOWN_VERSION = NOT_FOUND, "unknown-version";
    /// Confirmed with another name than the device's.
    NOT_CONFIRMED = BAD_REQUEST, "not-confirmed";
    /// No log of this name is shown.
    UNKNOWN_SERVICE = BAD_REQUEST, "unknown-service";
    /// This machine keeps no such log.
    NO_LOG = NOT_FOUND, "no-log";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_one_status() {
        let mut names: Vec<&str> = ALL.iter().map(|code| code.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(ALL.len(), names.len());
    }

    #[test]
    fn the_documentation_has_every_code_and_no_other() {
        let documented = include_str!("../../../docs/api.md").split("## Codes\n").nth(1).unwrap();
        let rows = documented.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        let rows = rows.map(|(name, rest)| (name.to_string(), rest.split(' ').next().unwrap().to_string()));
        let documented: Vec<(String, String)> = rows.collect();
        let mut all: Vec<_> =
            ALL.iter().map(|code| (code.name.to_string(), code.status.as_str().to_string())).collect();
        all.sort();
        assert_eq!(all, documented, "docs/api.md lists them by name");
    }

    #[test]
    fn what_a_viewer_is_refused_for_is_a_code_like_any_other() {
        let viewer = include_str!("../../seat/viewer.rs").split("#[cfg(test)]").next().unwrap();
        let told: Vec<&str> =
            viewer.split("Refusal::new(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(!told.is_empty());
        for name in told {
            assert!(ALL.iter().any(|code| code.name == name), "{name}");
        }
    }
}
