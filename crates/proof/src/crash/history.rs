//! What one name may hold after a crash, given every write to it and what was acknowledged.

/// What is written: a number from which everything about it follows.
pub(crate) type Version = u64;

/// A moment of the campaign: the order in which things were begun and acknowledged.
pub(crate) type Moment = u64;

#[derive(Clone, Debug)]
struct Write {
    begun: Moment,
    acknowledged: Option<Moment>,
    value: Option<Version>,
}

/// The writes to one name. `None` as a value is a deletion, or never having been.
#[derive(Clone, Debug)]
pub(crate) struct History(Vec<Write>);

impl Default for History {
    fn default() -> Self {
        Self::holding(None)
    }
}

impl History {
    /// A name that is known to hold this.
    pub(crate) fn holding(value: Option<Version>) -> Self {
        Self(vec![Write {
            begun: 0,
            acknowledged: Some(0),
            value,
        }])
    }

    /// A write is about to be sent.
    pub(crate) fn begin(&mut self, begun: Moment, value: Option<Version>) {
        self.0.push(Write {
            begun,
            acknowledged: None,
            value,
        });
    }

    /// The write that was begun at `begun` has been acknowledged.
    pub(crate) fn acknowledge(&mut self, begun: Moment, at: Moment) {
        if let Some(write) = self.0.iter_mut().find(|write| write.begun == begun) {
            write.acknowledged = Some(at);
        }
    }

    /// The write that was begun at `begun` was refused: it must have changed nothing.
    pub(crate) fn refuse(&mut self, begun: Moment) {
        self.0.retain(|write| write.begun != begun);
    }

    /// Whether the name may hold `found`.
    ///
    /// A write may be the last one unless another, acknowledged, was begun after its own
    /// acknowledgement. One that was never acknowledged may have happened at any later time.
    pub(crate) fn allows(&self, found: Option<Version>) -> bool {
        self.0
            .iter()
            .any(|write| write.value == found && !self.is_overwritten(write))
    }

    /// Whether `found` was ever written, acknowledged or not.
    pub(crate) fn knows(&self, found: Option<Version>) -> bool {
        self.0.iter().any(|write| write.value == found)
    }

    /// What the name holds, if only one answer is possible.
    pub(crate) fn certain(&self) -> Option<Option<Version>> {
        let mut possible = self.0.iter().filter(|write| !self.is_overwritten(write));
        let one = possible.next()?.value;
        possible.all(|other| other.value == one).then_some(one)
    }

    fn is_overwritten(&self, write: &Write) -> bool {
        let Some(acknowledged) = write.acknowledged else {
            return false;
        };
        self.0
            .iter()
            .any(|later| later.acknowledged.is_some() && acknowledged < later.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a write was begun, when it was acknowledged, and what it wrote.
    type Row = (Moment, Option<Moment>, Option<Version>);

    fn history(writes: &[Row]) -> History {
        let mut history = History::default();
        for (begun, acknowledged, value) in writes {
            history.begin(*begun, *value);
            if let Some(at) = acknowledged {
                history.acknowledge(*begun, *at);
            }
        }
        history
    }

    #[test]
    fn only_what_may_have_come_last_is_allowed() {
        let cases: [(&[Row], &[Option<Version>]); 5] = [
            (&[], &[None]),
            (&[(1, Some(2), Some(7))], &[Some(7)]),
            (
                &[(1, Some(2), Some(7)), (3, None, Some(8))],
                &[Some(7), Some(8)],
            ),
            (
                &[(1, Some(3), Some(7)), (2, Some(4), Some(8))],
                &[Some(7), Some(8)],
            ),
            (&[(1, Some(2), Some(7)), (3, Some(4), None)], &[None]),
        ];
        for (writes, allowed) in cases {
            let history = history(writes);
            for found in [None, Some(7), Some(8)] {
                assert_eq!(
                    history.allows(found),
                    allowed.contains(&found),
                    "{writes:?} {found:?}"
                );
            }
        }
    }

    #[test]
    fn a_refused_write_is_not_allowed_and_certainty_needs_one_answer() {
        let mut history = history(&[(1, Some(2), Some(7)), (3, None, Some(8))]);
        assert_eq!(history.certain(), None);
        history.refuse(3);
        assert!(!history.allows(Some(8)));
        assert_eq!(history.certain(), Some(Some(7)));
    }
}
