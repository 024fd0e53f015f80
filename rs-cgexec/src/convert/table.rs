//! The table: which parameter of one version is which of the other.

/// How a value crosses between the two names of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As it is.
    AsIs,
    /// Read as it is; nobody can write it.
    Shown,
    /// Read as it is; v1 resets it by a write, v2 cannot.
    Counter,
    /// Bytes: v1's largest number and `-1` are v2's `max`.
    Limit,
    /// v1 limits memory and swap together, v2 swap alone.
    Swap,
    /// v1 shows memory and swap together.
    SwapUsage,
    /// This key of the v2 file is v1's counter.
    Event(&'static str),
    /// v1 tells of the OOM killer in three lines.
    OomControl,
    /// v1 gives back what it can, v2 a number of bytes.
    Reclaim,
    /// The first word of `cpu.max`; from v2, the whole of it.
    Quota,
    /// The second word of `cpu.max`.
    Period,
    /// 1024 shares are a weight of 100.
    Shares,
    /// This key of `cpu.stat`, in nanoseconds on v1, microseconds on v2.
    Time(&'static str),
    /// `cpu.stat` in hundredths of a second.
    Ticks,
    /// v1's flag is v2's kind of partition.
    Partition,
    /// This key of `io.max`; from v2, the whole of it.
    Throttle(&'static str),
    /// 10…1000 is 1…10000.
    Weight,
    /// The same number, `default ` before it on v2.
    BfqWeight,
    /// These keys of `io.stat`: read, written, discarded.
    IoStat([&'static str; 3]),
    /// Words on v1, a flag on v2.
    Freezer,
    /// As it is; `-1` on v1 is `max`.
    HugeLimit,
    /// There is none, but writing this value asks for what is so anyway.
    Already(&'static str),
    /// There is none.
    Nothing,
}

/// A parameter under both names; an empty name where a version has none. A
/// `*` stands for the same text in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The name on v1.
    pub v1: &'static str,
    /// The name on v2.
    pub v2: &'static str,
    /// How values cross.
    pub how: How,
}

const fn row(v1: &'static str, v2: &'static str, how: How) -> Row {
    Row { v1, v2, how }
}

/// Where one name has several rows, the first whose counterpart exists in the
/// group serves.
pub const TABLE: &[Row] = &[
    row("memory.limit_in_bytes", "memory.max", How::Limit),
    row("memory.soft_limit_in_bytes", "memory.high", How::Limit),
    row("memory.memsw.limit_in_bytes", "memory.swap.max", How::Swap),
    row("memory.usage_in_bytes", "memory.current", How::Shown),
    row("memory.max_usage_in_bytes", "memory.peak", How::Counter),
    row("memory.memsw.usage_in_bytes", "memory.swap.current", How::SwapUsage),
    row("memory.failcnt", "memory.events", How::Event("max")),
    row("memory.memsw.failcnt", "memory.swap.events", How::Event("max")),
    row("memory.oom_control", "memory.events", How::OomControl),
    row("memory.force_empty", "memory.reclaim", How::Reclaim),
    row("memory.use_hierarchy", "", How::Already("1")),
    row("memory.kmem.limit_in_bytes", "", How::Already("-1")),
    row("memory.kmem.tcp.limit_in_bytes", "", How::Already("-1")),
    row("memory.kmem.*", "", How::Nothing),
    row("memory.swappiness", "", How::Nothing),
    row("memory.move_charge_at_immigrate", "", How::Nothing),
    row("memory.pressure_level", "", How::Nothing),
    row("", "memory.min", How::Nothing),
    row("", "memory.low", How::Nothing),
    row("", "memory.oom.group", How::Nothing),
    row("", "memory.swap.high", How::Nothing),
    row("", "memory.zswap.*", How::Nothing),
    row("cpu.cfs_quota_us", "cpu.max", How::Quota),
    row("cpu.cfs_period_us", "cpu.max", How::Period),
    row("cpu.cfs_burst_us", "cpu.max.burst", How::AsIs),
    row("cpu.shares", "cpu.weight", How::Shares),
    row("cpu.rt_*", "", How::Nothing),
    row("cpuacct.usage", "cpu.stat", How::Time("usage_usec")),
    row("cpuacct.usage_user", "cpu.stat", How::Time("user_usec")),
    row("cpuacct.usage_sys", "cpu.stat", How::Time("system_usec")),
    row("cpuacct.stat", "cpu.stat", How::Ticks),
    row("cpuacct.usage_all", "", How::Nothing),
    row("cpuacct.usage_percpu*", "", How::Nothing),
    row("cpuset.cpus", "cpuset.cpus", How::AsIs),
    row("cpuset.mems", "cpuset.mems", How::AsIs),
    row("cpuset.effective_cpus", "cpuset.cpus.effective", How::Shown),
    row("cpuset.effective_mems", "cpuset.mems.effective", How::Shown),
    row("cpuset.cpu_exclusive", "cpuset.cpus.partition", How::Partition),
    row("cpuset.mem_exclusive", "", How::Nothing),
    row("cpuset.mem_hardwall", "", How::Nothing),
    row("cpuset.memory_*", "", How::Nothing),
    row("cpuset.sched_*", "", How::Nothing),
    row("blkio.throttle.read_bps_device", "io.max", How::Throttle("rbps")),
    row("blkio.throttle.write_bps_device", "io.max", How::Throttle("wbps")),
    row("blkio.throttle.read_iops_device", "io.max", How::Throttle("riops")),
    row("blkio.throttle.write_iops_device", "io.max", How::Throttle("wiops")),
    row("blkio.bfq.weight", "io.bfq.weight", How::BfqWeight),
    row("blkio.weight", "io.bfq.weight", How::BfqWeight),
    row("blkio.bfq.weight", "io.weight", How::Weight),
    row("blkio.weight", "io.weight", How::Weight),
    row("blkio.throttle.io_service_bytes", "io.stat", How::IoStat(["rbytes", "wbytes", "dbytes"])),
    row("blkio.throttle.io_serviced", "io.stat", How::IoStat(["rios", "wios", "dios"])),
    row("blkio.leaf_weight*", "", How::Nothing),
    row("blkio.reset_stats", "", How::Nothing),
    row("pids.max", "pids.max", How::AsIs),
    row("pids.current", "pids.current", How::Shown),
    row("pids.events", "pids.events", How::Shown),
    row("freezer.state", "cgroup.freeze", How::Freezer),
    row("hugetlb.*.limit_in_bytes", "hugetlb.*.max", How::HugeLimit),
    row("hugetlb.*.usage_in_bytes", "hugetlb.*.current", How::Shown),
    row("hugetlb.*.failcnt", "hugetlb.*.events", How::Event("max")),
    row("devices.*", "", How::Nothing),
    row("net_cls.*", "", How::Nothing),
    row("net_prio.*", "", How::Nothing),
    row("perf_event.*", "", How::Nothing),
];
