//! The table against files that are not there: pure reading and planning.

use super::*;

fn host(files: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Result<String, Errno> {
    move |name| files.iter().find(|file| file.0 == name).map(|file| file.1.to_owned()).ok_or(Errno::ENOENT)
}

fn first(name: &str) -> Match {
    matches(name).next().expect("a row")
}

fn written(name: &str, value: &str, files: &'static [(&'static str, &'static str)]) -> String {
    match plan(&first(name), value, &host(files)) {
        Ok(steps) => steps.iter().map(|s| format!("{}={}", s.file, s.value)).collect::<Vec<_>>().join("; "),
        Err(refusal) => refusal.status().to_string(),
    }
}

fn shown(name: &str, files: &'static [(&'static str, &'static str)]) -> String {
    show(&first(name), &host(files)).unwrap_or_else(|refusal| refusal.status().to_string())
}

#[test]
fn what_the_walkthrough_sets() {
    assert_eq!(written("memory.limit_in_bytes", "10000000", &[]), "memory.max=10000000");
    assert_eq!(written("cpu.cfs_period_us", "1000000", &[("cpu.max", "max 100000\n")]), "cpu.max=max 1000000");
    assert_eq!(written("cpu.cfs_quota_us", "300000", &[("cpu.max", "max 1000000\n")]), "cpu.max=300000 1000000");
}

#[test]
fn limits() {
    for unlimited in ["-1", "9223372036854771712", "9223372036854775807", "99999999999999999999"] {
        assert_eq!(written("memory.limit_in_bytes", unlimited, &[]), "memory.max=max");
    }
    assert_eq!(shown("memory.limit_in_bytes", &[("memory.max", "max\n")]), "9223372036854771712");
    assert_eq!(written("memory.max", "max", &[]), "memory.limit_in_bytes=-1");
    assert_eq!(shown("memory.max", &[("memory.limit_in_bytes", "9223372036854771712\n")]), "max");
    assert_eq!(written("hugetlb.2MB.limit_in_bytes", "-1", &[]), "hugetlb.2MB.max=max");
    // v1 rounds "no limit" down to whole huge pages.
    assert_eq!(shown("hugetlb.2MB.max", &[("hugetlb.2MB.limit_in_bytes", "9223372036852678656\n")]), "max");
    assert_eq!(shown("hugetlb.1GB.max", &[("hugetlb.1GB.limit_in_bytes", "9223372035781033984\n")]), "max");
    assert_eq!(shown("hugetlb.2MB.max", &[("hugetlb.2MB.limit_in_bytes", "4194304\n")]), "4194304");
    assert_eq!(shown("hugetlb.1GB.rsvd.limit_in_bytes", &[("hugetlb.1GB.rsvd.max", "max\n")]), "-1");
}

#[test]
fn swap() {
    let files = &[("memory.max", "4096\n"), ("memory.swap.max", "8192\n")];
    assert_eq!(written("memory.memsw.limit_in_bytes", "12288", files), "memory.swap.max=8192");
    assert_eq!(written("memory.memsw.limit_in_bytes", "1024", files), "96");
    assert_eq!(written("memory.memsw.limit_in_bytes", "4096", &[("memory.max", "max\n")]), "96");
    assert_eq!(written("memory.memsw.limit_in_bytes", "-1", &[]), "memory.swap.max=max");
    assert_eq!(shown("memory.memsw.limit_in_bytes", files), "12288");
    let v1 = &[("memory.limit_in_bytes", "4096\n"), ("memory.memsw.limit_in_bytes", "12288\n")];
    assert_eq!(shown("memory.swap.max", v1), "8192");
    assert_eq!(written("memory.swap.max", "4096", v1), "memory.memsw.limit_in_bytes=8192");
}

#[test]
fn cpu() {
    assert_eq!(written("cpu.shares", "2", &[]), "cpu.weight=1");
    assert_eq!(written("cpu.shares", "1024", &[]), "cpu.weight=100");
    assert_eq!(written("cpu.shares", "262144", &[]), "cpu.weight=10000");
    assert_eq!(written("cpu.shares", "many", &[]), "96");
    assert_eq!(written("cpu.weight", "1", &[]), "cpu.shares=10");
    assert_eq!(written("cpu.max", "max", &[]), "cpu.cfs_quota_us=-1");
    assert_eq!(
        written("cpu.max", "5000 10000", &[]),
        "cpu.cfs_quota_us=-1; cpu.cfs_period_us=10000; cpu.cfs_quota_us=5000"
    );
    assert_eq!(shown("cpu.max", &[("cpu.cfs_quota_us", "-1\n"), ("cpu.cfs_period_us", "7\n")]), "max 7");
    assert_eq!(shown("cpuacct.usage", &[("cpu.stat", "usage_usec 12\nuser_usec 3\n")]), "12000");
    assert_eq!(shown("cpuacct.stat", &[("cpu.stat", "user_usec 25000\nsystem_usec 9\n")]), "user 2\nsystem 0");
    assert_eq!(written("cpu.cfs_period_us", "-1", &[("cpu.max", "max 7\n")]), "96");
    assert_eq!(written("cpuacct.usage", "0", &[]), "111");
    assert_eq!(written("cpuacct.usage_user", "0", &[]), "96");
}

#[test]
fn disks() {
    let max = &[("io.max", "8:0 rbps=1048576 wbps=max riops=max wiops=max\n")];
    assert_eq!(written("blkio.throttle.read_bps_device", "8:0 0", &[]), "io.max=8:0 rbps=max");
    assert_eq!(shown("blkio.throttle.read_bps_device", max), "8:0 1048576");
    assert_eq!(
        written("io.max", "8:0 rbps=1 wiops=max", &[]),
        "blkio.throttle.read_bps_device=8:0 1; blkio.throttle.write_iops_device=8:0 0"
    );
    let weights: Vec<String> =
        matches("blkio.weight").map(|m| plan(&m, "500", &host(&[])).expect("a plan")[0].value.clone()).collect();
    assert_eq!(weights, ["500", "4950"]);
    for weight in 10..=1000 {
        assert_eq!(show::v1_weight(show::v2_weight(weight)), weight);
    }
    let stat = &[("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n")];
    assert_eq!(
        shown("blkio.throttle.io_serviced", stat),
        "8:0 Read 3\n8:0 Write 4\n8:0 Discard 6\n8:0 Total 13\nTotal 13"
    );
}

#[test]
fn the_rest() {
    assert_eq!(written("freezer.state", "FROZEN", &[]), "cgroup.freeze=1");
    assert_eq!(written("freezer.state", "FREEZING", &[]), "96");
    assert_eq!(shown("freezer.state", &[("cgroup.freeze", "1\n"), ("cgroup.events", "frozen 0\n")]), "FREEZING");
    assert_eq!(shown("freezer.state", &[("cgroup.freeze", "1\n"), ("cgroup.events", "frozen 1\n")]), "FROZEN");
    assert_eq!(shown("cpuset.cpu_exclusive", &[("cpuset.cpus.partition", "isolated\n")]), "0");
    assert_eq!(written("memory.oom_control", "0", &[]), "");
    assert_eq!(written("memory.oom_control", "1", &[]), "111");
    assert_eq!(written("memory.use_hierarchy", "1", &[]), "");
    assert_eq!(written("memory.use_hierarchy", "0", &[]), "111");
    assert_eq!(written("memory.force_empty", "0", &[("memory.current", "4096\n")]), "memory.reclaim=4096");
    assert_eq!(shown("memory.failcnt", &[("memory.events", "low 0\nmax 3\noom 1\n")]), "3");
}

#[test]
fn nothing_on_the_other_side() {
    for row in TABLE.iter().filter(|row| row.how == How::Nothing) {
        let name = format!("{}{}", row.v1, row.v2).replace('*', "x");
        assert_eq!(written(&name, "1", &[]), "111", "{name}");
        assert_eq!(shown(&name, &[]), "111", "{name}");
    }
}
