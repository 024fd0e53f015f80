//! Generated sequences of commands against a model: no group is left behind
//! that was not asked for, nothing that was there before is removed.
#![allow(clippy::disallowed_methods)]

mod common;

use chain::testing::{needs, run};
use common::{Stage, v2};
use rs_cgexec::group::tree;
use rs_cgexec::hierarchy::Host;
use std::collections::BTreeSet;
use std::path::Path;

/// xorshift64: the same sequence for the same seed, on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What is there: hierarchy and path.
type Groups = BTreeSet<(String, String)>;

/// Every group of every hierarchy whose path begins with `prefix`.
fn there(prefix: &str) -> Groups {
    let mut all = Groups::new();
    for hierarchy in &Host::read().expect("the mount table").hierarchies {
        for dir in tree(&hierarchy.mounts[0]) {
            let path = dir.strip_prefix(&hierarchy.mounts[0]).expect("below").to_string_lossy().into_owned();
            if path.starts_with(prefix) {
                all.insert((hierarchy.mounts[0].display().to_string(), path));
            }
        }
    }
    all
}

struct Model {
    groups: Groups,
    mounts: Vec<(&'static str, String)>,
}

impl Model {
    fn new() -> Self {
        let host = Host::read().expect("the mount table");
        let mount = |name: &&'static str| Some((*name, host.find(name)?.mounts[0].display().to_string()));
        Self { groups: Groups::new(), mounts: ["cpu", "memory", "pids"].iter().filter_map(mount).collect() }
    }

    fn mounts_of(&self, controllers: &[&str]) -> BTreeSet<String> {
        self.mounts.iter().filter(|one| controllers.contains(&one.0)).map(|one| one.1.clone()).collect()
    }

    fn has(&self, mount: &str, path: &str) -> bool {
        self.groups.contains(&(mount.to_owned(), path.to_owned()))
    }

    fn has_below(&self, mount: &str, path: &str) -> bool {
        let below = format!("{path}/");
        self.groups.iter().any(|(m, p)| m == mount && p.starts_with(&below))
    }

    fn create(&mut self, controllers: &[&str], path: &str) {
        for mount in self.mounts_of(controllers) {
            for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
                self.groups.insert((mount.clone(), path[..end].to_owned()));
            }
        }
    }

    fn delete(&mut self, controllers: &[&str], path: &str, recursive: bool) -> bool {
        let mut all = true;
        for mount in self.mounts_of(controllers) {
            if !self.has(&mount, path) || (!recursive && self.has_below(&mount, path)) {
                all = false;
                continue;
            }
            let below = format!("{path}/");
            self.groups.retain(|(m, p)| *m != mount || (p != path && !p.starts_with(&below)));
        }
        all
    }
}

#[test]
fn generated_sequences_do_what_the_model_does() {
    needs!("root");
    let seed = std::env::var("RS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x9e37_79b9_7f4a_7c15);
    let mut random = Random(seed);
    let stage = Stage::new("seq");
    stage.ok("cgcreate -g cpu,memory,pids:$G");
    let others: Groups =
        there("").into_iter().filter(|one| !one.1.starts_with("rs") && !one.1.starts_with("process_api")).collect();
    let mut model = Model::new();
    model.create(&["cpu", "memory", "pids"], &stage.group);
    let names = ["a", "b c", "é漢字", "-x", "*", "q'\"\\", "\u{1f980}", &"n".repeat(255), ".hidden", "a,b"];
    let lists: [&[&str]; 4] = [&["cpu"], &["memory"], &["cpu", "memory"], &["pids", "cpu", "memory"]];
    // v2 has one tree: a group without processes and limits of its own.
    let steps = if v2() { 60 } else { 250 };
    let tool = |name: &str, args: &[String]| run(stage.links().join(name), args);
    for step in 0..steps {
        let depth = 1 + random.below(3);
        let mut path = stage.group.clone();
        for _ in 0..depth {
            path = format!("{path}/{}", random.one(&names));
        }
        let list = *random.one(&lists);
        let spec = format!("{}:{path}", list.join(","));
        let mounts = model.mounts_of(list);
        let everywhere = mounts.iter().all(|mount| model.has(mount, &path));
        let about = format!("seed {seed} step {step} {spec}");
        match random.below(8) {
            0..3 => {
                let ran = tool("cgcreate", &["-g".into(), spec]);
                model.create(list, &path);
                assert_eq!(ran.status, 0, "{about}: {}", ran.stderr);
            }
            3 => {
                let ran = tool("cgset", &["-r".into(), "cpu.shares=512".into(), path.clone()]);
                let cpu = model.mounts_of(&["cpu"]).iter().all(|mount| model.has(mount, &path));
                assert!(if cpu { v2() || ran.status == 0 } else { ran.status == 95 }, "{about}: {}", ran.stderr);
            }
            4 => {
                let ran = tool("cgexec", &["-g".into(), spec, "true".into()]);
                assert!(if everywhere { v2() || ran.status == 0 } else { ran.status == 82 }, "{about}: {}", ran.stderr);
            }
            kind => {
                let recursive = kind == 7;
                let mut args: Vec<String> = vec!["-g".into(), spec];
                if recursive {
                    args.push("-r".into());
                }
                let ran = tool("cgdelete", &args);
                let gone = model.delete(list, &path, recursive);
                assert_eq!(ran.status, if gone { 0 } else { 96 }, "{about}: {}", ran.stderr);
            }
        }
        assert_eq!(there(&stage.group), model.groups, "{about}");
    }
    stage.ok("cgdelete -r -g cpu,memory,pids:$G");
    assert_eq!(there(&stage.group), Groups::new());
    for (mount, path) in &others {
        assert!(Path::new(mount).join(path).is_dir(), "{mount}/{path} was there before");
    }
}

#[test]
fn many_at_once() {
    needs!("root");
    let stage = Stage::new("many");
    let controllers = ["cpu", "memory", "pids"];
    stage.ok(&format!("cgcreate -g {}:$G", controllers.join(",")));
    let (processes, seconds) = (64, 30);
    // Each makes, sets, enters and removes groups of its own and one that all share.
    let script = format!(
        "end=$(($(date +%s) + {seconds})); n=0
         fail() {{ echo \"$*\" >&2; exit 1; }}
         work() {{ while [ $(date +%s) -lt $end ]; do
             g=$G/own-$1
             cgcreate -g cpu,memory,pids:$g || fail create $?
             cgset -r memory.limit_in_bytes=20M -r cpu.shares=512 $g || fail set $?
             cgexec -g cpu,memory,pids:$g true || fail exec $?
             cgexec --fork -g cpu,memory,pids:$g true || fail fork $?
             [ $(cgget -nvr cpu.shares $g) = 512 ] || fail get
             cgdelete -g cpu,memory,pids:$g || fail delete $?
             cgcreate -g cpu,pids:$G/shared/$1 || fail shared $?
             cgdelete -g cpu,pids:$G/shared/$1 || fail unshared $?
             echo; done; }}
         i=0; pids=; while [ $i -lt {processes} ]; do work $i & pids=\"$pids $!\"; i=$((i + 1)); done
         r=0; for p in $pids; do wait $p || r=1; done; exit $r"
    );
    let ran = stage.sh(&script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(ran.stderr, "");
    chain::say(&format!("many_at_once: {} rounds of {processes} processes", ran.stdout.lines().count()));
    stage.ok("cgdelete -g cpu,pids:$G/shared; cgdelete -g cpu,memory,pids:$G");
    assert_eq!(there(&stage.group), Groups::new());
}
