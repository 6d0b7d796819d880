//! Keeps the people among the accounts: what each may do, who is let in, and that an administrator stays.
//!
//! Whatever changes in what somebody may do ends what they have by their account: the change makes another
//! [`Epoch`] of it, and takes the tokens away that they made.

use crate::auth::accounts::{AccountError, Accounts, Entry, Epoch, Name, USERS};
use crate::auth::privileges::Rights;
use crate::auth::role::Role;
use crate::auth::secret;
use crate::auth::totp::{Opened, SecondFactor};
use crate::auth::user::{Assignment, Standing, User};

/// Somebody as administrators see them.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "`name` is described by its type")]
pub struct Listed {
    pub name: Name,
    /// What they have been given; nothing that we know, where a newer version gave it.
    pub assignment: Option<Assignment>,
    /// Whether they are not let in.
    pub disabled: bool,
    /// How many recovery codes they have left, if they have a second factor.
    pub recovery_codes: Option<usize>,
}

impl Accounts {
    /// Everybody, by name.
    pub fn list_users(&self) -> Vec<Listed> {
        let listed = self.users.iter().map(|(name, user)| Listed {
            name: name.clone(),
            assignment: user.known().map(User::assignment),
            disabled: user.known().is_none_or(User::is_disabled),
            recovery_codes: user.known().and_then(|user| user.second_factor.as_ref()).map(SecondFactor::recovery_left),
        });
        listed.collect()
    }

    /// The first administrator, or a person of a test.
    pub fn put_user(&mut self, name: Name, role: Role, password_hash: String) {
        self.users.insert(name, Entry::Known(User::new(Assignment::Role(role), password_hash)));
    }

    /// Adds a person.
    pub fn add_user(&mut self, name: Name, assignment: Assignment, hash: String) -> Result<(), AccountError> {
        if self.users.contains_key(&name) {
            return Err(AccountError::UserExists);
        }
        if USERS <= self.users.len() {
            return Err(AccountError::TooManyUsers);
        }
        self.users.insert(name, Entry::Known(User::new(assignment, hash)));
        Ok(())
    }

    /// Changes what a person may do, or whether they are let in. What they had by their account ends with it.
    pub fn change_user(
        &mut self,
        name: &Name,
        assignment: Option<Assignment>,
        disabled: Option<bool>,
    ) -> Result<(), AccountError> {
        self.with_administrator(|accounts| {
            let user = accounts.known_mut(name)?;
            let assignment = assignment.unwrap_or_else(|| user.assignment());
            let is_disabled = disabled.unwrap_or_else(|| user.is_disabled());
            let standing = if is_disabled { Standing::Disabled(assignment) } else { assignment.into() };
            if standing != user.standing {
                user.standing = standing;
                accounts.end_all_of(name);
            }
            Ok(())
        })
    }

    /// Deletes a person.
    pub fn delete_user(&mut self, name: &Name) -> Result<(), AccountError> {
        self.with_administrator(|accounts| {
            accounts.users.remove(name).ok_or(AccountError::UnknownUser)?;
            accounts.end_all_of(name);
            Ok(())
        })
    }

    /// Gives a person another password. What they had by their account ends with it.
    pub fn set_password(&mut self, name: &Name, hash: String) -> Result<(), AccountError> {
        self.known_mut(name)?.password = hash;
        self.end_all_of(name);
        Ok(())
    }

    /// Makes a change, unless nobody would be left who can let others in.
    fn with_administrator(
        &mut self,
        change: impl FnOnce(&mut Accounts) -> Result<(), AccountError>,
    ) -> Result<(), AccountError> {
        let mut changed = self.clone();
        change(&mut changed)?;
        if self.has_administrator() && !changed.has_administrator() {
            return Err(AccountError::LastAdministrator);
        }
        *self = changed;
        Ok(())
    }

    fn has_administrator(&self) -> bool {
        self.users.values().filter_map(Entry::known).any(User::is_administrator)
    }

    /// Ends what a person has by their account: with another epoch their sessions, and their tokens.
    fn end_all_of(&mut self, name: &Name) {
        if let Ok(user) = self.known_mut(name) {
            user.changes += 1;
        }
        self.forget_tokens_of(name);
    }

    fn known_mut(&mut self, name: &Name) -> Result<&mut User, AccountError> {
        match self.users.get_mut(name) {
            Some(Entry::Known(user)) => Ok(user),
            Some(Entry::Newer(_)) | None => Err(AccountError::UnknownUser),
        }
    }

    /// The password hash of a person who is let in.
    pub fn password_hash(&self, name: &Name) -> Option<&str> {
        self.let_in(name).map(|user| user.password.as_str())
    }

    /// The password hash that takes longest to check.
    pub fn dearest_hash(&self) -> Option<&str> {
        let hashes = self.users.values().filter_map(Entry::known).map(|user| user.password.as_str());
        hashes.max_by_key(|hash| secret::cost(hash))
    }

    /// What a person may do, if they are let in: nothing, as long as they need a second factor first.
    pub fn rights(&self, name: &Name) -> Option<Rights> {
        if self.needs_second_factor(name) {
            return Some(Rights::default());
        }
        self.let_in(name)?.rights()
    }

    /// What a person has been given, whether or not they are let in now.
    pub fn granted(&self, name: &Name) -> Result<Rights, AccountError> {
        match self.users.get(name).ok_or(AccountError::UnknownUser)? {
            Entry::Known(user) => Ok(user.assignment().rights()),
            // What we cannot read may be anything.
            Entry::Newer(_) => Ok(Rights::everywhere(Role::Administrator)),
        }
    }

    /// Whether a person has a second factor, and is let in.
    pub fn has_second_factor(&self, name: &Name) -> bool {
        self.let_in(name).is_some_and(|user| user.second_factor.is_some())
    }

    /// Whether a person has to set a second factor up before all else.
    pub fn needs_second_factor(&self, name: &Name) -> bool {
        self.demands_second_factor() && self.let_in(name).is_some_and(|user| user.second_factor.is_none())
    }

    /// Puts a person's second factor into force. Their sessions end with it, also those that are about to begin: they
    /// were let in without it.
    pub fn set_second_factor(&mut self, name: &Name, factor: SecondFactor) -> Result<(), AccountError> {
        let user = self.known_mut(name)?;
        user.second_factor = Some(factor);
        user.changes += 1;
        Ok(())
    }

    /// Removes a person's second factor. Their sessions end with it: who else has it may have one, too.
    pub fn remove_second_factor(&mut self, name: &Name) -> Result<(), AccountError> {
        let user = self.known_mut(name)?;
        user.second_factor = None;
        user.changes += 1;
        Ok(())
    }

    /// Opens a person's second factor with a code, which is used by that.
    pub fn open_second_factor(&mut self, name: &Name, now: u64, code: &str) -> Option<Opened> {
        self.known_mut(name).ok()?.second_factor.as_mut()?.open(now, code)
    }

    /// Counts the codes as used that opened in another state of the accounts.
    pub fn keep_used_codes(&mut self, other: &Accounts) {
        for (name, user) in &other.users {
            if let Some(before) = user.known().and_then(|user| user.second_factor.as_ref())
                && let Ok(User { second_factor: Some(factor), .. }) = self.known_mut(name)
            {
                factor.keep_used(before);
            }
        }
    }

    /// A person's epoch, if they are let in.
    pub fn epoch(&self, name: &Name) -> Option<Epoch> {
        // The hash has a salt, so that it is another even for the same password, and for who is deleted and made again.
        self.let_in(name).map(|user| Epoch::of(&format!("{} {}", user.changes, user.password)))
    }

    /// What a person may do, if their account is still that of this epoch.
    pub fn user(&self, name: &Name, epoch: Epoch) -> Option<Rights> {
        (self.epoch(name)? == epoch).then(|| self.rights(name))?
    }

    fn let_in(&self, name: &Name) -> Option<&User> {
        self.users.get(name)?.known().filter(|user| !user.is_disabled())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Map, Value};

    use crate::auth::role::Privilege;
    use crate::auth::totp::TotpSecret;
    use crate::auth::user::SeatRole;
    use crate::auth::users::*;
    use crate::base::seat_id::SeatId;

    fn name(text: &str) -> Name {
        Name::try_from(text.to_string()).unwrap()
    }

    fn seats(seat: &str, role: SeatRole) -> Assignment {
        Assignment::Seats(BTreeMap::from([(SeatId::try_from(seat.to_string()).unwrap(), role)]))
    }

    /// An administrator, an operator, and somebody with rights at one seat.
    fn three() -> Accounts {
        let mut accounts = Accounts::default();
        accounts.put_user(name("anna"), Role::Administrator, "hash of anna".into());
        accounts.add_user(name("bert"), Assignment::Role(Role::Operator), "hash of bert".into()).unwrap();
        accounts.add_user(name("carl"), seats("main", SeatRole::Viewer), "hash of carl".into()).unwrap();
        accounts
    }

    #[test]
    fn somebody_with_rights_at_a_seat_has_none_elsewhere() {
        let rights = three().rights(&name("carl")).unwrap();
        let [main, other] = ["main", "other"].map(|seat| SeatId::try_from(seat.to_string()).unwrap());
        assert!(rights.may(Privilege::View, Some(&main)) && !rights.may(Privilege::Input, Some(&main)));
        assert!(!rights.may(Privilege::View, Some(&other)) && !rights.may(Privilege::View, None));
    }

    #[test]
    fn sixty_four_people_are_enough_and_each_has_a_name_of_their_own() {
        let mut accounts = three();
        let viewer = || Assignment::Role(Role::Viewer);
        assert_eq!(Err(AccountError::UserExists), accounts.add_user(name("bert"), viewer(), "x".into()));
        for n in 3..USERS {
            accounts.add_user(name(&format!("user{n}")), viewer(), "x".into()).unwrap();
        }
        assert_eq!(Err(AccountError::TooManyUsers), accounts.add_user(name("more"), viewer(), "x".into()));
        accounts.delete_user(&name("bert")).unwrap();
        accounts.add_user(name("more"), viewer(), "x".into()).unwrap();
    }

    #[test]
    fn the_last_administrator_stays_whatever_is_tried() {
        let mut accounts = three();
        let operator = Assignment::Role(Role::Operator);
        type Try<'a> = &'a dyn Fn(&mut Accounts) -> Result<(), AccountError>;
        let tries: [Try; 4] = [
            &|accounts| accounts.delete_user(&name("anna")),
            &|accounts| accounts.change_user(&name("anna"), None, Some(true)),
            &|accounts| accounts.change_user(&name("anna"), Some(operator.clone()), None),
            &|accounts| accounts.change_user(&name("anna"), Some(seats("main", SeatRole::Operator)), None),
        ];
        let before = accounts.clone();
        for one in tries {
            assert_eq!(Err(AccountError::LastAdministrator), one(&mut accounts));
            assert_eq!(before, accounts, "nothing half done");
        }
        accounts.add_user(name("dora"), Assignment::Role(Role::Administrator), "x".into()).unwrap();
        accounts.change_user(&name("dora"), None, Some(true)).unwrap();
        assert_eq!(Err(AccountError::LastAdministrator), tries[0](&mut accounts), "one who is disabled does not count");
        accounts.change_user(&name("dora"), None, Some(false)).unwrap();
        for one in tries {
            assert_eq!(Ok(()), one(&mut accounts.clone()));
        }
    }

    #[test]
    fn each_change_of_what_somebody_may_do_or_shows_is_another_epoch_and_nothing_else_is() {
        let mut accounts = three();
        let mut epochs = vec![accounts.epoch(&name("bert")).unwrap()];
        let mut changed = |change: &dyn Fn(&mut Accounts)| {
            change(&mut accounts);
            let epoch = accounts.epoch(&name("bert")).unwrap();
            let is_new = !epochs.contains(&epoch);
            epochs.push(epoch);
            is_new
        };
        let role = |role| {
            move |accounts: &mut Accounts| {
                accounts.change_user(&name("bert"), Some(Assignment::Role(role)), None).unwrap();
            }
        };
        assert!(changed(&role(Role::Viewer)));
        assert!(!changed(&role(Role::Viewer)), "it is what they are");
        assert!(changed(&role(Role::Operator)), "what they were once is not what they are");
        assert!(changed(&|accounts| accounts.set_password(&name("bert"), "another hash".into()).unwrap()));
        assert!(changed(&|accounts| accounts.set_password(&name("bert"), "hash of bert".into()).unwrap()));
        assert!(changed(&|accounts| {
            accounts.change_user(&name("bert"), None, Some(true)).unwrap();
            assert_eq!(None, accounts.epoch(&name("bert")));
            accounts.change_user(&name("bert"), None, Some(false)).unwrap();
        }));
        let secret = TotpSecret::new([1; 20]);
        let factor = || SecondFactor::new(secret.clone(), 100, &secret.code(100), &[]).unwrap();
        assert!(changed(&|accounts| accounts.set_second_factor(&name("bert"), factor()).unwrap()));
        assert!(changed(&|accounts| accounts.set_second_factor(&name("bert"), factor()).unwrap()));
        let opened = |accounts: &mut Accounts| {
            assert!(accounts.open_second_factor(&name("bert"), 160, &secret.code(160)).is_some());
        };
        assert!(!changed(&opened), "a login ends no session");
        assert!(changed(&|accounts| accounts.remove_second_factor(&name("bert")).unwrap()));
    }

    #[test]
    fn who_is_disabled_is_as_good_as_unknown_and_comes_back_as_what_they_were() {
        for (who, assignment) in [("bert", Assignment::Role(Role::Operator)), ("carl", seats("main", SeatRole::Viewer))]
        {
            let (mut accounts, who) = (three(), name(who));
            let before = accounts.rights(&who);
            accounts.change_user(&who, None, Some(true)).unwrap();
            assert_eq!((None, None, None), (accounts.rights(&who), accounts.password_hash(&who), accounts.epoch(&who)));
            let listed = accounts.list_users().into_iter().find(|user| user.name == who).unwrap();
            assert_eq!((Some(assignment), true), (listed.assignment, listed.disabled));
            let text = serde_json::to_string(&accounts).unwrap();
            assert_eq!(accounts, Accounts::parse(&text).unwrap());
            accounts.change_user(&who, None, Some(false)).unwrap();
            assert_eq!(before, accounts.rights(&who));
        }
    }

    #[test]
    fn where_a_second_factor_is_demanded_who_has_none_may_do_nothing() {
        let (mut accounts, anna, secret) = (three(), name("anna"), TotpSecret::new([1; 20]));
        let before = accounts.rights(&anna);
        accounts.demand_second_factor(true);
        for who in ["anna", "bert", "carl"] {
            assert_eq!(Some(Rights::default()), accounts.rights(&name(who)), "{who}");
            assert!(accounts.needs_second_factor(&name(who)));
        }
        let factor = SecondFactor::new(secret.clone(), 100, &secret.code(100), &[]).unwrap();
        accounts.set_second_factor(&anna, factor).unwrap();
        assert_eq!((before, false), (accounts.rights(&anna), accounts.needs_second_factor(&anna)));
        let text = serde_json::to_string(&accounts).unwrap();
        assert_eq!(accounts, Accounts::parse(&text).unwrap());
        accounts.remove_second_factor(&anna).unwrap();
        assert_eq!(Some(Rights::default()), accounts.rights(&anna));
        assert!(!accounts.needs_second_factor(&name("nobody")));
    }

    #[test]
    fn nobody_of_a_name_is_changed() {
        let (mut accounts, dora) = (three(), name("dora"));
        assert_eq!(Err(AccountError::UnknownUser), accounts.delete_user(&dora));
        assert_eq!(Err(AccountError::UnknownUser), accounts.set_password(&dora, "x".into()));
        assert_eq!(Err(AccountError::UnknownUser), accounts.change_user(&dora, None, Some(true)));
    }

    /// The reader of the release before people had rights at seats, as it was: what it makes of our file after an
    /// update was taken back.
    mod older {
        use super::*;

        #[derive(Deserialize)]
        pub struct Accounts {
            pub schema: u32,
            pub users: BTreeMap<Name, Entry<User>>,
            #[serde(rename = "tokens")]
            pub _tokens: BTreeMap<Name, Entry<Value>>,
            #[serde(default, rename = "seen")]
            pub _seen: u64,
            #[serde(flatten)]
            pub _kept: Map<String, Value>,
        }

        #[derive(Deserialize)]
        #[serde(untagged)]
        pub enum Entry<T> {
            Known(T),
            Newer(#[expect(dead_code, reason = "it was kept, and lets nobody in")] Value),
        }

        #[derive(Deserialize)]
        pub struct User {
            pub role: Role,
            pub password: String,
            #[serde(flatten)]
            pub _kept: Map<String, Value>,
        }

        /// Whom it lets in, as what and with which password.
        pub fn lets_in(text: &str) -> Vec<(String, Role, String)> {
            let accounts: Accounts = serde_json::from_str(text).unwrap();
            assert!(1 < accounts.schema, "of its own schema it would take what it does not know for damage");
            let known = accounts.users.into_iter().filter_map(|(name, entry)| match entry {
                Entry::Known(user) => Some((name.as_str().to_string(), user.role, user.password)),
                Entry::Newer(_) => None,
            });
            known.collect()
        }
    }

    #[test]
    fn the_release_before_lets_in_nobody_who_is_disabled_and_gives_nobody_more() {
        let mut accounts = three();
        for disabled in ["dora", "emil"] {
            accounts.add_user(name(disabled), Assignment::Role(Role::Administrator), "x".into()).unwrap();
            accounts.change_user(&name(disabled), None, Some(true)).unwrap();
        }
        accounts.change_user(&name("emil"), Some(seats("main", SeatRole::Operator)), None).unwrap();
        let secret = TotpSecret::new([1; 20]);
        let factor = SecondFactor::new(secret.clone(), 100, &secret.code(100), &[]).unwrap();
        accounts.set_second_factor(&name("anna"), factor).unwrap();
        accounts.demand_second_factor(true);
        let text = serde_json::to_string(&accounts).unwrap();
        let expected = [("anna", Role::Administrator, "hash of anna"), ("bert", Role::Operator, "hash of bert")];
        let expected = expected.map(|(name, role, hash)| (name.to_string(), role, hash.to_string()));
        assert_eq!(expected.to_vec(), older::lets_in(&text));
    }

    #[test]
    fn what_stands_in_two_ways_at_once_is_damage() {
        for user in [
            r#"{"role":"viewer","seats":{},"password":"x"}"#,
            r#"{"disabled":{"role":"viewer"},"role":"viewer","password":"x"}"#,
            r#"{"role":"viewer","disabled":{"role":"viewer"},"password":"x"}"#,
            r#"{"seats":{"MAIN":"viewer"},"password":"x"}"#,
            r#"{"seats":{"main":"administrator"},"password":"x"}"#,
            r#"{"password":"x"}"#,
        ] {
            let text = format!(r#"{{"schema":2,"users":{{"anna":{user}}},"tokens":{{}}}}"#);
            assert!(Accounts::parse(&text).is_err(), "{user}");
        }
    }
}
