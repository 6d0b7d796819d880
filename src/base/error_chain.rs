//! Tells an error in one line, with all that caused it.
//!
//! Our errors do not repeat their sources, so whoever reports one, to the log or to a person, prints the chain.

use std::error::Error;

/// The error, then each cause behind a colon.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::base::error_chain::*;
    use crate::config::Config;
    use crate::start::StartError;

    #[test]
    fn a_cause_follows_its_error() {
        let source = Config::parse("seats = 1").unwrap_err();
        let said = chain(&StartError::Config { file: "a.toml".into(), source });
        assert!(said.starts_with("a.toml is not a good configuration: "), "{said}");
        assert!(said.contains("seats"), "{said}");
    }
}
