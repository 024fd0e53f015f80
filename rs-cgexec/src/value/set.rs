//! Setting parameters: one, a pair that depends on each other, a whole tree.

use super::{Parameters, Rule, Way, controller, files_of, refused};
use crate::convert::{self, How, Match, Refusal, Step};
use crate::group::{Control, children, tree};
use crate::hierarchy::Hierarchy;
use crate::status::{Error, NO_FILE, NOT_MOUNTED, SYSTEM};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const MEMORY: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];
const SWAP: [&str; 2] = ["memory.memsw.limit_in_bytes", "memory.swap.max"];

/// Parameters of one command that are one decision: what the second comes to
/// depends on the first, whichever is named first.
const PAIRS: [[&[&str]; 2]; 3] =
    [[&["cpu.cfs_quota_us"], &["cpu.cfs_period_us"]], [&["cpuset.cpus"], &["cpuset.cpu_exclusive"]], [&MEMORY, &SWAP]];

/// The two in the order of [`PAIRS`], if they are a pair.
fn pair<'r>(one: &'r Rule, other: &'r Rule) -> Option<[&'r Rule; 2]> {
    let are = |rules: [&Rule; 2], names: &[&[&str]; 2]| {
        rules.iter().zip(names).all(|(rule, names)| names.contains(&rule.name.as_str()))
    };
    let orders = [[one, other], [other, one]];
    orders.into_iter().find(|rules| PAIRS.iter().any(|names| are(*rules, names)))
}

impl Parameters<'_> {
    /// Applies `rules` in order, but that pairs go together. What was written
    /// before a failure stays.
    ///
    /// # Errors
    /// The first failure.
    pub fn set(&self, rules: &[Rule]) -> Result<(), Error> {
        let mut left: Vec<&Rule> = rules.iter().rev().collect();
        while let Some(rule) = left.pop() {
            let partner = left.iter().rposition(|other| pair(rule, other).is_some());
            let Some(at) = partner else {
                self.set_one(rule)?;
                continue;
            };
            let other = left[at];
            if self.set_pair(rule, other)? {
                left.remove(at);
                continue;
            }
            let Err(error) = self.set_one(rule) else { continue };
            if !may_wait(rule, &error) {
                return Err(error);
            }
            left.remove(at);
            self.set_one(other)?;
            self.set_one(rule)?;
        }
        Ok(())
    }

    fn set_one(&self, rule: &Rule) -> Result<(), Error> {
        match self.way(&rule.name, (NOT_MOUNTED, NO_FILE))? {
            Way::Direct(file) => write(&file, rule.value.as_bytes()),
            Way::Through(dir, found) => {
                let plan = convert::plan(&found, &rule.value.to_string_lossy(), &files_of(&dir));
                perform(&dir, &plan.map_err(|refusal| refused(&dir, refusal))?)?;
                taken(&dir, &found)
            }
        }
    }

    /// Sets a pair of which one goes through the table; `false` if none does:
    /// then it is the kernel's to say what goes together.
    fn set_pair(&self, one: &Rule, other: &Rule) -> Result<bool, Error> {
        let Some([first, second]) = pair(one, other) else { return Ok(false) };
        let way = |rule: &Rule| self.way(&rule.name, (NOT_MOUNTED, NO_FILE));
        let direct = [way(first)?, way(second)?].map(|way| matches!(way, Way::Direct(_)));
        if direct == [true, true] {
            return Ok(false);
        }
        // v1 has no limit for swap alone: memory's, under v2's name, leaves
        // swap what it had.
        let renamed = Rule { name: MEMORY[1].to_owned(), value: first.value.clone() };
        let first = if direct[0] && first.name == MEMORY[0] { &renamed } else { first };
        // All is looked at before anything is written.
        let (dir, before) = self.planned(first, &[])?;
        let (_, after) = self.planned(second, &before)?;
        // One file for both: one write.
        if before.iter().all(|step| after.iter().any(|later| later.file == step.file)) {
            return perform(&dir, &after).map(|()| true);
        }
        match self.set_one(first) {
            Err(error) if may_wait(first, &error) => {
                self.set_one(second)?;
                self.set_one(first)?;
            }
            result => {
                result?;
                self.set_one(second)?;
            }
        }
        Ok(true)
    }

    /// The writes that `rule` comes to after `before`, and where they go.
    fn planned(&self, rule: &Rule, before: &[Step]) -> Result<(PathBuf, Vec<Step>), Error> {
        let value = rule.value.to_string_lossy();
        match self.way(&rule.name, (NOT_MOUNTED, NO_FILE))? {
            Way::Direct(file) => {
                let step = Step { file: rule.name.clone(), value: value.into_owned(), forgiven: None };
                Ok((file.parent().unwrap_or(&file).to_owned(), vec![step]))
            }
            Way::Through(dir, found) => {
                let now = files_of(&dir);
                let then = |file: &str| match before.iter().rfind(|step| step.file == file) {
                    Some(step) => Ok(step.value.clone()),
                    None => now(file),
                };
                let steps = convert::plan(&found, &value, &then).map_err(|refusal| refused(&dir, refusal))?;
                Ok((dir, steps))
            }
        }
    }

    /// [`set`](Self::set) for the group and every group below it.
    ///
    /// # Errors
    /// The first failure.
    pub fn set_tree(&self, rules: &[Rule]) -> Result<(), Error> {
        let mut parts: Vec<(Option<&Hierarchy>, bool, Vec<Rule>)> = Vec::new();
        for rule in rules {
            let own = controller(&rule.name)
                .and_then(|name| self.host.find(name))
                .or_else(|| convert::matches(&rule.name).find_map(|found| self.counterpart(&found, None)));
            let passes_on = rule.name == "cgroup.subtree_control";
            match parts.iter_mut().find(|part| part.0 == own && part.1 == passes_on) {
                Some(part) => part.2.push(rule.clone()),
                None => parts.push((own, passes_on, vec![rule.clone()])),
            }
        }
        for (hierarchy, passes_on, rules) in parts {
            let Some(hierarchy) = hierarchy else { return self.set(&rules) };
            let top = hierarchy.dir(&self.path);
            if passes_on {
                rules.iter().try_for_each(|rule| set_subtree_control(&top, &rule.value))?;
                continue;
            }
            for dir in tree(&top) {
                let path = dir.strip_prefix(&hierarchy.mounts[0]).unwrap_or(&dir).to_owned();
                Parameters { host: self.host, name: self.name, path }.set(&rules)?;
            }
        }
        Ok(())
    }
}

/// `+x` from the top down leaving out the leaves, `-x` from the bottom up.
fn set_subtree_control(top: &Path, value: &OsStr) -> Result<(), Error> {
    for word in value.as_bytes().split(|b| *b == b' ').filter(|word| !word.is_empty()) {
        let mut dirs = tree(top);
        if word.starts_with(b"-") {
            dirs.reverse();
        } else {
            dirs.retain(|dir| dir == top || !children(dir).is_empty());
        }
        for dir in dirs {
            write(&dir.join("cgroup.subtree_control"), word)?;
        }
    }
    Ok(())
}

/// Whether one of v1's memory limits may only have to wait for the other:
/// memory's is never above that of memory and swap.
fn may_wait(rule: &Rule, error: &Error) -> bool {
    let memory = MEMORY.iter().chain(&SWAP).any(|name| *name == rule.name);
    memory && matches!(error, Error::Step { source, .. } if source.errno == Errno::EINVAL)
}

/// Writes all of `steps`, or puts back what there was.
fn perform(dir: &Path, steps: &[Step]) -> Result<(), Error> {
    let now = |step: &Step| fs::read_to_string(dir.join(&step.file)).ok();
    // Only a file that holds one value takes back what it shows.
    let one_value = |text: &String| text.split_ascii_whitespace().count() == 1;
    let before: Vec<_> = steps[..steps.len().saturating_sub(1)].iter().map(|s| now(s).filter(one_value)).collect();
    for (at, step) in steps.iter().enumerate() {
        match write(&dir.join(&step.file), step.value.as_bytes()) {
            Err(Error::Step { source, .. }) if Some(source.errno) == step.forgiven => {}
            Err(error) => {
                for (done, old) in steps[..at].iter().zip(&before).rev() {
                    if let Some(old) = old {
                        let _ = write(&dir.join(&done.file), old.trim_ascii().as_bytes());
                    }
                }
                return Err(error);
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// A partition that cannot be is no error to v2: the file says so afterwards
/// (cgroup-v2, `cpuset.cpus.partition`). To v1 it was one.
fn taken(dir: &Path, found: &Match) -> Result<(), Error> {
    let (How::Partition, Some(file)) = (found.row.how, &found.target) else { return Ok(()) };
    match fs::read_to_string(dir.join(file)) {
        Ok(text) if text.contains("invalid") => {
            write(&dir.join(file), b"member")?;
            Err(refused(dir, Refusal::NotTaken { file: file.clone(), text: text.trim_end().to_owned() }))
        }
        _ => Ok(()),
    }
}

/// Whether `file` is on cgroup v2, each of whose groups has this neighbour.
fn on_v2(file: &Path) -> bool {
    file.with_file_name("cgroup.controllers").exists()
}

/// Writes a parameter in one write, without a newline.
fn write(file: &Path, value: &[u8]) -> Result<(), Error> {
    let why = "a limit is a file of the group: the kernel reads what is written to it in one piece";
    let read_only = || fs::symlink_metadata(file).is_ok_and(|about| about.mode() & 0o222 == 0);
    let control = Control::open(file, why).map_err(|source| {
        let status = if read_only() { SYSTEM } else { NO_FILE };
        Error::Step { source, status }
    })?;
    match control.write(value, why) {
        // A v1 setting that newer kernels have retired. On v2 it is a refusal.
        Err(retired) if retired.errno == Errno::EOPNOTSUPP && !on_v2(file) => Ok(()),
        result => result.map_err(Error::step(SYSTEM)),
    }
}
