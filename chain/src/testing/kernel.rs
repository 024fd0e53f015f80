//! Another kernel, as far as capabilities go: a seccomp filter answers the
//! calls of prctl(2) that ask for numbers which this kernel does not have.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

/// How many capabilities this project's kernels have.
const REAL: u32 = 41;

/// What a program is to believe of its kernel.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    /// How many capabilities it has. Those beyond the real ones are in no
    /// set, and can be dropped and raised without effect.
    pub capabilities: u32,
    /// Whether it has an ambient set.
    pub ambient: bool,
}

impl Kernel {
    /// Makes `command` and what it starts see this kernel. Only root may.
    pub fn under(self, command: &mut Command) -> &mut Command {
        let filter = self.filter();
        // SAFETY: after fork only a prctl(2) is made, on memory that the
        // closure owns.
        unsafe {
            command.pre_exec(move || {
                let program = libc::sock_fprog {
                    len: u16::try_from(filter.len()).unwrap_or(0),
                    filter: filter.as_ptr().cast_mut(),
                };
                match libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            })
        }
    }

    /// The filter; a jump says how many lines it skips where it holds, and
    /// where it does not.
    fn filter(self) -> Vec<libc::sock_filter> {
        let number = |number: libc::c_long| u32::try_from(number).unwrap_or(0);
        let option = |option: i32| option.cast_unsigned();
        vec![
            load(0),
            jump(libc::BPF_JEQ, number(libc::SYS_prctl), 0, 9),
            load(1),
            jump(libc::BPF_JEQ, option(libc::PR_CAPBSET_READ), 2, 0),
            jump(libc::BPF_JEQ, option(libc::PR_CAPBSET_DROP), 1, 0),
            jump(libc::BPF_JEQ, option(libc::PR_CAP_AMBIENT), if self.ambient { 2 } else { 6 }, 5),
            load(2),
            jump(libc::BPF_JA, 1, 0, 0),
            load(3),
            jump(libc::BPF_JGE, self.capabilities, 2, 0),
            jump(libc::BPF_JGE, REAL, 2, 0),
            answer(libc::SECCOMP_RET_ALLOW),
            // As if the kernel knew no such number.
            answer(libc::SECCOMP_RET_ERRNO | libc::EINVAL.cast_unsigned()),
            // 0, without the call being made.
            answer(libc::SECCOMP_RET_ERRNO),
        ]
    }
}

/// Loads word 0, the number of the call, or the lower half of an argument,
/// counted from 1 (`struct seccomp_data`).
fn load(word: u32) -> libc::sock_filter {
    let offset = if word == 0 { 0 } else { 8 + 8 * word };
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

fn jump(test: u32, k: u32, holds: u8, else_skip: u8) -> libc::sock_filter {
    statement(libc::BPF_JMP | test | libc::BPF_K, k, holds, else_skip)
}

fn answer(value: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, value, 0, 0)
}

fn statement(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k }
}
