//! Which of many packages is meant: patterns of names, and the order of versions.

use std::cmp::Reverse;

/// Whether a name matches a pattern, in which `*` is any run of characters.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name
            .strip_prefix(before)
            .is_some_and(|rest| rest.char_indices().any(|(at, _)| matches(after, &rest[at..])) || matches(after, "")),
    }
}

/// The greatest is the newest version, and of equal ones that with the shortest name.
pub fn rank(name: &str, version: &str) -> impl Ord {
    (order(version), Reverse(name.len()), name.to_owned())
}

/// Compares as Debian orders versions (deb-version(7)): epoch, upstream version, revision.
fn order(version: &str) -> (u64, Vec<i64>, Vec<i64>) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch.parse().unwrap_or(0), part(upstream), part(revision))
}

/// Text and numbers in turn. A zero ends each text: a tilde sorts before it, letters after it, and
/// all other characters after the letters.
fn part(mut rest: &str) -> Vec<i64> {
    let mut key = Vec::new();
    loop {
        let (text, more) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let (digits, more) = more.split_at(more.find(|c: char| !c.is_ascii_digit()).unwrap_or(more.len()));
        key.extend(text.bytes().map(|byte| match byte {
            b'~' => -1,
            byte if byte.is_ascii_alphabetic() => i64::from(byte),
            byte => i64::from(byte) + 256,
        }));
        key.extend([0, format!("0{digits}").parse().unwrap_or(i64::MAX)]);
        if more.is_empty() {
            key.push(0);
            return key;
        }
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        let rising = [
            "1.0~rc1-1",
            "1.0~rc1.1-1",
            "1.0-1~bpo12+1",
            "1.0-1",
            "1.0-1+b1",
            "1.0a-1",
            "1.0+dfsg-1",
            "1.0.1-1",
            "1.2-1",
            "1.10-1",
            "1:0.1-1",
        ];
        for pair in rising.windows(2) {
            assert!(order(pair[0]) < order(pair[1]), "{pair:?}");
        }
        assert_eq!(order("0:1.01"), order("1.1-0"));
        assert_eq!(order("1.-"), order("1.0"));
    }

    #[test]
    fn a_star_is_any_run_of_characters() {
        assert!(matches("linux-image-6.1.*-cloud-amd64", "linux-image-6.1.0-50-cloud-amd64"));
        assert!(!matches("linux-image-6.1.*-amd64", "linux-image-6.1.0-50-amd64-unsigned"));
        assert!(matches("a*", "a") && matches("*", "") && matches("a*b*c", "a-b-c"));
        assert!(!matches("abc", "abcd") && !matches("ab*bc", "abc"));
    }

    #[test]
    fn of_equal_versions_the_shorter_name_wins() {
        let plain = rank("linux-image-6.1.0-50-amd64", "6.1.176-1");
        let real_time = rank("linux-image-6.1.0-50-rt-amd64", "6.1.176-1");
        assert!(plain > real_time);
    }
}
