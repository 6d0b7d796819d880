//! Fences each process in, by itself, once it has what it needs and before anybody else can talk to it.
//!
//! A process that strangers or a target have taken over can then do what [`table`] says and no more: open those files,
//! make those sockets, ask the kernel for those things. Landlock holds files and ports, seccomp holds system calls, and
//! capabilities that are not needed are given back. None of this can be undone, by the process or by what it starts.
//!
//! A kernel that lacks a part is no reason to serve nobody: what is missing is logged once, and the rest holds.

pub mod calls;
pub mod fence;
mod kernel;
pub mod table;
