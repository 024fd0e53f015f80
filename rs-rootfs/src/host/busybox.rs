//! Which programs a busybox is: it carries their names, sorted, each ending
//! in NUL. Asking it would be running it.

/// How the table of names begins.
const BEGIN: &[u8] = b"[\0[[\0";
/// More than any busybox has.
const MAX: usize = 1000;

/// The names of the applets in `program`, the bytes of a busybox.
pub(super) fn applets(program: &[u8]) -> Vec<&str> {
    let table = program.windows(BEGIN.len()).position(|window| window == BEGIN);
    let Some(table) = table.map(|at| &program[at..]) else { return Vec::new() };
    let is_name = |name: &[u8]| {
        !name.is_empty()
            && name.len() < 32
            && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'[' | b'-' | b'_' | b'.' | b'+'))
    };
    let mut names: Vec<&str> = Vec::new();
    for name in table.split(|b| *b == 0).take(MAX) {
        match std::str::from_utf8(name) {
            Ok(text) if is_name(name) && names.last().is_none_or(|last| *last < text) => names.push(text),
            _ => break,
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(applets(b"xx\0[\0[[\0ash\0cat\0ls\0\0zz\0"), ["[", "[[", "ash", "cat", "ls"]);
        assert_eq!(applets(b"nothing"), Vec::<&str>::new());
    }
}
