//! How much may wait for one connection: commands, and the bytes of their arguments.
//!
//! The bound is kept here because the client's own limit wedges it for ever once reached. A command counts until its
//! reply has come. One that was given up on (its deadline passed, or its caller went away) still lies in the client's queue or in
//! the socket, so it counts on as *left behind* until a probe sent after it comes back: replies come in the order of
//! commands, so whatever was ahead of that probe is gone by then.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What one connection may hold at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    pub(crate) commands: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    waiting: Load,
    left_behind: Load,
}

/// The right to have one command wait. Dropped without [`Permit::answered`], its load counts as left behind.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Arc<Gate>,
    bytes: usize,
    answered: bool,
}

/// Whether one more command may wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    Admit,
    TooManyBytes,
    TooManyCommands,
}

/// A load taken out of [`Gate::left_behind`] before a probe, given back or forgotten by how the probe ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sweep {
    commands: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Load {
    commands: AtomicUsize,
    bytes: AtomicUsize,
}

/// Decides on one more command of `bytes`, with this much waiting. A command larger than the limit passes when it is alone.
pub(crate) fn admit(limits: Limits, commands: usize, bytes_waiting: usize, bytes: usize) -> Admission {
    if commands >= limits.commands {
        Admission::TooManyCommands
    } else if bytes_waiting > 0 && bytes_waiting.saturating_add(bytes) > limits.bytes {
        Admission::TooManyBytes
    } else {
        Admission::Admit
    }
}

// === impl Admission ===

impl Admission {
    /// The word used in errors.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admitted",
            Self::TooManyBytes => "too many bytes wait for this connection",
            Self::TooManyCommands => "too many commands wait for this connection",
        }
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, waiting: Load::default(), left_behind: Load::default() })
    }

    /// Lets a command of `bytes` wait, or says why not. Callers at the same instant may overshoot by one command each.
    pub(crate) fn enter(self: &Arc<Self>, bytes: usize) -> Result<Permit, Admission> {
        match admit(self.limits, self.waiting.commands(), self.waiting.bytes(), bytes) {
            Admission::Admit => {
                self.waiting.add(1, bytes);
                Ok(Permit { gate: self.clone(), bytes, answered: false })
            }
            refused => Err(refused),
        }
    }

    /// To be called before a probe is sent.
    pub(crate) fn sweep(&self) -> Sweep {
        Sweep {
            commands: self.left_behind.commands.swap(0, Ordering::AcqRel),
            bytes: self.left_behind.bytes.swap(0, Ordering::AcqRel),
        }
    }

    /// The probe came back: what was left behind before it is gone.
    pub(crate) fn swept(&self, sweep: Sweep) {
        self.waiting.sub(sweep.commands, sweep.bytes);
    }

    /// The probe did not come back.
    pub(crate) fn unsweep(&self, sweep: Sweep) {
        self.left_behind.add(sweep.commands, sweep.bytes);
    }
}

// === impl Permit ===

impl Permit {
    /// The reply came, so nothing of the command is left in the connection.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.answered {
            self.gate.waiting.sub(1, self.bytes);
        } else {
            self.gate.left_behind.add(1, self.bytes);
        }
    }
}

// === impl Load ===

impl Load {
    fn commands(&self) -> usize {
        self.commands.load(Ordering::Acquire)
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    fn add(&self, commands: usize, bytes: usize) {
        self.commands.fetch_add(commands, Ordering::AcqRel);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    fn sub(&self, commands: usize, bytes: usize) {
        self.commands.fetch_sub(commands, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { commands: 3, bytes: 100 };

    #[track_caller]
    fn check(commands: usize, waiting: usize, bytes: usize, expected: Admission) {
        assert_eq!(admit(LIMITS, commands, waiting, bytes), expected);
    }

    #[test]
    fn commands_and_bytes_are_bounded() {
        check(0, 0, 10, Admission::Admit);
        check(2, 90, 10, Admission::Admit);
        check(2, 91, 10, Admission::TooManyBytes);
        check(3, 0, 0, Admission::TooManyCommands);
        check(0, 0, 1000, Admission::Admit); // alone, or it could never be sent
        check(1, 1, usize::MAX, Admission::TooManyBytes);
    }

    #[test]
    fn an_answer_frees_its_place() {
        let gate = Gate::new(LIMITS);
        gate.enter(100).unwrap().answered();
        assert!(gate.enter(100).is_ok());
    }

    #[test]
    fn what_was_given_up_on_counts_until_a_later_probe_returns() {
        let gate = Gate::new(LIMITS);
        drop(gate.enter(100).unwrap());
        assert_eq!(gate.enter(1).unwrap_err(), Admission::TooManyBytes);

        let unanswered = gate.sweep();
        gate.unsweep(unanswered);
        assert_eq!(gate.enter(1).unwrap_err(), Admission::TooManyBytes);

        let answered = gate.sweep();
        gate.swept(answered);
        gate.enter(100).unwrap().answered();
    }

    #[test]
    fn a_probe_frees_only_what_was_left_before_it() {
        let gate = Gate::new(LIMITS);
        drop(gate.enter(60).unwrap());
        let before = gate.sweep();
        drop(gate.enter(40).unwrap());
        gate.swept(before);
        assert_eq!(gate.enter(61).unwrap_err(), Admission::TooManyBytes);
        gate.enter(60).unwrap().answered();
    }
}
