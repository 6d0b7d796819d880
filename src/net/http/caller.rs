//! Says who asks, as far as an endpoint needs to know it.

use std::time::Duration;

use super::codes::{self, Code};
use super::parameter::{Named, Parameter, SEAT};
use super::problem::{ApiError, Problem};
use crate::auth::accounts::AccountError;
use crate::auth::authenticator::AuthError;
use crate::auth::principal::Principal;
use crate::auth::rights::Denied;
use crate::bus::SeatBus;

/// What [`admission`](super::admission) has found out of who asks for what.
#[derive(Debug)]
pub struct Known {
    /// Somebody whose credential is good.
    pub principal: Option<Principal>,
    /// The seat that the path names, if there is one of that name.
    pub seat: Option<SeatBus>,
    /// What stands in the path where the row's has braces.
    pub named: Option<String>,
}

/// Who asks, as a type, so that no endpoint has to look at what another would need.
pub trait Caller: Sized + Send + 'static {
    /// Whether it takes somebody who is logged in.
    const NEEDS_LOGIN: bool;
    /// What it takes from the path.
    const PARAMETER: Option<Named>;

    /// Takes what it needs.
    fn admit(known: Known) -> Result<Self, Problem>;
}

/// Anyone at all.
#[derive(Debug)]
pub struct Anyone;

/// Somebody who is logged in.
#[derive(Debug)]
pub struct Person(pub Principal);

/// Somebody who is logged in, and the seat that they ask for.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are described by their types")]
pub struct Seated {
    pub principal: Principal,
    pub seat: SeatBus,
}

/// Somebody who is logged in, and which of several things they ask about.
#[derive(Debug)]
pub struct About<P: Parameter> {
    /// Who asks.
    pub principal: Principal,
    /// What the path names. Whether there is such a thing, the endpoint finds out: if not, [`Parameter::UNKNOWN`].
    pub named: P::Value,
}

impl Caller for Anyone {
    const NEEDS_LOGIN: bool = false;
    const PARAMETER: Option<Named> = None;

    fn admit(_: Known) -> Result<Anyone, Problem> {
        Ok(Anyone)
    }
}

impl Caller for Person {
    const NEEDS_LOGIN: bool = true;
    const PARAMETER: Option<Named> = None;

    fn admit(known: Known) -> Result<Person, Problem> {
        Ok(Person(known.principal.ok_or(AuthError::NotLoggedIn)?))
    }
}

impl Caller for Seated {
    const NEEDS_LOGIN: bool = true;
    const PARAMETER: Option<Named> = Some(SEAT);

    fn admit(known: Known) -> Result<Seated, Problem> {
        let principal = known.principal.ok_or(AuthError::NotLoggedIn)?;
        Ok(Seated { principal, seat: known.seat.ok_or(SEAT.unknown)? })
    }
}

impl<P: Parameter> Caller for About<P> {
    const NEEDS_LOGIN: bool = true;
    const PARAMETER: Option<Named> = Some(Named::of::<P>());

    fn admit(known: Known) -> Result<About<P>, Problem> {
        let principal = known.principal.ok_or(AuthError::NotLoggedIn)?;
        let named = P::read(&known.named.unwrap_or_default())?;
        Ok(About { principal, named })
    }
}

impl ApiError for Denied {
    fn code(&self) -> &'static Code {
        match self {
            Denied::NotAllowed => codes::NOT_ALLOWED,
            Denied::Ended => codes::NOT_LOGGED_IN,
        }
    }
}

impl ApiError for AuthError {
    fn code(&self) -> &'static Code {
        match self {
            AuthError::Unclaimed => codes::UNCLAIMED,
            AuthError::Claimed => codes::CLAIMED,
            AuthError::WrongCode => codes::WRONG_CODE,
            AuthError::WrongPassword => codes::WRONG_PASSWORD,
            AuthError::NotLoggedIn => codes::NOT_LOGGED_IN,
            AuthError::TooManyTries(_) => codes::TOO_MANY_TRIES,
            AuthError::Account(AccountError::Name) => codes::BAD_NAME,
            AuthError::Account(
                AccountError::Password | AccountError::CommonPassword | AccountError::NameAsPassword,
            ) => codes::WEAK_PASSWORD,
            AuthError::Account(AccountError::Expired) => codes::BAD_TIME,
            AuthError::Account(AccountError::Scope) => codes::BAD_SCOPE,
            AuthError::Account(AccountError::BeyondMaker) | AuthError::BeyondOwn | AuthError::NotByToken => {
                codes::NOT_ALLOWED
            }
            AuthError::Account(AccountError::UnknownToken) => codes::UNKNOWN_TOKEN,
            AuthError::Account(AccountError::TooMany) => codes::TOO_MANY_TOKENS,
            AuthError::Account(AccountError::TooManyUsers) => codes::TOO_MANY_USERS,
            AuthError::Account(AccountError::UserExists) => codes::USER_EXISTS,
            AuthError::Account(AccountError::UnknownUser) => codes::UNKNOWN_USER,
            AuthError::Account(AccountError::LastAdministrator) => codes::LAST_ADMINISTRATOR,
            AuthError::OtpNeeded => codes::OTP_NEEDED,
            AuthError::WrongOtp(_) => codes::WRONG_OTP,
            AuthError::NotBegun => codes::NOT_BEGUN,
            AuthError::NoSecondFactor => codes::NO_SECOND_FACTOR,
            AuthError::NotYourPassword => codes::NOT_YOUR_PASSWORD,
            AuthError::Store(_) => codes::NOT_STORED,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        if let AuthError::TooManyTries(wait) = self { Some(*wait) } else { None }
    }
}
