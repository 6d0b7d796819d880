//! Reads what a path names between its slashes, such as a user, into its type.
//!
//! A [`Parameter`] is one such place; a [`Named`] is the same without its types. A name that cannot be one is reported
//! like one that there is not: no guess at names learns more from an odd one.
//!
//! What a path names is what its endpoint asks for, and one thing at most. A user's endpoint is this:
//!
//! ```
//! # use farhand::auth::accounts::Name;
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{About, Person, Seated};
//! # use farhand::net::http::codes;
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::parameter::{Parameter, Unknown};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! #[derive(Debug)]
//! struct User;
//!
//! impl Parameter for User {
//!     const NAME: &'static str = "user";
//!     const UNKNOWN: Unknown = Unknown { code: codes::NOT_FOUND, message: "there is no such user" };
//!     type Value = Name;
//! }
//!
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Delete, "/users/{user}");
//! type Caller = About<User>;
//! #     const ACCESS: Access = Access::Session;
//! #     const SEMANTICS: Semantics = Semantics::ACTS;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Self::Caller>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/users/{user}", ROW.path);
//! ```
//!
//! Who has a user in its path asks about that user:
//!
//! ```compile_fail,E0080
//! # use farhand::auth::accounts::Name;
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{About, Person, Seated};
//! # use farhand::net::http::codes;
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::parameter::{Parameter, Unknown};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! # #[derive(Debug)]
//! # struct User;
//! # impl Parameter for User {
//! #     const NAME: &'static str = "user";
//! #     const UNKNOWN: Unknown = Unknown { code: codes::NOT_FOUND, message: "there is no such user" };
//! #     type Value = Name;
//! # }
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Delete, "/users/{user}");
//! type Caller = Person;
//! #     const ACCESS: Access = Access::Session;
//! #     const SEMANTICS: Semantics = Semantics::ACTS;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Self::Caller>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/users/{user}", ROW.path);
//! ```
//!
//! And who asks about one has it in its path:
//!
//! ```compile_fail,E0080
//! # use farhand::auth::accounts::Name;
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{About, Person, Seated};
//! # use farhand::net::http::codes;
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::parameter::{Parameter, Unknown};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! # #[derive(Debug)]
//! # struct User;
//! # impl Parameter for User {
//! #     const NAME: &'static str = "user";
//! #     const UNKNOWN: Unknown = Unknown { code: codes::NOT_FOUND, message: "there is no such user" };
//! #     type Value = Name;
//! # }
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Delete, "/users");
//! type Caller = About<User>;
//! #     const ACCESS: Access = Access::Session;
//! #     const SEMANTICS: Semantics = Semantics::ACTS;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Self::Caller>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/users", ROW.path);
//! ```
//!
//! A user's path is not a seat's:
//!
//! ```compile_fail,E0080
//! # use farhand::auth::accounts::Name;
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{About, Person, Seated};
//! # use farhand::net::http::codes;
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::parameter::{Parameter, Unknown};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! # #[derive(Debug)]
//! # struct User;
//! # impl Parameter for User {
//! #     const NAME: &'static str = "user";
//! #     const UNKNOWN: Unknown = Unknown { code: codes::NOT_FOUND, message: "there is no such user" };
//! #     type Value = Name;
//! # }
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Delete, "/users/{user}");
//! type Caller = Seated;
//! #     const ACCESS: Access = Access::Session;
//! #     const SEMANTICS: Semantics = Semantics::ACTS;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Self::Caller>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/users/{user}", ROW.path);
//! ```
//!
//! No second thing is left open:
//!
//! ```compile_fail,E0080
//! # use farhand::auth::accounts::Name;
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{About, Person, Seated};
//! # use farhand::net::http::codes;
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::parameter::{Parameter, Unknown};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! # #[derive(Debug)]
//! # struct User;
//! # impl Parameter for User {
//! #     const NAME: &'static str = "user";
//! #     const UNKNOWN: Unknown = Unknown { code: codes::NOT_FOUND, message: "there is no such user" };
//! #     type Value = Name;
//! # }
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Delete, "/users/{user}/{seat}");
//! type Caller = About<User>;
//! #     const ACCESS: Access = Access::Session;
//! #     const SEMANTICS: Semantics = Semantics::ACTS;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Self::Caller>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/users/{user}/{seat}", ROW.path);
//! ```
//!
//! And a seat is asked for as such, not as anything else, or its privilege would be one for every seat:
//!
//! ```compile_fail,E0080
//! # use farhand::auth::accounts::Name;
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{About, Person, Seated};
//! # use farhand::net::http::codes;
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::parameter::{Parameter, Unknown};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! # #[derive(Debug)]
//! # struct User;
//! # impl Parameter for User {
//! const NAME: &'static str = "seat";
//! #     const UNKNOWN: Unknown = Unknown { code: codes::NOT_FOUND, message: "there is no such user" };
//! #     type Value = Name;
//! # }
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Delete, "/seats/{seat}");
//! type Caller = About<User>;
//! #     const ACCESS: Access = Access::Session;
//! #     const SEMANTICS: Semantics = Semantics::ACTS;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Self::Caller>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/seats/{seat}", ROW.path);
//! ```

use std::fmt;

use super::codes::{self, Code};
use super::problem::ApiError;

/// A place in a path, `{user}`, for an endpoint whose caller is [`About`](super::caller::About) it.
pub trait Parameter: fmt::Debug + Send + 'static {
    /// What stands between the braces.
    const NAME: &'static str;
    /// The error where nothing has the name.
    const UNKNOWN: Unknown;
    /// What a name is read into.
    type Value: TryFrom<String> + fmt::Debug + Send;

    /// Reads a name as it stands in a path.
    fn read(text: &str) -> Result<Self::Value, Unknown> {
        decode(text).and_then(|text| Self::Value::try_from(text).ok()).ok_or(Self::UNKNOWN)
    }
}

/// There is nothing of this name.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{message}")]
pub struct Unknown {
    /// The code by which that is reported.
    pub code: &'static Code,
    /// What to do about it.
    pub message: &'static str,
}

impl ApiError for Unknown {
    fn code(&self) -> &'static Code {
        self.code
    }
}

/// A [`Parameter`] without its types.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are the constants of `Parameter`, where they are described")]
pub struct Named {
    pub name: &'static str,
    pub unknown: Unknown,
}

impl Named {
    /// That of a type. Of a seat's name alone nobody would know whether a privilege holds there.
    pub const fn of<P: Parameter>() -> Named {
        assert!(!is_equal(P::NAME.as_bytes(), SEAT.name.as_bytes()), "who asks for a seat is `Seated`");
        Named { name: P::NAME, unknown: P::UNKNOWN }
    }

    /// Whether a path has this in braces, and nothing else.
    pub(super) const fn is_all_of(&self, path: &str) -> bool {
        let (mut rest, name) = (path.as_bytes(), self.name.as_bytes());
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            if *first == b'{' {
                break;
            }
        }
        if rest.len() <= name.len() {
            return false;
        }
        let (inside, after) = rest.split_at(name.len());
        is_equal(inside, name) && after[0] == b'}' && !has(after, b'{')
    }
}

const fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// Whether a text has this byte, as a constant.
pub(super) const fn has(text: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while at < text.len() && text[at] != byte {
        at += 1;
    }
    at < text.len()
}

/// A seat, which [`Seated`](super::caller::Seated) asks for: its privilege is that at the seat.
pub const SEAT: Named = Named {
    name: "seat",
    unknown: Unknown {
        code: codes::UNKNOWN_SEAT,
        message: "there is no seat of this name; GET /api/v1/seats lists them",
    },
};

/// Takes percent-encoding off (RFC 3986 section 2.1): clients encode an `@`, which a user's name may have.
fn decode(text: &str) -> Option<String> {
    let digit = |digit: Option<u8>| char::from(digit?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut bytes, mut decoded) = (text.bytes(), Vec::with_capacity(text.len()));
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next())? << 4 | digit(bytes.next())?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::accounts::Name;

    #[derive(Debug)]
    struct User;

    impl Parameter for User {
        const NAME: &'static str = "user";
        const UNKNOWN: Unknown = Unknown { code: codes::NOT_FOUND, message: "there is no such user" };
        type Value = Name;
    }

    #[test]
    fn a_path_has_what_is_asked_for_in_braces_and_nothing_else() {
        let named = Named::of::<User>();
        for good in ["/users/{user}", "/users/{user}/password", "/{user}"] {
            assert!(named.is_all_of(good), "{good}");
        }
        for bad in [
            "",
            "/users",
            "/users/user",
            "/users/{",
            "/users/{user",
            "/{users}",
            "/{use}",
            "/{user}/{user}",
            "/{a}/{user}",
        ] {
            assert!(!named.is_all_of(bad), "{bad}");
        }
    }

    #[test]
    fn a_name_is_read_as_clients_encode_it() {
        for text in ["anna@example.org", "anna%40example.org", "%61nna%40example%2Eorg", "anna%40example%2eorg"] {
            assert_eq!("anna@example.org", User::read(text).unwrap().as_str(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_one_that_nothing_has() {
        let long = "x".repeat(10_000);
        for text in ["%00", "a%00", "a%2Fb", "%2e%2f", "%", "%4", "%4g", "%+4", "%ff", "%C3%A9", "a;b", "a+b", &long] {
            let unknown = User::read(text).unwrap_err();
            assert_eq!((codes::NOT_FOUND, "there is no such user"), (unknown.code(), unknown.message), "{text}");
        }
    }
}
