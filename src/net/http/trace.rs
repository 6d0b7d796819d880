//! Names what a request does by the word that the audit log has for it.
//!
//! What a seat or the appliance is made to do is written down where it is done, whatever front it came by. All else
//! that changes something is written down at admission, so that a new route is in the audit log on the day it is added.

use crate::audit::record::What;

/// What a request with this path does.
pub fn word(path: &str) -> What {
    let parts: Vec<&str> = path.split('/').skip(3).collect();
    match (parts.first().copied().unwrap_or_default(), parts.last().copied()) {
        ("claim", _) => What::Claim,
        ("login", _) => What::Login,
        ("logout", _) => What::Logout,
        ("restart", _) => What::Restart,
        ("factory-reset", _) => What::FactoryReset,
        ("update", _) => What::Update,
        ("users", _) => What::Users,
        ("tokens", _) => What::Tokens,
        ("sessions", _) => What::Sessions,
        ("config", _) => What::Configuration,
        ("certificate", _) => What::Certificate,
        ("media", _) | (_, Some("media" | "drive")) => What::Media,
        ("seats", Some("power")) => What::Press,
        ("seats", Some("keys")) => What::Typing,
        ("seats", Some("wake")) => What::Wake,
        _ => What::Other,
    }
}

/// Whether what does it writes that down itself, with more than a request says.
pub fn is_written_where_it_is_done(what: What) -> bool {
    use What::*;
    matches!(what, Claim | Login | Logout | Restart | FactoryReset | Configuration | Press | Typing | Wake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_by_its_resource() {
        for (path, what) in [
            ("/api/v1/users/{user}/password", What::Users),
            ("/api/v1/tokens", What::Tokens),
            ("/api/v1/sessions/{session}", What::Sessions),
            ("/api/v1/update/fetch", What::Update),
            ("/api/v1/seats/{seat}/power", What::Press),
            ("/api/v1/config/confirm", What::Configuration),
            ("/api/v1/seats/{seat}/edid", What::Other),
            ("", What::Other),
        ] {
            assert_eq!(what, word(path), "{path}");
        }
    }
}
