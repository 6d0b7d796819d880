//! Keeps the programs among the accounts: what each may do, by whose leave, and until when.
//!
//! A token belongs to the person who made it, and never does what that person may not do.

use std::collections::HashMap;

use crate::auth::accounts::{AccountError, Accounts, Entry, Name, TOKENS, Token};
use crate::auth::extent::Extent;
use crate::auth::privileges::Rights;
use crate::auth::secret::Digest;

/// When a token was last used is kept to this many seconds: who asks by it every second would wear the card out.
pub const USE: u64 = 3600;

/// A program as administrators see it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are described where they are stored, and `name` by its type")]
pub struct Listed {
    pub name: Name,
    /// Nothing that we know, where a newer version made it.
    pub extent: Option<Extent>,
    pub secret: Option<Digest>,
    pub by: Option<Name>,
    pub made: Option<u64>,
    pub used: Option<u64>,
    pub expires: Option<u64>,
    /// Whether its time is over, so that it is only here to be seen.
    pub expired: bool,
}

impl Accounts {
    /// Adds a program; one of the same name is replaced. Those that had expired by `kept` make room: `now` may be the
    /// answer of a time server that is wrong once, which must take nothing away for good.
    pub fn put_token(&mut self, now: u64, kept: u64, name: Name, token: Token) -> Result<(), AccountError> {
        if token.expires.is_some_and(|expires| expires <= now) {
            return Err(AccountError::Expired);
        }
        let over = |token: &Token| token.expires.is_some_and(|expires| expires <= kept);
        self.tokens.retain(|_, token| !token.known().is_some_and(over));
        if self.tokens.len() >= TOKENS && !self.tokens.contains_key(&name) {
            return Err(AccountError::TooMany);
        }
        self.tokens.insert(name, Entry::Known(token));
        Ok(())
    }

    /// Deletes a program.
    pub fn delete_token(&mut self, name: &Name) -> Result<(), AccountError> {
        self.tokens.remove(name).map(drop).ok_or(AccountError::UnknownToken)
    }

    /// Forgets the programs that somebody has made tokens for.
    pub(super) fn forget_tokens_of(&mut self, maker: &Name) {
        let is_theirs = |token: &Token| token.by.as_ref() == Some(maker);
        self.tokens.retain(|_, token| !token.known().is_some_and(is_theirs));
    }

    /// The program that has this secret, unless its time is over, with what it may do and when its time will be over.
    /// It may never do what its maker may not do.
    pub fn token(&self, now: u64, secret: Digest) -> Option<(&Name, Rights, Option<u64>)> {
        let (name, token) = self.known_tokens().find(|(_, token)| token.secret == secret)?;
        let own = token.extent.rights();
        let rights = match &token.by {
            Some(maker) => own.within(&self.rights(maker)?),
            None => own,
        };
        token.expires.is_none_or(|expires| now < expires).then_some((name, rights, token.expires))
    }

    /// Who made the token that has this secret.
    pub fn maker(&self, secret: Digest) -> Option<&Name> {
        self.known_tokens().find(|(_, token)| token.secret == secret)?.1.by.as_ref()
    }

    /// Every program, by name, at this time.
    pub fn list_tokens(&self, now: u64) -> Vec<Listed> {
        let listed = self.tokens.iter().map(|(name, token)| {
            let token = token.known();
            let expires = token.and_then(|token| token.expires);
            Listed {
                name: name.clone(),
                extent: token.map(|token| token.extent.clone()),
                secret: token.map(|token| token.secret),
                by: token.and_then(|token| token.by.clone()),
                made: token.and_then(|token| token.made),
                used: token.and_then(|token| token.used),
                expires,
                expired: expires.is_some_and(|expires| expires <= now),
            }
        });
        listed.collect()
    }

    /// Whether a token expires later than that.
    pub(super) fn expires_after(&self, time: u64) -> bool {
        self.known_tokens().any(|(_, token)| token.expires.is_some_and(|expires| time < expires))
    }

    fn known_tokens(&self) -> impl Iterator<Item = (&Name, &Token)> {
        self.tokens.iter().filter_map(|(name, token)| Some((name, token.known()?)))
    }
}

/// When tokens were last used, as far as that is not stored yet.
#[derive(Debug, Default)]
pub struct TokenUses {
    uses: HashMap<Digest, u64>,
    /// The hour in which they were last stored.
    stored: Option<u64>,
}

impl TokenUses {
    /// Notes that a token was used.
    pub fn note(&mut self, now: u64, secret: Digest) {
        self.uses.insert(secret, now / USE * USE);
    }

    /// When a token was last used, if that is not stored yet.
    pub fn of(&self, secret: Digest) -> Option<u64> {
        self.uses.get(&secret).copied()
    }

    /// Whether there is anything to store, once an hour at most.
    pub fn is_due(&self, now: u64) -> bool {
        !self.uses.is_empty() && self.stored != Some(now / USE)
    }

    /// Puts them into what is to be stored.
    pub fn store(&self, accounts: &mut Accounts) {
        for token in accounts.tokens.values_mut() {
            if let Entry::Known(token) = token
                && let Some(used) = self.of(token.secret)
            {
                token.used = Some(used);
            }
        }
    }

    /// Forgets what these accounts have by now; the rest has come since, or is of tokens that are gone.
    pub fn stored(&mut self, now: u64, accounts: &Accounts) {
        let is_new = |token: &Token| self.of(token.secret).is_some_and(|used| token.used != Some(used));
        let new = accounts.known_tokens().filter(|(_, token)| is_new(token)).map(|(_, token)| token.secret);
        let new: Vec<Digest> = new.collect();
        self.uses.retain(|secret, _| new.contains(secret));
        self.stored = Some(now / USE);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::{Deserialize, Serialize};
    use serde_json::{Map, Value};

    use crate::auth::role::{Privilege, Role};
    use crate::auth::secret::Bearer;
    use crate::auth::tokens::*;
    use crate::base::seat_id::SeatId;

    fn name(text: &str) -> Name {
        Name::try_from(text.to_string()).unwrap()
    }

    fn rights(role: Role) -> Option<Rights> {
        Some(Rights::everywhere(role))
    }

    fn digest(byte: u8) -> Digest {
        Bearer::new([byte; 32]).digest()
    }

    fn seats(names: &[&str]) -> Option<BTreeSet<SeatId>> {
        Some(names.iter().map(|name| SeatId::try_from(name.to_string()).unwrap()).collect())
    }

    #[test]
    fn a_token_works_until_it_expires() {
        let mut accounts = Accounts::default();
        accounts.put_token(100, 100, name("ci"), Token::new(Role::Operator, digest(1), Some(200))).unwrap();
        assert_eq!(rights(Role::Operator), accounts.token(199, digest(1)).map(|(_, rights, _)| rights));
        assert_eq!(None, accounts.token(200, digest(1)));
        assert_eq!(None, accounts.token(100, digest(2)));
        assert_eq!(
            Err(AccountError::Expired),
            accounts.put_token(200, 200, name("x"), Token::new(Role::Viewer, digest(3), Some(200)))
        );
    }

    #[test]
    fn a_time_that_is_not_kept_takes_no_token_away() {
        let mut accounts = Accounts::default();
        accounts.put_token(100, 100, name("ci"), Token::new(Role::Operator, digest(1), Some(200))).unwrap();
        accounts.put_token(4_000_000_000, 100, name("for-ever"), Token::new(Role::Viewer, digest(2), None)).unwrap();
        assert!(accounts.token(150, digest(1)).is_some(), "the clock was wrong for a moment");
        accounts.put_token(300, 300, name("next"), Token::new(Role::Viewer, digest(3), None)).unwrap();
        assert_eq!(None, accounts.token(150, digest(1)));
    }

    #[test]
    fn a_token_of_the_same_name_replaces_the_old_one() {
        let mut accounts = Accounts::default();
        accounts.put_token(0, 0, name("ci"), Token::new(Role::Operator, digest(1), None)).unwrap();
        accounts.put_token(0, 0, name("ci"), Token::new(Role::Viewer, digest(2), None)).unwrap();
        assert_eq!(None, accounts.token(0, digest(1)));
        assert_eq!(Some((&name("ci"), rights(Role::Viewer).unwrap(), None)), accounts.token(0, digest(2)));
    }

    #[test]
    fn tokens_are_bounded_and_expired_ones_make_room() {
        let mut accounts = Accounts::default();
        for n in 0..TOKENS {
            accounts
                .put_token(0, 0, name(&format!("t{n}")), Token::new(Role::Viewer, digest(n as u8), Some(10)))
                .unwrap();
        }
        let more = |accounts: &mut Accounts, now| {
            accounts.put_token(now, now, name("more"), Token::new(Role::Viewer, digest(200), None))
        };
        assert_eq!(Err(AccountError::TooMany), more(&mut accounts, 9));
        assert_eq!(Ok(()), more(&mut accounts, 10));
    }
    /// An administrator, with a token of theirs for each extent.
    fn made(extents: Vec<Extent>) -> Accounts {
        let mut accounts = Accounts::default();
        accounts.put_user(name("anna"), Role::Administrator, "hash".into());
        for (n, extent) in extents.into_iter().enumerate() {
            let token = Token::new(extent, digest(n as u8), None).made_by(Some(name("anna")), 5);
            accounts.put_token(0, 0, name(&format!("t{n}")), token).unwrap();
        }
        accounts
    }

    #[test]
    fn a_token_does_no_more_than_its_maker_may_now() {
        let scope = Extent::scope(&[Privilege::View, Privilege::Configure], None).unwrap();
        let mut accounts = made(vec![Role::Administrator.into(), scope.clone()]);
        assert_eq!(rights(Role::Administrator), accounts.token(0, digest(0)).map(|(_, rights, _)| rights));
        // As it may be read from a file, whoever wrote that.
        accounts.put_user(name("anna"), Role::Viewer, "hash".into());
        for n in [0, 1] {
            assert_eq!(rights(Role::Viewer), accounts.token(0, digest(n)).map(|(_, rights, _)| rights), "{n}");
        }
        assert_eq!(Some(&name("anna")), accounts.maker(digest(1)));
        let text = serde_json::to_string(&accounts).unwrap().replace("\"anna\":{", "\"bert\":{");
        let accounts = Accounts::parse(&text).unwrap();
        assert_eq!(None, accounts.token(0, digest(0)), "its maker is gone");
    }

    /// Tokens as the release before scopes reads them.
    mod before {
        use super::*;

        #[derive(Deserialize, Serialize)]
        pub struct Accounts {
            pub schema: u32,
            pub tokens: HashMap<String, Entry>,
            #[serde(flatten)]
            kept: Map<String, Value>,
        }

        #[derive(Deserialize, Serialize)]
        #[serde(untagged)]
        pub enum Entry {
            Known(Token),
            Newer(Value),
        }

        #[derive(Deserialize, Serialize)]
        pub struct Token {
            pub role: Role,
            secret: Digest,
            expires: Option<u64>,
            #[serde(flatten)]
            kept: Map<String, Value>,
        }
    }

    #[test]
    fn a_release_that_knows_roles_alone_lets_no_token_with_a_scope_in_and_keeps_it() {
        let everything = Extent::scope(&Privilege::ALL, None).unwrap();
        let at_main = Extent::scope(&[Privilege::View], seats(&["main"])).unwrap();
        let accounts = made(vec![Role::Operator.into(), everything, at_main]);
        let text = serde_json::to_string(&accounts).unwrap();
        let before: before::Accounts = serde_json::from_str(&text).unwrap();
        assert!(1 < before.schema, "or it would take what it does not know for damage");
        let role = |name: &str| match &before.tokens[name] {
            before::Entry::Known(token) => Some(token.role),
            before::Entry::Newer(_) => None,
        };
        assert_eq!([Some(Role::Operator), None, None], ["t0", "t1", "t2"].map(role));
        assert_eq!(accounts, Accounts::parse(&serde_json::to_string(&before).unwrap()).unwrap(), "all comes back");
    }

    #[test]
    fn a_scope_that_we_do_not_understand_lets_nobody_in() {
        let scope = Extent::scope(&[Privilege::View], seats(&["main"])).unwrap();
        let text = serde_json::to_string(&made(vec![scope])).unwrap();
        for (from, to) in [("\"view\"", "\"levitate\""), ("\"seats\":", "\"hours\":\"9-17\",\"seats\":")] {
            let newer = text.replace(from, to).replace("\"schema\":2", "\"schema\":3");
            assert_ne!(text, newer);
            let accounts = Accounts::parse(&newer).unwrap();
            assert_eq!(None, accounts.token(0, digest(0)), "{newer}");
            assert_eq!((1, None), (accounts.list_tokens(0).len(), accounts.list_tokens(0)[0].extent.clone()));
            assert!(Accounts::parse(&text.replace(from, to)).is_err(), "and of our own version it is damage");
        }
    }

    #[test]
    fn uses_are_kept_to_the_hour_and_stored_once_in_it() {
        let mut accounts = made(vec![Role::Viewer.into(), Role::Viewer.into()]);
        let mut uses = TokenUses::default();
        assert!(!uses.is_due(7300), "nothing was used");
        uses.note(7300, digest(0));
        assert_eq!((Some(7200), None), (uses.of(digest(0)), uses.of(digest(1))));
        assert!(uses.is_due(7300));
        uses.store(&mut accounts);
        // Another comes while that is written.
        uses.note(7400, digest(1));
        uses.stored(7400, &accounts);
        let used = |accounts: &Accounts| accounts.list_tokens(0).iter().map(|token| token.used).collect::<Vec<_>>();
        assert_eq!(vec![Some(7200), None], used(&accounts));
        assert_eq!((None, Some(7200)), (uses.of(digest(0)), uses.of(digest(1))));
        assert!(!uses.is_due(10_799) && uses.is_due(10_800), "once an hour");
        uses.note(10_800, digest(9));
        uses.store(&mut accounts);
        uses.stored(10_800, &accounts);
        assert_eq!(vec![Some(7200), Some(7200)], used(&accounts));
        assert!(!uses.is_due(20_000), "of what is gone nothing is kept");
    }
}
