//! The words that change capability sets.

use crate::error::Problem;
use crate::iab::{self, Iab};
use crate::names::{all, members};
use crate::number::after_blanks;
use crate::state::{
    Next, Outcome, State, borrowing, bounding, clear_ambient, current, drop_bounded, elements, has, set_with_fix_up,
};
use crate::text;
use chain::sys::caps::{AmbientLower, AmbientRaise, CapSet, CapSets, SETPCAP};
use chain::sys::make;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// `--caps=TEXT`: the three sets, in one call.
pub(crate) fn caps(state: &mut State, text: &OsStr) -> Outcome {
    let wanted = text::parse(text.as_bytes(), state.count()?)?;
    set_with_fix_up(wanted, state.strict)?;
    Ok(Next::GoOn)
}

/// `--inh=LIST`: the inheritable set alone.
pub(crate) fn inh(state: &mut State, list: &OsStr) -> Outcome {
    let inheritable = match list.as_bytes() {
        b"" | b"none" => 0,
        list => text::parse_list(after_blanks(list), state.count()?)?,
    };
    set_with_fix_up(CapSets { inheritable, ..current()? }, state.strict)?;
    Ok(Next::GoOn)
}

/// `--drop=LIST`: out of the bounding set, one by one.
pub(crate) fn drop(state: &mut State, list: &OsStr) -> Outcome {
    for number in elements(list.as_bytes(), state.count()?) {
        let number = number?;
        if state.strict {
            drop_bounded(number)?;
        } else {
            borrowing(SETPCAP, || drop_bounded(number))?;
        }
    }
    Ok(Next::GoOn)
}

/// `--addamb=LIST`: into the ambient set, one by one.
pub(crate) fn addamb(state: &mut State, list: &OsStr) -> Outcome {
    for number in elements(list.as_bytes(), state.count()?) {
        make(&AmbientRaise(number?))?;
    }
    Ok(Next::GoOn)
}

/// `--delamb=LIST`: out of the ambient set, one by one.
pub(crate) fn delamb(state: &mut State, list: &OsStr) -> Outcome {
    for number in elements(list.as_bytes(), state.count()?) {
        make(&AmbientLower(number?))?;
    }
    Ok(Next::GoOn)
}

/// `--noamb`: an empty ambient set.
pub(crate) fn noamb(state: &mut State) -> Outcome {
    clear_ambient(state.count()?)?;
    Ok(Next::GoOn)
}

/// `--iab=TEXT`: what exec hands on.
pub(crate) fn iab(state: &mut State, text: &OsStr) -> Outcome {
    let wanted = iab::parse(text.as_bytes())?;
    // A number that the kernel does not have counts only as one to gain.
    let count = state.count()?;
    let ambient = wanted.ambient & all(count);
    let wanted = Iab { ambient, blocked: wanted.blocked & bounding(count)?, ..wanted };
    set_iab(&wanted, count)?;
    Ok(Next::GoOn)
}

/// Sets I, A and B; `wanted.blocked` holds only what is in B still.
fn set_iab(wanted: &Iab, count: u32) -> Result<(), Problem> {
    let before = current()?;
    let after = CapSets { inheritable: wanted.inheritable, ..before };
    let gained = wanted.inheritable & !(before.inheritable | before.permitted);
    let borrow = (gained != 0 || wanted.blocked != 0) && !has(before.effective, SETPCAP);
    // I first: it cannot gain what has left B.
    let mut during = after;
    if borrow {
        during.effective |= 1 << SETPCAP;
    }
    if during != before {
        make(&CapSet(during))?;
    }
    let done = raise_and_drop(wanted, count);
    if borrow {
        make(&CapSet(after))?;
    }
    done
}

fn raise_and_drop(wanted: &Iab, count: u32) -> Result<(), Problem> {
    clear_ambient(count)?;
    let mut numbers: Vec<u32> = members(wanted.ambient | wanted.blocked).collect();
    numbers.reverse();
    for number in numbers {
        if has(wanted.ambient, number) {
            make(&AmbientRaise(number))?;
        }
        if has(wanted.blocked, number) {
            drop_bounded(number)?;
        }
    }
    Ok(())
}
