//! Text to sets to text, for sets and texts that nobody thought of; and the
//! same writing as libcap's own, through the original.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::sys::caps::{CapSets, count, get};
use chain::testing::{needs, run};
use rs_capsh::iab::{self, Iab};
use rs_capsh::names::{all, members};
use rs_capsh::{state, text};

/// How many sets and texts are made up for each property.
fn many() -> usize {
    if in_slow_machine() { 1_000 } else { 100_000 }
}

/// How many of them the original writes too.
fn compared() -> usize {
    if in_slow_machine() { 100 } else { 2_000 }
}

/// In an emulated machine, whose kernel matters and whose speed does not.
fn in_slow_machine() -> bool {
    std::env::var("RS_LANE").is_ok_and(|lane| lane.starts_with('v'))
}

/// Numbers that look random and are the same each time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    /// A set that is empty, full, sparse, dense or any.
    fn set(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.below(64),
            3 => !(1 << self.below(64)),
            4 => self.next() & self.next() & self.next(),
            _ => self.next(),
        }
    }

    fn sets(&mut self) -> CapSets {
        CapSets { effective: self.set(), permitted: self.set(), inheritable: self.set() }
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn letters(&mut self, at_least_one: bool) -> String {
        let from = if at_least_one { &["e", "i", "p", "ep", "pie", "eip", "pp"][..] } else { &["", "e", "ip", "pei"] };
        self.pick(from).to_owned()
    }

    fn list(&mut self) -> String {
        let items = ["cap_chown", "CAP_KILL", "Cap_Setuid", "7", "0x10", "011", "cap_checkpoint_restore", "all", "ALL"];
        let count = 1 + self.below(4);
        (0..count).map(|_| self.pick(&items)).collect::<Vec<_>>().join(",")
    }

    /// A text of the grammar.
    fn text(&mut self) -> String {
        let mut text = self.pick(&["", " ", "\t"]).to_owned();
        for _ in 0..self.below(5) {
            if self.below(4) == 0 {
                text.push('=');
                text += &self.letters(false);
            } else {
                text += &self.list();
                let first = self.pick(&["=", "=+", "=-", "+", "-"]);
                text += first;
                text += &self.letters(first != "=");
                for _ in 0..self.below(3) {
                    text += self.pick(&["+", "-"]);
                    text += &self.letters(true);
                }
            }
            text += self.pick(&[" ", "  ", "\n", "\t \x0b"]);
        }
        text
    }

    fn iab_text(&mut self) -> String {
        let names = ["cap_chown", "CAP_KILL", "5", "0x3f", "040", "cap_bpf", "cap_setuid"];
        let count = self.below(6);
        let entry = |numbers: &mut Self| {
            let prefixes = numbers.pick(&["", "!", "^", "%", "!^", "%!", "!!", "^%!"]);
            format!("{prefixes}{}", numbers.pick(&names))
        };
        let entries: Vec<String> = (0..count).map(|_| entry(self)).collect();
        let end = if entries.is_empty() { self.pick(&["", "!", "%^"]) } else { self.pick(&["", ",", ",!"]) };
        entries.join(",") + end
    }
}

#[test]
fn sets_are_read_as_they_are_written() {
    let mut numbers = Numbers(1);
    for count in [41, 40, 1, 38, 63, 64].into_iter().cycle().take(many()) {
        let sets = numbers.sets();
        let text = text::write(&sets, count);
        assert_eq!(text::parse(text.as_bytes(), count), Ok(sets), "{count}: {text}");
    }
}

#[test]
fn texts_are_read_and_written_stably() {
    let mut numbers = Numbers(2);
    for _ in 0..many() {
        let text = numbers.text();
        let sets = text::parse(text.as_bytes(), 41).unwrap_or_else(|mistake| panic!("{text:?}: {mistake}"));
        let written = text::write(&sets, 41);
        assert_eq!(text::parse(written.as_bytes(), 41), Ok(sets), "{text:?} {written:?}");
        assert_eq!(text::write(&text::parse(written.as_bytes(), 41).unwrap(), 41), written, "{text:?}");
    }
}

#[test]
fn any_bytes_are_read_or_refused() {
    let mut numbers = Numbers(3);
    let pieces =
        ["cap_chown", "all", "=", "+", "-", "e", "i", "p", ",", " ", "!", "^", "%", "0", "9", "x", "\u{e9}", "\0"];
    for _ in 0..many() {
        let count = numbers.below(9);
        let text: String = (0..count).map(|_| numbers.pick(&pieces)).collect();
        if let Ok(sets) = text::parse(text.as_bytes(), 41) {
            assert_eq!(text::parse(text::write(&sets, 41).as_bytes(), 41), Ok(sets), "{text:?}");
        }
        if let Ok(iab) = iab::parse(text.as_bytes()) {
            assert_eq!(iab::parse(iab::write(&iab, 64).as_bytes()), Ok(iab), "{text:?}");
        }
    }
}

#[test]
fn iab_sets_are_read_as_they_are_written() {
    let mut numbers = Numbers(4);
    for _ in 0..many() {
        let ambient = numbers.set();
        let iab = Iab { inheritable: numbers.set() | ambient, ambient, blocked: numbers.set() };
        let text = iab::write(&iab, 64);
        assert_eq!(iab::parse(text.as_bytes()), Ok(iab), "{text}");
    }
}

#[test]
fn iab_texts_are_read_and_written_stably() {
    let mut numbers = Numbers(5);
    for _ in 0..many() {
        let text = numbers.iab_text();
        let iab = iab::parse(text.as_bytes()).unwrap_or_else(|mistake| panic!("{text:?}: {mistake}"));
        assert_eq!(iab::parse(iab::write(&iab, 64).as_bytes()), Ok(iab), "{text:?}");
    }
}

/// What the original shows of each of `words`, two lines each; one shell runs
/// them all.
fn through_the_original(words: &[String]) -> Vec<String> {
    let script = words.iter().fold(String::from("unset RS_TRACE\n"), |script, word| {
        assert!(!word.contains('\''));
        script + &format!("capsh '{word}' --current || echo refused; \n")
    });
    let file = chain::testing::Scratch::new();
    let path = file.join("script");
    std::fs::write(&path, script).unwrap();
    let ran = run("sh", [&path]);
    assert_eq!(ran.stderr, "");
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn sets_are_written_as_libcap_writes_them() {
    needs!("root", "capsh");
    let mut numbers = Numbers(6);
    let (count, may) = (count().unwrap(), get().unwrap().permitted);
    let sets: Vec<CapSets> = (0..compared())
        .map(|_| {
            let permitted = numbers.set() & may;
            CapSets { effective: numbers.set() & permitted, permitted, inheritable: numbers.set() & may }
        })
        .collect();
    let words: Vec<String> = sets.iter().map(|sets| format!("--caps={}", text::write(sets, count))).collect();
    let lines = through_the_original(&words);
    assert_eq!(lines.len(), 2 * compared());
    for ((sets, word), lines) in sets.iter().zip(&words).zip(lines.chunks(2)) {
        assert_eq!(lines[0], format!("Current: {}", text::write(sets, count)), "{word}");
    }
}

#[test]
fn texts_are_read_as_libcap_reads_them() {
    needs!("root", "capsh");
    let mut numbers = Numbers(7);
    let (count, may) = (count().unwrap(), get().unwrap().permitted);
    // What this process may not have is taken away at the end of each text.
    let without: Vec<String> = members(all(count) & !may).map(|number| format!(" {number}-eip")).collect();
    let tail = format!(" all-e{}", without.concat());
    let texts: Vec<String> = (0..compared()).map(|_| numbers.text() + &tail).collect();
    let words: Vec<String> = texts.iter().map(|text| format!("--caps={text}")).collect();
    let lines = through_the_original(&words);
    assert_eq!(lines.len(), 2 * compared());
    for (text, lines) in texts.iter().zip(lines.chunks(2)) {
        let sets = text::parse(text.as_bytes(), count).unwrap();
        assert_eq!(lines[0], format!("Current: {}", text::write(&sets, count)), "{text:?}");
    }
}

#[test]
fn iab_is_read_and_written_as_libcap_does() {
    needs!("root", "capsh");
    let mut numbers = Numbers(8);
    let (count, may) = (count().unwrap(), get().unwrap().permitted);
    let bounding = state::bounding(count).unwrap();
    let generated = |numbers: &mut Numbers| {
        let ambient = numbers.set() & may & bounding;
        iab::write(&Iab { inheritable: numbers.set() & bounding | ambient, ambient, blocked: numbers.set() }, count)
    };
    let texts: Vec<String> =
        (0..compared()).map(|at| if at % 2 == 0 { generated(&mut numbers) } else { numbers.iab_text() }).collect();
    let words: Vec<String> = texts.iter().map(|text| format!("--iab={text}")).collect();
    let lines = through_the_original(&words);
    assert_eq!(lines.len(), 2 * compared());
    for (text, lines) in texts.iter().zip(lines.chunks(2)) {
        let mut iab = iab::parse(text.as_bytes()).unwrap();
        iab.blocked |= all(count) & !bounding;
        assert_eq!(lines[1], format!("Current IAB: {}", iab::write(&iab, count)), "{text:?}");
    }
}
