//! What the kernel does with the groups that the tools make.
#![allow(clippy::disallowed_methods)]

mod common;

use chain::testing::needs;
use common::{Stage, v2};

/// The number after `key` in a file of `KEY VALUE` lines.
fn keyed(text: &str, key: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {key} in {text}"))
}

fn oom_kills(stage: &Stage) -> u64 {
    keyed(&stage.read("memory", if v2() { "memory.events" } else { "memory.oom_control" }), "oom_kill")
}

#[test]
fn a_process_over_the_limit_is_killed() {
    needs!("root");
    for how in ["", "--fork"] {
        let stage = Stage::new("oom");
        stage.ok("cgcreate -g memory:$G; cgset -r memory.limit_in_bytes=10000000 $G");
        stage.ok("cgset -r memory.memsw.limit_in_bytes=10000000 $G 2>/dev/null || cgset -r memory.swap.max=0 $G || :");
        assert_eq!(stage.ok("cgget -nvr memory.limit_in_bytes $G"), "9998336\n");
        let ran = stage.sh(&format!("cgexec {how} -g memory:$G tail /dev/zero; echo $?"));
        assert!(ran.stdout.ends_with("137\n"), "{how}: {ran:?}");
        assert_eq!(oom_kills(&stage), 1, "{how}");
    }
}

#[test]
fn the_tool_and_a_shell_start_under_one_megabyte() {
    needs!("root");
    for how in ["", "--fork"] {
        let stage = Stage::new("small");
        stage.ok("cgcreate -g cpu,memory:$G; cgset -r memory.limit_in_bytes=1M $G");
        assert_eq!(stage.ok(&format!("cgexec {how} -g cpu,memory:$G sh -c 'echo started'")), "started\n");
        assert_eq!(oom_kills(&stage), 0, "{how}");
    }
}

#[test]
fn a_busy_loop_is_throttled() {
    needs!("root");
    let stage = Stage::new("cpu");
    stage.ok("cgcreate -g cpu:$G; cgset -r cpu.cfs_period_us=100000 -r cpu.cfs_quota_us=30000 $G");
    // On a machine that is busy with something else a second may not do.
    let throttled = (0..30).any(|_| {
        stage.sh("timeout 1 cgexec -g cpu:$G sh -c 'while :; do :; done'");
        keyed(&stage.read("cpu", "cpu.stat"), "nr_throttled") > 0
    });
    assert!(throttled);
}

#[test]
fn a_fork_loop_is_stopped() {
    needs!("root");
    let stage = Stage::new("pids");
    stage.ok("cgcreate -g pids:$G; cgset -r pids.max=4 $G");
    let ran = stage.sh("cgexec -g pids:$G sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'");
    assert_ne!(ran.status, 0);
    assert!(ran.stderr.contains("fork"), "{}", ran.stderr);
    assert!(keyed(&stage.read("pids", "pids.events"), "max") > 0);
}

#[test]
fn a_frozen_group_does_not_advance() {
    needs!("root");
    let stage = Stage::new("freezer");
    let out = stage.ok(
        "cgcreate -g freezer:$G; f=$(mktemp)
         cgexec -g freezer:$G sh -c \"while :; do echo x >> $f; sleep 0.02; done\" & p=$!
         size() { wc -c < $f; }
         while [ $(size) -lt 4 ]; do sleep 0.05; done
         cgset -r freezer.state=FROZEN $G
         while [ $(cgget -nvr freezer.state $G) != FROZEN ]; do sleep 0.02; done
         a=$(size); sleep 0.3; b=$(size); [ $a = $b ] && echo frozen
         cgset -r freezer.state=THAWED $G; cgget -nvr freezer.state $G
         n=0; while [ $(size) -le $b ] && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done; [ $(size) -gt $b ] && echo goes on
         kill $p; wait $p; rm $f",
    );
    assert_eq!(out, "frozen\nTHAWED\ngoes on\n");
}

#[test]
fn a_cpuset_keeps_a_process_on_its_cpu() {
    needs!("root");
    let stage = Stage::new("cpuset");
    let last = stage.ok("n=$(nproc --all); echo $((n - 1))");
    let last = last.trim();
    stage.ok(&format!("cgcreate -g cpuset:$G; cgset -r cpuset.cpus={last} -r cpuset.mems=0 $G"));
    let out = stage.ok("cgexec -g cpuset:$G grep Cpus_allowed_list /proc/self/status");
    assert_eq!(out, format!("Cpus_allowed_list:\t{last}\n"));
}

#[test]
fn the_program_gets_what_the_caller_has() {
    needs!("root");
    let stage = Stage::new("same");
    stage.ok("cgcreate -g cpu,memory:$G");
    // The same process, its folder, mask, ignored signals, descriptors.
    let out = stage
        .ok("cd /usr; umask 027; trap '' USR1 PIPE; X='a b' sh -c 'echo $$; exec cgexec -g cpu,memory:'$G' \
         sh -c \"echo \\$\\$; pwd; umask; echo \\$X; grep SigIgn /proc/self/status\"' 7</dev/null");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], lines[1], "the same process");
    assert_eq!(&lines[2..5], ["/usr", "0027", "a b"]);
    let ignored = u64::from_str_radix(lines[5].rsplit('\t').next().expect("a mask"), 16).expect("hexadecimal");
    assert_eq!(ignored & (1 << 9 | 1 << 12), 1 << 9 | 1 << 12, "{out}");
    let before = stage.ok("ls /proc/self/fd");
    for how in ["", "--fork"] {
        let fds = stage.ok(&format!("cgexec {how} -g cpu,memory:$G ls /proc/self/fd"));
        assert_eq!(fds, before, "{how}: descriptors leaked");
    }
}

#[test]
fn a_child_hands_on_its_end_and_gets_signals() {
    needs!("root");
    let stage = Stage::new("fork");
    stage.ok("cgcreate -g cpu,memory:$G");
    let status = |script: &str| stage.sh(script).status;
    assert_eq!(status("cgexec --fork -g cpu,memory:$G sh -c 'exit 7'"), 7);
    assert_eq!(status("cgexec --fork -g cpu,memory:$G sh -c 'kill -TERM $$'; exit $?"), 128 + 15);
    assert_eq!(status("cgexec --fork -g cpu,memory:$G /nonexistent"), 255);
    assert_eq!(status("cgexec --fork -g cpu,memory:/nonexistent true"), 82);
    for signal in ["TERM", "USR1", "HUP"] {
        let out = stage.ok(&format!(
            "f=$(mktemp); cgexec --fork -g cpu,memory:$G sh -c \"trap 'echo got; exit 3' {signal}; echo ready > $f; \
             while :; do sleep 0.05; done\" & p=$!
             while ! [ -s $f ]; do sleep 0.02; done; kill -{signal} $p; wait $p; echo $?; rm $f"
        ));
        assert_eq!(out, "got\n3\n", "{signal}");
    }
    let out = stage.ok("cgexec --fork -g cpu,memory:$G cat /proc/self/cgroup");
    assert!(out.lines().any(|line| line.ends_with(&stage.group)), "{out}");
}

#[test]
fn a_key_reaches_the_child_once() {
    needs!("root", "script");
    let stage = Stage::new("key");
    stage.ok("cgcreate -g cpu,memory:$G");
    // A terminal sends SIGINT to both, and to a shell between, which would
    // die of it; what is handed on is in the trace.
    let ran = stage.sh("f=$(mktemp); (while ! [ -s $f ]; do sleep 0.05; done; printf '\\003'; sleep 1) |
         script -qec \"exec cgexec --trace --fork -g cpu,memory:$G \
             sh -c 'trap \\\"echo got; exit 3\\\" INT; echo ready >$f; while :; do sleep 0.05; done'\" /dev/null
         echo $?; rm $f");
    assert!(ran.stdout.contains("got") && ran.stdout.ends_with("3\n"), "{ran:?}");
    assert!(!ran.stdout.contains("kill("), "{}", ran.stdout);
}

#[test]
fn owners_and_modes() {
    needs!("root");
    let stage = Stage::new("owner");
    stage.ok("cgcreate -a 12:34 -t 56:78 -d 750 -f 640 -s 600 -g cpu:$G");
    let dir = stage.dir("cpu").display().to_string();
    let stat = |file: &str| stage.ok(&format!("stat -c '%u:%g %a' {dir}/{file}"));
    assert_eq!(stat("."), "12:34 750\n");
    if v2() {
        assert_eq!(stat("cgroup.procs"), "12:34 640\n");
        assert_eq!(stat("cpu.max"), "12:34 640\n");
        stage.ok("cgcreate -t 56:78 -s 660 -g cpu:$G/b");
        assert_eq!(stat("b/cgroup.procs"), "56:78 660\n");
        assert_eq!(stat("b/cgroup.threads"), "56:78 660\n");
        assert_eq!(stat("b/cgroup.subtree_control"), "0:0 644\n");
    } else {
        assert_eq!(stat("tasks"), "56:78 600\n");
        assert_eq!(stat("cgroup.procs"), "12:34 640\n");
        assert_eq!(stat("cpu.stat"), "12:34 440\n");
    }
    // Subgroups go along; the top group never does.
    stage.ok("cgcreate -g cpu:$G/a/b; cgcreate -a 9:9 -g cpu:$G");
    assert_eq!(stat("a/b").trim_end().split(' ').next(), Some("9:9"));
    let top = stage.ok(&format!("stat -c %u:%g {dir}/.."));
    stage.ok("cgcreate -a 9:9 -t 9:9 -g cpu:/");
    assert_eq!(stage.ok(&format!("stat -c %u:%g {dir}/..")), top);
}

#[test]
fn a_failed_cgcreate_takes_back_only_what_it_made() {
    needs!("root");
    let stage = Stage::new("back");
    stage.ok("cgcreate -g cpu:$G");
    // The kernel makes no group whose name holds a newline.
    let ran = stage.sh("cgcreate -g \"cpu,memory:$G/new/$(printf 'a\\nb')\"");
    assert_eq!(ran.status, 87, "{}", ran.stderr);
    assert!(stage.dir("cpu").is_dir());
    assert!(!stage.dir("cpu").join("new").exists());
    assert_eq!(stage.sh("cgcreate -g cpu,bogus:$G/other").status, 91);
    assert!(!stage.dir("cpu").join("other").exists());
}

#[test]
fn processes_of_a_deleted_group_go_to_the_parent() {
    needs!("root");
    let stage = Stage::new("delete");
    stage.ok("cgcreate -g cpu,memory,freezer:$G; cgcreate -g cpu,memory,freezer:$G/a");
    let to_top = if v2() { "-r " } else { "" };
    let out = stage.ok(&format!(
        "cgexec -g cpu,memory,freezer:$G/a sleep 60 & p=$!; while ! grep -q $G/a /proc/$p/cgroup; do sleep 0.02; done
         cgdelete {to_top}-g cpu,memory,freezer:$G{}; grep -c -- \"$G\" /proc/$p/cgroup; kill $p",
        if v2() { "" } else { "/a" }
    ));
    assert_eq!(out.trim(), if v2() { "0" } else { "3" });
    if v2() {
        // The parent passes memory on, so it takes no processes.
        let out = stage.ok(
            "cgcreate -g memory:$G/a; cgexec -g memory:$G/a sleep 60 & p=$!; sleep 0.5
             cgdelete memory:$G/a; echo $?; grep -c $G/a /proc/$p/cgroup; kill $p; wait $p 2>/dev/null; cgdelete memory:$G/a; echo $?",
        );
        assert_eq!(out, "96\n1\n0\n");
    }
}

#[test]
fn cgclassify_moves_every_thread() {
    needs!("root");
    let stage = Stage::new("move");
    stage.ok("cgcreate -g cpu,memory:$G");
    let out = stage.ok("sleep 60 & p=$!; cgclassify -g cpu,memory:$G $p; grep -c $G /proc/$p/cgroup; kill $p");
    assert_eq!(out.trim(), if v2() { "1" } else { "2" });
    // A dead pid beside a live one: the live one moves, the last error stays.
    let out =
        stage.sh("sleep 60 & p=$!; cgclassify -g cpu:$G 4194399 $p x; echo $?; grep -c $G /proc/$p/cgroup; kill $p");
    assert_eq!(out.stdout, "2\n1\n", "{}", out.stderr);
}

#[test]
fn who_may_enter_on_v1() {
    needs!("root", "v1", "setpriv");
    let stage = Stage::for_anyone("enter");
    let user = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    stage.ok("cgcreate -a 65534:65534 -g cpu:$G; cgcreate -t 65534:65534 -a 65534:65534 -g cpu:$G/t");
    let ran = stage.sh(&format!("{user} cgexec -g cpu:$G echo ran"));
    assert_eq!((ran.status, ran.stdout.as_str()), (87, ""), "{}", ran.stderr);
    let ran = stage.sh(&format!("{user} cgset -r cpu.shares=512 $G/t && {user} cgexec -g cpu:$G/t echo ran"));
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "ran\n"), "{}", ran.stderr);
    let ran = stage.sh(&format!("{user} cgcreate -g cpu:$G/t/own && {user} cgdelete cpu:$G/t/own"));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(stage.sh(&format!("{user} cgcreate -g cpu:not-mine")).status, 87);
    assert_eq!(stage.sh(&format!("{user} cgset -r cpu.shares=2 /")).status, 95);
}

/// What cannot be seen is not "not there".
#[test]
fn a_group_that_may_not_be_looked_into_on_v1() {
    needs!("root", "v1", "setpriv");
    let stage = Stage::for_anyone("closed");
    let user = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    stage.ok("cgcreate -g cpu:$G/a; chmod 700 $(lssubsys -m cpu | cut -d' ' -f2)/$G");
    for (command, status) in [
        ("cgget -g cpu:$G", 96),
        ("cgget -r cpu.shares $G/a", 96),
        ("cgget -r cpu.weight $G/a", 96),
        ("cgset -r cpu.shares=512 $G/a", 95),
        ("cgset -r cpu.weight=50 $G/a", 95),
        ("cgexec -g cpu:$G/a echo ran", 87),
        ("cgdelete cpu:$G/a", 96),
    ] {
        let ran = stage.sh(&format!("{user} {command}"));
        assert_eq!((ran.status, ran.stdout.lines().count()), (status, 0), "{command}: {}", ran.stderr);
        assert!(ran.stderr.trim_end().ends_with("Permission denied"), "{command}: {}", ran.stderr);
    }
}

#[test]
fn who_may_enter_on_v2() {
    needs!("root", "v2", "setpriv");
    let stage = Stage::for_anyone("enter");
    let user = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    stage.ok("cgcreate -t 65534:65534 -a 65534:65534 -g cpu,memory:$G");
    // Limits are the user's to set, but the caller is outside: it may not move in.
    for how in ["", "--fork"] {
        let script = format!(
            "{user} cgset -r memory.limit_in_bytes=10000000 $G && {user} cgexec {how} -g cpu,memory:$G echo ran"
        );
        let ran = stage.sh(&script);
        assert_eq!((ran.status, ran.stdout.as_str()), (96, ""), "{}", ran.stderr);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert!(lines[0].contains("Permission denied") && lines[0].contains("delegated"), "{}", ran.stderr);
        assert!(lines[0].contains("/sys/fs/cgroup/cgroup.procs"), "{}", ran.stderr);
        assert!(
            lines[1].starts_with("cgexec: hint: ") && lines[1].contains("cgclassify -g cpu,memory:"),
            "{}",
            ran.stderr
        );
    }
    // The way out that the hint names works.
    let script = format!(
        "cgcreate -t 65534:65534 -a 65534:65534 -g cpu,memory:$G/leaf
         {user} sh -c 'kill -STOP $$; cgexec -g cpu,memory:'$G'/leaf cat /proc/self/cgroup' & p=$!
         while ! grep -q 'State:.T' /proc/$p/status; do sleep 0.02; done
         cgclassify -g cpu,memory:$G/leaf $p; kill -CONT $p; wait $p"
    );
    assert_eq!(stage.ok(&script), format!("0::/{}/leaf\n", stage.group));
}

#[test]
fn what_v2_demands() {
    needs!("root", "v2");
    let stage = Stage::new("rules");
    // Controllers are on in every ancestor, never in the leaf.
    stage.ok("cgcreate -g memory:$G/a/b");
    assert_eq!(stage.read("memory", "cgroup.subtree_control"), "memory\n");
    assert_eq!(stage.read("memory", "a/b/cgroup.subtree_control"), "");
    // An inner group takes no processes, one without the controller neither.
    let ran = stage.sh("cgexec -g memory:$G true");
    assert_eq!(ran.status, 96);
    assert!(ran.stderr.contains("busy") && ran.stderr.contains("hint"), "{}", ran.stderr);
    assert_eq!(stage.sh("cgexec -g pids:$G/a/b true").status, 81);
    assert_eq!(stage.sh("cgexec -g '*:'$G/a/b true").status, 0);
    // A group that holds processes passes nothing on.
    for controller in ["memory", "cpu"] {
        let script = format!(
            "cgexec -g memory:$G/a/b sleep 60 & p=$!; while ! grep -q $G/a/b /proc/$p/cgroup; do sleep 0.02; done
             cgcreate -g {controller}:$G/a/b/c; echo $?; kill $p; wait $p 2>/dev/null"
        );
        let ran = stage.sh(&script);
        assert_eq!(ran.stdout, "96\n", "{controller}: {}", ran.stderr);
        assert!(!stage.dir("memory").join("a/b/c").exists());
    }
    // Threaded groups take threads.
    let threaded = "cgcreate -g :$G/t && cgset -r cgroup.type=threaded $G/t && cgget -nvr cgroup.type $G/t";
    let _ = stage.sh(threaded);
    // What is missing is missing because it is off above: the hint says so.
    let ran = stage.sh("cgcreate -g :$G/plain; cgset -r memory.limit_in_bytes=1M $G/plain; echo $?; cgcreate -g :$G/none/x; cgset -r pids.max=3 $G/none/x");
    assert_eq!(ran.status, 95, "{}", ran.stderr);
    assert!(ran.stderr.contains("+pids"), "{}", ran.stderr);
}

#[test]
fn subtree_control_of_a_whole_tree() {
    needs!("root", "v2");
    let stage = Stage::new("tree");
    stage.ok("cgcreate -g cpu:$G/a/b");
    stage.ok("cgset -R -r 'cgroup.subtree_control=-cpu' $G");
    assert_eq!(stage.read("cpu", "a/cgroup.subtree_control"), "");
    stage.ok("cgset -R -r 'cgroup.subtree_control=+cpu' $G");
    assert_eq!(stage.read("cpu", "a/cgroup.subtree_control"), "cpu\n");
    assert_eq!(stage.read("cpu", "a/b/cgroup.subtree_control"), "");
    stage.ok("cgset -R -r cpu.weight=55 $G; cgcreate -g cpu:$G/copy; cgset --copy-from $G/a $G/copy");
    assert_eq!(stage.ok("cgget -nvr cpu.weight $G/a/b $G/copy"), "55\n55\n");
}

#[test]
fn copies() {
    needs!("root");
    let stage = Stage::new("copy");
    stage.ok("cgcreate -g cpu,memory:$G/from; cgcreate -g cpu:$G/to");
    stage.ok("cgset -r cpu.shares=512 -r memory.limit_in_bytes=20M $G/from; cgset --copy-from $G/from $G/to");
    assert_eq!(stage.ok("cgget -nvr cpu.shares $G/to"), "512\n");
    stage.ok(
        "cgcreate -g cpu,memory:$G/both; cgset -r memory.limit_in_bytes=10M -r memory.memsw.limit_in_bytes=15M $G/both",
    );
    stage.ok("cgset -r memory.limit_in_bytes=30M -r memory.memsw.limit_in_bytes=60M $G/from; cgset --copy-from $G/from $G/both");
    assert_eq!(
        stage.ok("cgget -nvr memory.limit_in_bytes -r memory.memsw.limit_in_bytes $G/both"),
        "31457280\n62914560\n"
    );
    assert_eq!(stage.sh("cgset --copy-from $G/none $G/to").status, 82);
    assert_eq!(stage.sh("cgset --copy-from $G/from $G/none").status, 95);
}

#[test]
fn the_uuid_of_the_walkthrough() {
    let stage = Stage::new("uuid");
    let out = stage.ok("uuidgen; uuidgen -r; uuidgen -t; uuidgen -7; uuidgen -C 3");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 7);
    let versions: String = lines.iter().map(|line| line.as_bytes()[14] as char).collect();
    assert_eq!(versions, "4417444");
    assert_eq!(
        stage.ok("uuidgen -m -n @dns -N x; uuidgen -s -n @dns -N x"),
        "ec794efe-a384-3b11-a0b6-ec8995bc6acc\n05b16a01-46c6-56dd-bd6e-c6dfb4a1427a\n"
    );
}
