//! The capabilities that this project knows by name: the one source for
//! their names, for what they let a process do, for the lessons of `--explain` and for
//! the tables of man pages (capabilities(7), Linux 5.9 and later).

/// One capability, as people meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// Its name, in lower case: `cap_chown`.
    pub name: &'static str,
    /// What a process that has it in force may do; goes on after "lets a process".
    pub lets: &'static str,
    /// What else there is to know about it, a line each.
    pub more: &'static [&'static str],
}

/// Declares the table: `NAME LETS [MORE...]`.
macro_rules! capabilities {
    ($($name:literal $lets:literal [$($more:literal),*])*) => {
        /// The capabilities by number; bit N of a set is entry N.
        pub const CAPABILITIES: &[Capability] =
            &[$(Capability { name: concat!("cap_", $name), lets: $lets, more: &[$($more),*] }),*];
    };
}

capabilities! {
    "chown" "give any file to any user and group"
        ["Without it an owner may only hand a file to a group that they are in."]
    "dac_override" "read, write and execute files whatever their mode says"
        ["The permission bits and access control lists of files and folders",
         "count for nothing, except that a file which nobody may execute",
         "cannot be executed. It is most of what makes root root."]
    "dac_read_search" "read any file and enter any folder"
        ["It also opens files by handle (open_by_handle_at), past mount points:",
         "a container that has it can reach the host's files."]
    "fowner" "treat every file as its own where only an owner may act"
        ["Changing modes, times, attributes and access control lists, and",
         "removing entries from sticky folders such as /tmp."]
    "fsetid" "change a file and keep its set-user-id and set-group-id bits"
        ["Otherwise writing to such a file takes the bits away."]
    "kill" "send signals to any process"
        ["Otherwise only to processes of the same user."]
    "setgid" "take any group id and any list of groups"
        ["It may also claim any group when it sends credentials over a socket,",
         "and write the group id map of a user namespace."]
    "setuid" "take any user id"
        ["It may also claim any user when it sends credentials over a socket,",
         "and write the user id map of a user namespace."]
    "setpcap" "change its bounding set, its securebits and what it inherits"
        ["Capabilities may leave the bounding set, and those of the bounding set",
         "may join the inheritable set. Nothing lets it raise what is permitted."]
    "linux_immutable" "set and clear the append-only and immutable marks of files"
        ["See chattr(1): +a and +i."]
    "net_bind_service" "listen on the network ports below 1024"
        ["The limit is a sysctl: net.ipv4.ip_unprivileged_port_start."]
    "net_broadcast" "broadcast and listen to multicasts"
        ["The kernel checks it nowhere today."]
    "net_admin" "configure the network"
        ["Interfaces, addresses, routes, firewalls, traffic control, promiscuous",
         "mode and transparent proxies, within its own network namespace."]
    "net_raw" "open raw and packet sockets"
        ["ping(8) is the usual reason to have it; so is forging packets."]
    "ipc_lock" "lock memory, so that it is never swapped out"
        ["mlock(2), huge pages and locked shared memory, past RLIMIT_MEMLOCK."]
    "ipc_owner" "use System V IPC objects of others"
        ["Message queues, semaphores, shared memory: their modes count for nothing."]
    "sys_module" "load and remove kernel modules"
        ["Whoever can put code into the kernel can do everything."]
    "sys_rawio" "reach the hardware: I/O ports, /dev/mem, raw disk commands"
        ["Memory of the kernel can be read and changed with it."]
    "sys_chroot" "change its root folder and enter mount namespaces"
        ["A process that has it can leave an ordinary chroot again by making",
         "another one, which is why a container should give it up."]
    "sys_ptrace" "trace any process and read its memory"
        ["It covers ptrace(2), process_vm_readv(2) and the private files",
         "of other processes under /proc."]
    "sys_pacct" "switch process accounting on and off"
        ["See acct(2)."]
    "sys_admin" "do whatever has no capability of its own"
        ["Mounting, new namespaces, host names, swap, quotas, block devices,",
         "keys, and dozens of other things: nearly root itself. What can be",
         "done with a narrower capability should be."]
    "sys_boot" "reboot the machine and load another kernel"
        ["Inside a pid namespace reboot(2) only ends the namespace."]
    "sys_nice" "give itself and others more of the processor"
        ["Lower nice values, real-time scheduling, processor affinity, the",
         "placement of memory and I/O priorities, for any process."]
    "sys_resource" "go past resource limits"
        ["It raises hard limits, and passes over disk quotas, reserved disk",
         "blocks and the limits of pipes, message queues and keys."]
    "sys_time" "set the clock"
        ["The system's time and the hardware clock; not that of a time namespace."]
    "sys_tty_config" "hang up terminals and configure virtual consoles"
        ["vhangup(2) and some ioctls of the console."]
    "mknod" "make device files"
        ["With the right numbers a device file is the disk or the memory itself;",
         "mounts with nodev and the device cgroup are what stands in between."]
    "lease" "take leases on files of others"
        ["A holder of a lease is told before somebody else opens the file."]
    "audit_write" "write records into the kernel's audit log"
        ["Login programs use it."]
    "audit_control" "configure auditing"
        ["It sets the rules of the audit log and switches it on and off."]
    "setfcap" "give capabilities to files"
        ["See setcap(8). Whoever executes such a file gains them, within the",
         "bounding set. It is also asked for when user 0 is mapped into a user",
         "namespace."]
    "mac_override" "act against the mandatory access control rules"
        ["Smack asks for it; other security modules do not."]
    "mac_admin" "change the mandatory access control rules"
        ["Smack and AppArmor ask for it."]
    "syslog" "read and clear the kernel's messages"
        ["It also shows kernel addresses where kptr_restrict is 1."]
    "wake_alarm" "set timers that wake the machine up"
        ["CLOCK_REALTIME_ALARM and CLOCK_BOOTTIME_ALARM."]
    "block_suspend" "keep the machine from going to sleep"
        ["EPOLLWAKEUP and /sys/power/wake_lock."]
    "audit_read" "read the kernel's audit log as it is written"
        ["It listens on a multicast netlink socket."]
    "perfmon" "watch how fast the machine runs, in detail"
        ["perf_event_open(2) and tracing programs, without cap_sys_admin;",
         "what it sees can give away secrets of other processes."]
    "bpf" "load BPF programs and make BPF maps"
        ["Tracing ones want cap_perfmon as well, network ones cap_net_admin."]
    "checkpoint_restore" "save and restore running processes"
        ["It picks process ids and reads the mapped files of other processes,",
         "without cap_sys_admin."]
}

/// The capability with this number, if we have a name for it.
pub fn capability(number: u32) -> Option<&'static Capability> {
    CAPABILITIES.get(usize::try_from(number).ok()?)
}

/// `cap_chown` for 0; the number where there is no name.
pub fn name_of(number: u32) -> String {
    capability(number).map_or_else(|| number.to_string(), |known| known.name.to_owned())
}

/// The number of a whole name with its `cap_`, in any case.
pub fn number_of(name: &[u8]) -> Option<u32> {
    let at = CAPABILITIES.iter().position(|known| known.name.as_bytes().eq_ignore_ascii_case(name))?;
    u32::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_kernels() {
        assert_eq!(CAPABILITIES.len(), 41);
        for (number, name) in [(0, "cap_chown"), (18, "cap_sys_chroot"), (21, "cap_sys_admin"), (27, "cap_mknod")] {
            assert_eq!(name_of(number), name);
            assert_eq!(number_of(name.to_uppercase().as_bytes()), Some(number));
        }
        assert_eq!(name_of(40), "cap_checkpoint_restore");
        assert_eq!(name_of(41), "41");
        assert_eq!(number_of(b"chown"), None);
    }

    #[test]
    fn descriptions_fit_a_screen() {
        for known in CAPABILITIES {
            assert!("    Lets a process .".len() + known.lets.len() <= 80, "{}", known.name);
            assert!(known.more.iter().all(|line| line.len() + 4 <= 80), "{}", known.name);
        }
    }
}
