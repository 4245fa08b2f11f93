//! The known name that somebody probably meant.

/// The nearest of `known` to `name`, if it is near enough to be a slip of the fingers.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let by_distance = known
        .into_iter()
        .map(|known| (distance(name, known), known));
    let (distance, known) = by_distance.min()?;
    (distance <= known.len().max(name.len()) / 2).then_some(known)
}

/// Insertions, removals and exchanges of single characters from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, a) in (1..).zip(from.chars()) {
        let mut next = Vec::with_capacity(row.len());
        next.push(above);
        for ((b, diagonal), up) in to.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(above);
            let exchanged = diagonal + usize::from(a != *b);
            next.push(exchanged.min(left + 1).min(up + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (from, to, want) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("listn", "listen", 1),
        ] {
            assert_eq!(distance(from, to), want, "{from} {to}");
            assert_eq!(distance(to, from), want, "{to} {from}");
        }
    }

    #[test]
    fn the_nearest_is_named_only_when_it_is_near() {
        let known = ["listen", "region", "data_dir"];
        assert_eq!(nearest("listn", known), Some("listen"));
        assert_eq!(nearest("datadir", known), Some("data_dir"));
        assert_eq!(nearest("xyzzyxyzzy", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
