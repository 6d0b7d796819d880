//! Has the kernel hold a fence, part by part.

use std::collections::BTreeMap;
use std::io;

use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetStatus, Scope, path_beneath_rules,
};
use log::{info, warn};
use nix::libc;
use nix::sys::prctl;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

use super::calls::{ABSENT, Call, DEADLY};
use super::fence::{Family, Fence, Right};
use crate::base::error_chain::chain;

/// The newest version of Landlock whose rights are weighed in the table: that of the kernel that we ship.
const KNOWN: ABI = ABI::V6;

impl Fence {
    /// Fences this process in. It must have no second thread yet: Landlock and capabilities are each thread's own, and
    /// later threads have those of the one that starts them.
    pub fn enter(&self, name: &str) {
        // Capabilities first: system calls that change them are forbidden afterwards.
        let parts: [(&str, Part); 3] = [
            ("capabilities", |fence| keep_capabilities(&fence.keeps)),
            ("Landlock", restrict_files),
            ("seccomp", restrict_calls),
        ];
        let mut held = Vec::new();
        for (part, apply) in parts {
            match apply(self) {
                Ok(()) => held.push(part),
                Err(error) => warn!("{name} goes on without a fence: {part}: {}", chain(&error)),
            }
        }
        info!("{name} is fenced in by {}", if held.is_empty() { "nothing".into() } else { held.join(", ") });
    }
}

/// Applies a part of a fence.
type Part = fn(&Fence) -> Result<(), KernelError>;

/// Why a part of a fence does not hold.
#[derive(Debug, thiserror::Error)]
enum KernelError {
    /// The kernel has been built or started without it.
    #[error("this kernel does not have it")]
    Missing,
    /// An older kernel holds a part.
    #[error("this kernel is older, and holds a part of it only")]
    Older,
    /// A file or a port cannot be ruled on.
    #[error("the rules for files are refused")]
    Files(#[from] landlock::RulesetError),
    /// System calls cannot be ruled on.
    #[error("the rules for system calls are refused")]
    Calls(#[from] seccompiler::Error),
    /// The powers of root are not given back.
    #[error("capabilities are not given back")]
    Capabilities(#[from] caps::errors::CapsError),
    /// A program could still give us more than we have.
    #[error("no_new_privs is refused")]
    NoNewPrivileges(#[source] io::Error),
}

/// Gives back every capability but these, for good.
fn keep_capabilities(keeps: &[Capability]) -> Result<(), KernelError> {
    let has = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = has.iter().copied().filter(|capability| keeps.contains(capability)).collect();
    // What a program that we start could get back. Only whoever may change this has something to give back.
    if has.contains(&Capability::CAP_SETPCAP) {
        for capability in caps::read(None, CapSet::Bounding)?.difference(&kept) {
            caps::drop(None, CapSet::Bounding, *capability)?;
        }
    }
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    prctl::set_no_new_privs().map_err(|error| KernelError::NoNewPrivileges(error.into()))
}

/// Restricts files, ports, and what reaches processes outside.
fn restrict_files(fence: &Fence) -> Result<(), KernelError> {
    let mut rules = Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?;
    // A signal, or a socket without a name in the file system, is a way around the rest.
    rules = rules.scope(Scope::from_all(KNOWN))?;
    for (ports, access) in [(&fence.listens, AccessNet::BindTcp), (&fence.connects, AccessNet::ConnectTcp)] {
        if ports.is_some() {
            rules = rules.handle_access(access)?;
        }
    }
    let mut created = rules.create()?;
    for (path, right) in &fence.paths {
        created = created.add_rules(path_beneath_rules([path], right.access()))?;
    }
    for (ports, access) in [(&fence.listens, AccessNet::BindTcp), (&fence.connects, AccessNet::ConnectTcp)] {
        for port in ports.iter().flatten() {
            created = created.add_rule(NetPort::new(*port, access))?;
        }
    }
    match created.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => Err(KernelError::Older),
        RulesetStatus::NotEnforced => Err(KernelError::Missing),
    }
}

impl Right {
    fn access(self) -> BitFlags<AccessFs> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let write = read | AccessFs::WriteFile | AccessFs::Truncate;
        match self {
            Right::Read => read,
            Right::Write => write,
            Right::Device => write | AccessFs::IoctlDev,
            Right::Keep => {
                // No device nodes, and nothing to run.
                AccessFs::from_all(KNOWN)
                    & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::Execute | AccessFs::IoctlDev)
            }
        }
    }
}

/// Restricts system calls, those of all threads. What is unknown fails, what only an intruder asks for ends us.
fn restrict_calls(fence: &Fence) -> Result<(), KernelError> {
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in fence.calls.iter().flat_map(|group| group.calls) {
        let (number, rules) = rules(*call, fence.families)?;
        allowed.entry(number).or_default().extend(rules);
    }
    let always = |calls: &[i64]| calls.iter().map(|number| (*number, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    // Where several filters answer, the kernel takes the strictest, and of equals the last.
    for (calls, otherwise, then) in [
        (always(DEADLY), SeccompAction::Allow, SeccompAction::KillProcess),
        (allowed, refuse, SeccompAction::Allow),
        (always(ABSENT), SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS.cast_unsigned())),
    ] {
        apply_filter_all_threads(&program(calls, otherwise, then)?)?;
    }
    Ok(())
}

fn program(
    calls: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    then: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(calls, otherwise, then, architecture)?.try_into()?)
}

/// The number of a call, and with which arguments it is allowed: one rule must fit, if there is any.
fn rules(call: Call, families: &[Family]) -> Result<(i64, Vec<SeccompRule>), seccompiler::Error> {
    let flags = |wanted: i32, mask: i32| (0, SeccompCmpOp::MaskedEq(mask.cast_unsigned().into()), wanted);
    let is = |argument: u8, value: i32| (argument, SeccompCmpOp::Eq, value);
    let (number, alternatives) = match call {
        Call::Any(number) => (number, Vec::new()),
        Call::Thread => (libc::SYS_clone, vec![vec![flags(libc::CLONE_THREAD, libc::CLONE_THREAD | NAMESPACES)]]),
        Call::OwnLimits => (libc::SYS_prlimit64, vec![vec![is(0, 0)]]),
        Call::Name => {
            let options = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_NO_NEW_PRIVS, libc::PR_SET_VMA];
            (libc::SYS_prctl, options.map(|option| vec![is(0, option)]).into())
        }
        // These two write to the terminal as if a person had typed it.
        Call::Driver => {
            let typed = [libc::TIOCSTI, libc::TIOCLINUX];
            (libc::SYS_ioctl, vec![typed.map(|request| (1, SeccompCmpOp::Ne, request.cast_signed() as i32)).into()])
        }
        Call::Socket => (libc::SYS_socket, families.iter().flat_map(|family| family.sockets()).collect()),
        Call::Pair => (libc::SYS_socketpair, vec![vec![is(0, libc::AF_UNIX)]]),
    };
    let rule = |conditions: Vec<(u8, SeccompCmpOp, i32)>| {
        let conditions = conditions.into_iter().map(|(argument, compare, value)| {
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compare, value.cast_unsigned().into())
        });
        SeccompRule::new(conditions.collect::<Result<_, _>>()?)
    };
    let rules: Result<Vec<SeccompRule>, seccompiler::BackendError> = alternatives.into_iter().map(rule).collect();
    Ok((number, rules?))
}

/// What a process would get for itself with a clone: its own mounts, users, network...
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP;

impl Family {
    /// With which arguments `socket` makes one: of several lists, all of one.
    fn sockets(self) -> Vec<Vec<(u8, SeccompCmpOp, i32)>> {
        let is = |argument: u8, value: i32| (argument, SeccompCmpOp::Eq, value);
        // Above these bits are flags. Other protocols of the same kinds, such as MPTCP, know no rules about ports.
        let kind = |kind: i32| (1, SeccompCmpOp::MaskedEq(0xf), kind);
        let internet = |protocols: &[i32]| {
            let mut lists = Vec::new();
            for family in [libc::AF_INET, libc::AF_INET6] {
                for protocol in protocols {
                    let of_kind = if *protocol == libc::IPPROTO_TCP { libc::SOCK_STREAM } else { libc::SOCK_DGRAM };
                    lists.extend([0, *protocol].map(|named| vec![is(0, family), kind(of_kind), is(2, named)]));
                }
            }
            lists
        };
        match self {
            Family::Unix => vec![vec![is(0, libc::AF_UNIX)]],
            Family::Internet => internet(&[libc::IPPROTO_TCP, libc::IPPROTO_UDP]),
            Family::Stream => internet(&[libc::IPPROTO_TCP]),
            Family::Route => vec![vec![is(0, libc::AF_NETLINK), is(2, libc::NETLINK_ROUTE)]],
        }
    }
}
