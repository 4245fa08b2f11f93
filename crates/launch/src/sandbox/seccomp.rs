//! The system calls that an instance may not make, as a classic BPF program for the kernel.
//!
//! The namespaces already take away most of what these calls could do; the filter takes away
//! the calls themselves, because each is a large piece of kernel that scripts do not need. The
//! program is assembled here rather than by a crate because it must answer with different
//! errors for different calls and must see the x32 bit of a call number.

use libc::c_long;

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xC000_00B7;

/// Set in the number of a call that uses the x32 ABI, whose table has its own gaps and bugs.
#[cfg(target_arch = "x86_64")]
const X32_BIT: u32 = 0x4000_0000;

/// `futex_requeue`, the newest call that was reviewed for this list; libraries fall back when a
/// newer one answers ENOSYS. From 424 on, numbers are the same on every architecture.
const NEWEST_REVIEWED: u32 = 456;

const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

/// Offsets into the kernel's `struct seccomp_data`; both architectures are little-endian, so
/// the low half of an argument comes first.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENT_0: u32 = 16;
const ARGUMENT_1: u32 = 24;

/// Every flag of `clone` that makes a namespace.
const CLONE_NEW_ANY: u32 = 0x0002_0000 // mount
    | 0x0200_0000 // cgroup
    | 0x0400_0000 // uts
    | 0x0800_0000 // ipc
    | 0x1000_0000 // user
    | 0x2000_0000 // pid
    | 0x4000_0000; // net

/// Puts characters into a terminal's input, as if typed.
const TIOCSTI: u32 = 0x5412;
/// Does the same for a virtual console, by way of its selection buffer.
const TIOCLINUX: u32 = 0x541C;
/// Asks `personality` for the present value and changes nothing.
const PERSONALITY_QUERY: u32 = 0xffff_ffff;

/// Calls that fail with EPERM whatever their arguments.
const DENIED: &[c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Large kernel interfaces with a history of holes.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_fanotify_init,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_lookup_dcookie,
    // File system view and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // The machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
];

/// Calls of one architecture only.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[c_long] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(target_arch = "aarch64")]
const DENIED_HERE: &[c_long] = &[];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    value: u32,
}

/// The filter as the kernel reads it: an array of `struct sock_filter`.
pub(super) fn filter() -> Vec<u8> {
    program()
        .iter()
        .flat_map(|step| {
            let [code_low, code_high] = step.code.to_le_bytes();
            let [v0, v1, v2, v3] = step.value.to_le_bytes();
            [
                code_low,
                code_high,
                step.if_true,
                step.if_false,
                v0,
                v1,
                v2,
                v3,
            ]
        })
        .collect()
}

fn program() -> Vec<Instruction> {
    let mut steps = vec![load(ARCH)];
    steps.extend([
        jump(JUMP_IF_EQUAL, AUDIT_ARCH, 1, 0),
        refuse(libc::ENOSYS),
        load(NUMBER),
    ]);
    #[cfg(target_arch = "x86_64")]
    steps.extend([jump(JUMP_IF_ANY_BIT, X32_BIT, 0, 1), refuse(libc::ENOSYS)]);
    steps.extend([
        jump(JUMP_IF_GREATER, NEWEST_REVIEWED, 0, 1),
        refuse(libc::ENOSYS),
    ]);
    // libc falls back to `clone`, whose flags a filter can see: clone3 takes them by pointer.
    steps.extend(on_call(libc::SYS_clone3, &[refuse(libc::ENOSYS)]));
    for &call in DENIED.iter().chain(DENIED_HERE) {
        steps.extend(on_call(call, &[refuse(libc::EPERM)]));
    }
    steps.extend(on_call(
        libc::SYS_clone,
        &[
            load(ARGUMENT_0),
            jump(JUMP_IF_ANY_BIT, CLONE_NEW_ANY, 0, 1),
            refuse(libc::EPERM),
            allow(),
        ],
    ));
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6].map(i32::cast_unsigned);
        steps.extend(on_call(
            call,
            &allow_only(ARGUMENT_0, &families, libc::EAFNOSUPPORT),
        ));
    }
    steps.extend(on_call(
        libc::SYS_ioctl,
        &[
            load(ARGUMENT_1),
            jump(JUMP_IF_EQUAL, TIOCSTI, 1, 0),
            jump(JUMP_IF_EQUAL, TIOCLINUX, 0, 1),
            refuse(libc::EPERM),
            allow(),
        ],
    ));
    let quiet = allow_only(ARGUMENT_0, &[0, PERSONALITY_QUERY], libc::EPERM);
    steps.extend(on_call(libc::SYS_personality, &quiet));
    steps.push(allow());
    steps
}

/// Runs `body`, which must end in a return on every path, for `call` only.
fn on_call(call: c_long, body: &[Instruction]) -> Vec<Instruction> {
    let number = u32::try_from(call).unwrap_or(u32::MAX);
    let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
    let mut steps = vec![jump(JUMP_IF_EQUAL, number, 0, length)];
    steps.extend_from_slice(body);
    steps
}

/// Allows the call if the argument at `offset` is one of `values`.
fn allow_only(offset: u32, values: &[u32], error: i32) -> Vec<Instruction> {
    let mut steps = vec![load(offset)];
    for &value in values {
        steps.extend([jump(JUMP_IF_EQUAL, value, 0, 1), allow()]);
    }
    steps.push(refuse(error));
    steps
}

fn load(offset: u32) -> Instruction {
    Instruction {
        code: LOAD_WORD,
        if_true: 0,
        if_false: 0,
        value: offset,
    }
}

fn jump(code: u16, value: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code,
        if_true,
        if_false,
        value,
    }
}

fn refuse(error: i32) -> Instruction {
    Instruction {
        code: RETURN,
        if_true: 0,
        if_false: 0,
        value: ERRNO | error.cast_unsigned(),
    }
}

fn allow() -> Instruction {
    Instruction {
        code: RETURN,
        if_true: 0,
        if_false: 0,
        value: ALLOW,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer, by interpreting the program as the kernel does.
    fn answer(arch: u32, number: c_long, arguments: [u64; 2]) -> Result<(), i32> {
        let mut data = [0_u8; 64];
        data[0..4].copy_from_slice(&u32::try_from(number).unwrap().to_le_bytes());
        data[4..8].copy_from_slice(&arch.to_le_bytes());
        data[16..24].copy_from_slice(&arguments[0].to_le_bytes());
        data[24..32].copy_from_slice(&arguments[1].to_le_bytes());
        let steps = program();
        let (mut at, mut accumulator) = (0_usize, 0_u32);
        loop {
            let step = steps[at];
            let offset = step.value as usize;
            at += 1;
            let holds = match step.code {
                LOAD_WORD => {
                    accumulator = u32::from_le_bytes(data[offset..offset + 4].try_into().unwrap());
                    continue;
                }
                RETURN if step.value == ALLOW => return Ok(()),
                RETURN => return Err((step.value & 0xffff).cast_signed()),
                JUMP_IF_EQUAL => accumulator == step.value,
                JUMP_IF_GREATER => accumulator > step.value,
                JUMP_IF_ANY_BIT => accumulator & step.value != 0,
                other => panic!("unknown instruction {other:#x}"),
            };
            at += usize::from(if holds { step.if_true } else { step.if_false });
        }
    }

    #[test]
    fn calls_are_answered_as_listed() {
        let eperm = Err(libc::EPERM);
        let enosys = Err(libc::ENOSYS);
        let no_family = Err(libc::EAFNOSUPPORT);
        let thread_flags = 0x003d_0f00;
        let rows: &[(c_long, [u64; 2], Result<(), i32>)] = &[
            (libc::SYS_read, [0, 0], Ok(())),
            (libc::SYS_execve, [0, 0], Ok(())),
            (libc::SYS_clone, [thread_flags, 0], Ok(())),
            (libc::SYS_clone, [0x1000_0011, 0], eperm),
            (libc::SYS_clone, [0x4000_0000, 0], eperm),
            (libc::SYS_clone3, [0, 0], enosys),
            (libc::SYS_ptrace, [0, 0], eperm),
            (libc::SYS_unshare, [0, 0], eperm),
            (libc::SYS_vhangup, [0, 0], eperm),
            (libc::SYS_socket, [1, 1], Ok(())),
            (libc::SYS_socket, [2, 1], Ok(())),
            (libc::SYS_socket, [10, 1], Ok(())),
            (libc::SYS_socket, [16, 3], no_family),
            (libc::SYS_socket, [40, 1], no_family),
            // The kernel reads the family as 32 bits, so must the filter.
            (libc::SYS_socket, [(1 << 32) | 40, 1], no_family),
            (libc::SYS_ioctl, [0, 0x5412], eperm),
            (libc::SYS_ioctl, [0, (1 << 32) | 0x5412], eperm),
            (libc::SYS_ioctl, [0, 0x541C], eperm),
            (libc::SYS_ioctl, [0, 0x5413], Ok(())),
            (libc::SYS_personality, [0xffff_ffff, 0], Ok(())),
            (libc::SYS_personality, [0x0040_0000, 0], eperm),
            (456, [0, 0], Ok(())),
            (457, [0, 0], enosys),
            (600, [0, 0], enosys),
        ];
        for &(number, arguments, expected) in rows {
            let got = answer(AUDIT_ARCH, number, arguments);
            assert_eq!(got, expected, "call {number} with {arguments:x?}");
        }
    }

    #[test]
    fn other_call_tables_are_refused_whole() {
        let i386 = 0x4000_0003;
        assert_eq!(answer(i386, libc::SYS_read, [0, 0]), Err(libc::ENOSYS));
        #[cfg(target_arch = "x86_64")]
        assert_eq!(answer(AUDIT_ARCH, 0x4000_0000, [0, 0]), Err(libc::ENOSYS));
    }

    #[test]
    fn the_filter_is_the_array_that_the_kernel_reads() {
        assert_eq!(filter().len(), program().len() * 8);
        assert_eq!(filter()[..8], [0x20, 0, 0, 0, 4, 0, 0, 0]);
    }
}
