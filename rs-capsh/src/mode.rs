//! Modes: named ways of living with securebits (capsh(1), "--mode").
#![allow(clippy::unnecessary_wraps, reason = "the acts of all words have one type")]

use crate::error::Problem;
use crate::state::{Next, Outcome, State, ambient, bounding, clear_ambient, current, then_powerless, unreadable};
use chain::SysError;
use chain::error::strerror;
use chain::sys::caps::{self, BoundingDrop, CapSet, CapSets, NoNewPrivs, SETPCAP, SetSecureBits};
use chain::sys::{make, quietly};
use std::ffi::OsStr;

/// User 0 is worth nothing, for good: noroot, no-suid-fixup and keep-caps,
/// locked.
const BASIC: u32 = 0x2f;
/// [`BASIC`], and the ambient set stays empty.
const AMBIENT: u32 = 0xef;

/// A way of living, in the order of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// None of the others.
    Uncertain,
    /// No capability can be had any more.
    NoPriv,
    /// Capabilities come from files alone; nothing is inheritable.
    Pure1eInit,
    /// Capabilities come from files alone.
    Pure1e,
    /// User 0 has them by being user 0, as ever.
    Hybrid,
}

impl Mode {
    /// The modes that can be set, in the order of `--modes`.
    pub const NAMED: [Self; 4] = [Self::NoPriv, Self::Pure1eInit, Self::Pure1e, Self::Hybrid];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uncertain => "UNCERTAIN",
            Self::NoPriv => "NOPRIV",
            Self::Pure1eInit => "PURE1E_INIT",
            Self::Pure1e => "PURE1E",
            Self::Hybrid => "HYBRID",
        }
    }

    /// Its number, as `--print` shows it.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The mode that securebits `bits`, ambient set `ambient` (`None`: the
    /// kernel has none), the sets and the bounding set look like.
    pub fn guess(bits: u32, ambient: Option<u64>, sets: &CapSets, bounding: u64) -> Self {
        if bits == 0 {
            return Self::Hybrid;
        }
        let locked = bits & BASIC == BASIC && ambient.is_none_or(|set| set == 0 && bits == AMBIENT);
        match () {
            () if !locked => Self::Uncertain,
            () if sets.inheritable != 0 => Self::Pure1e,
            () if sets.permitted | sets.effective != 0 || bounding != 0 => Self::Pure1eInit,
            () => Self::NoPriv,
        }
    }

    /// The mode that this process looks to be in.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn of_this_process(count: u32) -> Result<Self, Problem> {
        let bits = caps::secure_bits().map_err(unreadable)?;
        Ok(Self::guess(bits, ambient(count)?, &current()?, bounding(count)?))
    }

    /// Changes this process; needs cap_setpcap in force.
    fn enter(self, count: u32) -> Result<(), Problem> {
        if self == Self::Hybrid {
            return Ok(make(&SetSecureBits(0))?);
        }
        clear_ambient(count)?;
        make(&SetSecureBits(if ambient(count)?.is_some() { AMBIENT } else { BASIC }))?;
        if self == Self::Pure1e {
            return Ok(());
        }
        let mut sets = CapSets { inheritable: 0, ..current()? };
        if self == Self::NoPriv {
            for number in 0..count {
                let _ = quietly(&BoundingDrop(number));
            }
            make(&NoNewPrivs)?;
            sets = CapSets::default();
        }
        Ok(make(&CapSet(sets))?)
    }
}

/// `--mode`: prints it.
pub(crate) fn mode(state: &mut State) -> Outcome {
    let mode = Mode::of_this_process(state.count()?)?;
    Ok(state.print(format!("Mode: {}\n", mode.name())))
}

/// `--modes`: prints those that can be set.
pub(crate) fn modes(state: &mut State) -> Outcome {
    let names: Vec<&str> = Mode::NAMED.iter().map(|mode| mode.name()).collect();
    Ok(state.print(format!("Supported modes: {}\n", names.join(" "))))
}

/// `--mode=M`: enters it. What goes wrong is told on standard output, as the
/// original does.
pub(crate) fn set_mode(state: &mut State, name: &OsStr) -> Outcome {
    let Some(mode) = Mode::NAMED.into_iter().find(|mode| name == mode.name()) else {
        state.print_with("unsupported mode: ", name, "\n");
        return Ok(Next::End(1));
    };
    let count = state.count()?;
    match then_powerless(SETPCAP, || mode.enter(count)) {
        Ok(()) => Ok(Next::GoOn),
        Err(Problem::Sys(SysError { errno, .. })) => {
            state.print(format!("failed to set mode [{}]: {}\n", mode.name(), strerror(errno)));
            Ok(Next::End(1))
        }
        Err(problem) => Err(problem),
    }
}

/// `--inmode=M`: fails unless the mode is `M`.
pub(crate) fn inmode(state: &mut State, name: &OsStr) -> Outcome {
    let mode = Mode::of_this_process(state.count()?)?;
    if name == mode.name() {
        return Ok(Next::GoOn);
    }
    state.print_with(&format!("mismatched mode got={} want=", mode.name()), name, "\n");
    Ok(Next::End(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses() {
        let sets = |effective, permitted, inheritable| CapSets { effective, permitted, inheritable };
        let none = sets(0, 0, 0);
        for (bits, ambient, sets, bounding, mode) in [
            (0, Some(1), sets(1, 1, 1), 1, Mode::Hybrid),
            (0x2e, Some(0), none, 0, Mode::Uncertain),
            (0x2f, Some(0), none, 0, Mode::Uncertain),
            (0x2f, None, none, 0, Mode::NoPriv),
            (0xef, Some(1), none, 0, Mode::Uncertain),
            (0x1ef, Some(0), none, 0, Mode::Uncertain),
            (0xef, Some(0), sets(0, 0, 1), 0, Mode::Pure1e),
            (0xef, Some(0), sets(0, 1, 0), 0, Mode::Pure1eInit),
            (0xef, Some(0), none, 1, Mode::Pure1eInit),
            (0xef, Some(0), none, 0, Mode::NoPriv),
        ] {
            assert_eq!(Mode::guess(bits, ambient, &sets, bounding), mode, "{bits:#x} {ambient:?} {sets:?} {bounding}");
        }
    }
}
