//! Rankings of what has too many different values to be a label: slugs, referrers, search terms.

use std::cmp::Reverse;
use std::collections::HashMap;

/// Members with their scores, the highest first.
pub(crate) type Ranked = Vec<(Box<str>, u64)>;

/// The highest, and of those that are alike the first by name.
pub(crate) fn highest(members: HashMap<Box<str>, u64>, most: usize) -> Ranked {
    let mut members: Vec<_> = members.into_iter().collect();
    members.sort_unstable_by(|one, other| (Reverse(one.1), &one.0).cmp(&(Reverse(other.1), &other.0)));
    members.truncate(most);
    members
}

/// Those of several steps together.
pub(crate) fn together<S>(steps: impl IntoIterator<Item = S>, most: usize) -> Ranked
where
    S: IntoIterator<Item = (Box<str>, u64)>,
{
    let mut sums = HashMap::<_, u64>::new();
    for (member, count) in steps.into_iter().flatten() {
        let sum = sums.entry(member).or_default();
        *sum = sum.saturating_add(count);
    }
    highest(sums, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(members: &[(&str, u64)]) -> Vec<(Box<str>, u64)> {
        members.iter().map(|&(member, count)| (member.into(), count)).collect()
    }

    #[test]
    fn steps_are_added_up() {
        let steps = [members(&[("a", 3), ("b", 1)]), members(&[("b", 2), ("c", 9)]), Vec::new()];
        assert_eq!(together(steps.clone(), 2), members(&[("c", 9), ("a", 3)]));
        assert_eq!(together(steps, 9), members(&[("c", 9), ("a", 3), ("b", 3)]));
    }
}
