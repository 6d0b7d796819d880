//! Chooses in which coding an answer travels, from what its client says it can read.
//!
//! The rules are those of RFC 9110, section 12.5.3. An answer as it is counts as readable by everybody, even by a
//! client that refuses it and accepts nothing that we have: a page is of more use to that client than an error is.

use hyper::header::{ACCEPT_ENCODING, HeaderMap};

/// How the bytes of an answer stand for its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
    /// As they are.
    Identity,
}

impl Coding {
    /// All that compress, the smallest result first.
    pub const COMPRESSED: [Coding; 2] = [Coding::Brotli, Coding::Gzip];

    /// What `Content-Encoding` calls it; nothing, for an answer as it is.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Coding::Brotli => Some("br"),
            Coding::Gzip => Some("gzip"),
            Coding::Identity => None,
        }
    }

    fn is_called(self, name: &str) -> bool {
        let names: &[&str] = match self {
            Coding::Brotli => &["br"],
            // The section on gzip asks to take the older name for the same.
            Coding::Gzip => &["gzip", "x-gzip"],
            Coding::Identity => &["identity"],
        };
        names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The coding that a client likes best of those offered, which come in our own order of liking.
pub fn choose(headers: &HeaderMap, offered: &[Coding]) -> Coding {
    let accepted = accepted(headers);
    let mut best = (0, Coding::Identity);
    for coding in offered {
        let weight = weight(&accepted, *coding).unwrap_or(0);
        if best.0 < weight {
            best = (weight, *coding);
        }
    }
    // By itself it is only what is left; a client that names it may like it better.
    let plain = weight(&accepted, Coding::Identity).unwrap_or(0);
    if best.0 < plain { Coding::Identity } else { best.1 }
}

/// Every coding that a client names, with its weight in thousandths. What is not written as it should be is left out.
fn accepted(headers: &HeaderMap) -> Vec<(&str, u16)> {
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let items = lines.flat_map(|line| line.split(','));
    items
        .filter_map(|item| {
            let (name, parameter) = item.split_once(';').map_or((item, None), |(name, rest)| (name, Some(rest)));
            let weight = parameter.map_or(Some(1000), |parameter| quality(parameter.trim()));
            Some((name.trim(), weight?))
        })
        .collect()
}

/// What was said of a coding, by its own name before `*`.
fn weight(accepted: &[(&str, u16)], coding: Coding) -> Option<u16> {
    let own = accepted.iter().find(|(name, _)| coding.is_called(name));
    let any = || accepted.iter().find(|(name, _)| *name == "*");
    own.or_else(any).map(|(_, weight)| *weight)
}

/// The thousandths in `q=0.8`: a digit, and at most three behind a dot.
fn quality(parameter: &str) -> Option<u16> {
    let value = parameter.strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, rest) = value.split_once('.').unwrap_or((value, ""));
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{rest:0<3}").parse::<u16>().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::Coding::*;
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: Coding) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
        }
        assert_eq!(expected, choose(&headers, &Coding::COMPRESSED), "{lines:?}");
    }

    #[test]
    fn a_browser_gets_the_smallest_and_others_what_they_name() {
        check(&["gzip, deflate, br, zstd"], Brotli);
        check(&["gzip, deflate"], Gzip);
        check(&["gzip", "br"], Brotli);
        check(&["GZip"], Gzip);
        check(&["x-gzip"], Gzip);
        check(&["*"], Brotli);
        check(&["deflate"], Identity);
    }

    #[test]
    fn a_client_that_says_nothing_gets_the_answer_as_it_is() {
        check(&[], Identity);
        check(&[""], Identity);
        check(&[" , ,"], Identity);
    }

    #[test]
    fn a_weight_counts_for_more_than_our_liking() {
        check(&["br;q=0.5, gzip;q=0.8"], Gzip);
        check(&["br;q=0.5,gzip ; Q=0.501"], Gzip);
        check(&["br;q=0.8, gzip;q=0.8"], Brotli);
        check(&["gzip;q=1.000, br;q=0.999"], Gzip);
        check(&["gzip;q=0.3, *;q=0.7"], Brotli);
    }

    #[test]
    fn nothing_is_sent_in_a_coding_that_is_refused() {
        check(&["br;q=0, gzip"], Gzip);
        check(&["br;q=0.000, *"], Gzip);
        check(&["br;q=0, gzip;q=0"], Identity);
        check(&["*;q=0"], Identity);
        check(&["gzip;q=0, *"], Brotli);
    }

    #[test]
    fn an_answer_as_it_is_comes_before_what_is_liked_less_and_is_never_missing() {
        check(&["gzip;q=0.5, identity"], Identity);
        check(&["identity;q=0.5, gzip;q=0.5"], Gzip);
        check(&["identity;q=0, gzip;q=0.1"], Gzip);
        check(&["identity;q=0"], Identity);
        check(&["*;q=0, identity;q=0"], Identity);
        check(&["identity"], Identity);
    }

    #[test]
    fn what_is_not_written_as_it_should_be_is_left_out() {
        for wrong in ["br;q=2", "br;q=1.001", "br;q=0.1234", "br;q=-1", "br;q=", "br;q=.5", "br;level=9", "br;", "b r"]
        {
            check(&[wrong], Identity);
            check(&[wrong, "gzip"], Gzip);
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_bytes(b"br, \xff").unwrap());
        assert_eq!(Identity, choose(&headers, &Coding::COMPRESSED));
    }

    #[test]
    fn only_what_is_there_is_chosen() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip"));
        assert_eq!(Gzip, choose(&headers, &[Gzip]));
        assert_eq!(Identity, choose(&headers, &[]));
    }
}
