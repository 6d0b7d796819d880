//! Groups the kernel's calls by what they are for.
//!
//! A call that is in no group fails with EPERM. One that the C library would like to use but can do without is
//! [`ABSENT`], so that it takes the older one. Those that no part of ours asks for in any version are [`DEADLY`]: who
//! asks for them is not us any more.

use nix::libc::*;

/// Calls for one purpose.
#[derive(Debug)]
pub struct Group {
    /// What they are for.
    pub purpose: &'static str,
    /// The calls.
    pub calls: &'static [Call],
}

/// One call, some of them with certain arguments only.
#[derive(Debug, Clone, Copy)]
pub enum Call {
    /// With any arguments.
    Any(i64),
    /// `clone`, for a thread of this process.
    Thread,
    /// `prlimit64`, for this process.
    OwnLimits,
    /// `prctl`, to name a thread or memory, or to renounce privileges.
    Name,
    /// `ioctl`, except to type into a terminal.
    Driver,
    /// `socket`, of the families that the process may use.
    Socket,
    /// `socketpair`.
    Pair,
}

/// Calls with any arguments. A third of them exist on older processors only, whose C library still uses them.
macro_rules! calls {
    ($($name:ident)* $(; older: $($older:ident)*)? $(; with: $($call:ident)*)?) => {
        &[
            $(Call::Any($name),)*
            $($(#[cfg(target_arch = "x86_64")] Call::Any($older),)*)?
            $($(Call::$call,)*)?
        ]
    };
}

/// What every process needs, whatever it does.
pub const LIFE: Group = Group {
    purpose: "memory, threads, signals, time, randomness, and the end",
    calls: calls![
        SYS_brk SYS_mmap SYS_munmap SYS_mprotect SYS_mremap SYS_madvise SYS_membarrier
        SYS_futex SYS_set_robust_list SYS_get_robust_list SYS_set_tid_address SYS_rseq
        SYS_sched_yield SYS_sched_getaffinity SYS_getcpu
        SYS_gettid SYS_getpid SYS_getppid SYS_exit SYS_exit_group SYS_restart_syscall
        SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigpending SYS_rt_sigtimedwait SYS_sigaltstack
        SYS_tgkill
        SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_nanosleep SYS_gettimeofday SYS_times
        SYS_getrandom SYS_uname SYS_sysinfo SYS_getrusage
        SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_getresuid SYS_getresgid SYS_getgroups SYS_capget
        SYS_getrlimit SYS_setrlimit
        // More filters only take more away.
        SYS_seccomp;
        older: SYS_arch_prctl SYS_time;
        with: Thread Name OwnLimits
    ],
};

/// Waiting for several things at once.
pub const WAITING: Group = Group {
    purpose: "the runtime's sockets, timers and pipes",
    calls: calls![
        SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_ppoll SYS_pselect6
        SYS_eventfd2 SYS_pipe2 SYS_timerfd_create SYS_timerfd_settime SYS_timerfd_gettime;
        older: SYS_epoll_wait SYS_poll SYS_select SYS_pipe
    ],
};

/// Files. Which, Landlock holds.
pub const FILES: Group = Group {
    purpose: "files that the table names, and descriptors",
    calls: calls![
        SYS_openat SYS_close SYS_close_range SYS_dup SYS_dup3 SYS_fcntl SYS_flock
        SYS_read SYS_write SYS_readv SYS_writev SYS_pread64 SYS_pwrite64 SYS_preadv SYS_pwritev SYS_lseek
        SYS_fsync SYS_fdatasync SYS_sync_file_range SYS_ftruncate SYS_fallocate SYS_fadvise64
        SYS_copy_file_range SYS_sendfile
        SYS_fstat SYS_newfstatat SYS_statx SYS_statfs SYS_fstatfs SYS_faccessat SYS_faccessat2
        SYS_getdents64 SYS_readlinkat SYS_getcwd SYS_umask
        SYS_mkdirat SYS_unlinkat SYS_renameat SYS_renameat2 SYS_linkat SYS_symlinkat SYS_utimensat
        SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat;
        older: SYS_open SYS_stat SYS_lstat SYS_access SYS_readlink SYS_mkdir SYS_rmdir SYS_unlink SYS_rename
            SYS_symlink SYS_link SYS_chmod SYS_chown SYS_lchown SYS_dup2;
        with: Driver
    ],
};

/// Sockets. Of which family, the table says.
pub const SOCKETS: Group = Group {
    purpose: "the network, and the line between our processes",
    calls: calls![
        SYS_bind SYS_listen SYS_accept SYS_accept4 SYS_connect SYS_shutdown
        SYS_getsockname SYS_getpeername SYS_getsockopt SYS_setsockopt
        SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_sendmmsg SYS_recvmmsg;
        with: Socket Pair
    ],
};

/// Calls that the C library tries before an older one. Its arguments are in memory, where a filter cannot look.
pub const ABSENT: &[i64] = &[SYS_clone3];

/// Calls that end the process: other processes' memory, the kernel's own code, mounts, namespaces, and the large parts
/// of the kernel that nothing of ours uses and that holes are found in.
pub const DEADLY: &[i64] = &[
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_getfd,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_reboot,
    SYS_mount,
    SYS_umount2,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_pivot_root,
    SYS_chroot,
    SYS_swapon,
    SYS_swapoff,
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
];
