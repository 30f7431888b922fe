//! Which names of series were noted in the store, and which are to be.

use std::collections::HashMap;

use crate::batch::Refused;
use crate::series::{Id, RANKING, Series, VISITORS};
use crate::store::{Name, What};
use crate::window::Step;

/// Which names were noted. Once a minute all are noted anew: if the store has lost them, they are back then.
#[derive(Debug, Default)]
pub(crate) struct Enrolled {
    minute: u64,
    pub(crate) known: HashMap<(u64, Id), Name>,
    pub(crate) refused: Refused,
    /// Those to be noted although nothing waits that has them.
    owed: HashMap<(u64, Id), Name>,
}

/// Names in one script.
pub(crate) const MOST_NAMES: usize = 200;

// === impl Enrolled ===

impl Enrolled {
    /// What was counted in the minute before is noted once more: the store may have lost its name since, and it may not be counted any more.
    pub(crate) fn turn(&mut self, minute: u64) {
        if self.minute != minute {
            let refused = std::mem::take(&mut self.refused);
            let known = std::mem::take(&mut self.known).into_iter();
            self.owed.extend(known.filter(|(place, _)| !refused.contains(place)));
            self.minute = minute;
        }
    }

    /// What is added to another day than was thought is to have its name there.
    pub(crate) fn owe(&mut self, what: &What, from: u64, to: u64) {
        let (from, to) = (Step::Day.start(from), Step::Day.start(to));
        let moved = self.known.iter().filter(|((day, id), _)| *day == from && from != to && what.has(*id));
        self.owed.extend(moved.map(|((_, id), name)| ((to, *id), name.clone())));
    }

    pub(crate) fn next_owed(&self) -> Option<(u64, Vec<Name>)> {
        let (day, _) = *self.owed.keys().next()?;
        let names = self.owed.iter().filter(|((on, _), _)| *on == day).map(|(_, name)| name.clone());
        Some((day, names.take(MOST_NAMES).collect()))
    }

    pub(crate) fn paid(&mut self, day: u64, names: &[Name]) {
        names.iter().for_each(|name| drop(self.owed.remove(&(day, name.id))));
    }
}

// === impl What ===

impl What {
    fn has(&self, id: Id) -> bool {
        match self {
            Self::Counts(counts) => counts.iter().any(|(of, _)| *of == id),
            Self::Members(of, _) | Self::Visitors(of, _) => *of == id,
        }
    }
}

// === impl Name ===

impl Name {
    pub(crate) fn of(series: &Series) -> Self {
        let is_special = matches!(&*series.name, RANKING | VISITORS);
        Self { id: series.id, text: series.text(), reserved: is_special || series.is_overflow() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SeriesRef;
    use crate::tally::Tally;

    const DAY: u64 = 86_400_000;

    fn name(name: &str) -> Name {
        Name::of(&Series::new(SeriesRef { name, labels: &[] }))
    }

    fn owed(enrolled: &mut Enrolled) -> Vec<(u64, String)> {
        let mut all = Vec::new();
        while let Some((day, names)) = enrolled.next_owed() {
            enrolled.paid(day, &names);
            all.extend(names.into_iter().map(|name| (day, name.text)));
        }
        all.sort();
        all
    }

    #[test]
    fn what_was_counted_in_the_minute_before_is_noted_once_more_and_not_for_ever() {
        let mut enrolled = Enrolled::default();
        enrolled.turn(1);
        let (login, logout) = (name("login"), name("logout"));
        enrolled.known.extend([login.clone(), logout.clone()].map(|name| ((DAY, name.id), name)));
        enrolled.refused.insert((DAY, logout.id));
        enrolled.turn(1);
        assert_eq!(owed(&mut enrolled), []);
        enrolled.turn(2);
        assert_eq!(owed(&mut enrolled), [(DAY, login.text)], "and what was refused is not");
        enrolled.turn(3);
        assert_eq!(owed(&mut enrolled), []);
    }

    #[test]
    fn what_goes_to_another_day_is_noted_there() {
        let mut enrolled = Enrolled::default();
        let (login, logout) = (name("login"), name("logout"));
        enrolled.known.extend([login.clone(), logout].map(|name| ((DAY, name.id), name)));
        let counts = What::Counts(vec![(login.id, Tally::default())]);
        enrolled.owe(&counts, DAY + 3_600_000, DAY);
        assert_eq!(owed(&mut enrolled), [], "on the same day it is known");
        enrolled.owe(&counts, DAY, DAY - 60_000);
        assert_eq!(owed(&mut enrolled), [(0, login.text)]);
    }
}
