//! Archives and images that are hostile, broken or odd: each class of mistake
//! that other unpackers made (the numbers are CVEs), and what must go on
//! working nevertheless. Everything is made here, byte by byte.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]
#![allow(clippy::needless_pass_by_value, clippy::unused_self, reason = "builders read better so")]

mod case;
mod headers;
mod images;
mod names;
mod streams;
mod tar;

use case::check;
use chain::testing::needs;

#[test]
fn names() {
    needs!("root");
    check(names::cases());
}

#[test]
fn headers() {
    needs!("root");
    check(headers::cases());
}

#[test]
fn streams() {
    needs!("root");
    check(streams::cases());
}

#[test]
fn images() {
    needs!("root");
    check(images::cases());
}

#[test]
fn there_are_at_least_150() {
    let all = names::cases().len() + headers::cases().len() + streams::cases().len() + images::cases().len();
    assert!(all >= 150, "{all}");
}
