//! Says what a fence is made of.

use std::path::PathBuf;

pub use caps::Capability;

use super::calls::Group;

/// What a process may do. Whatever is not in here it may not.
#[derive(Debug, Clone)]
pub struct Fence {
    /// Which files, and what with them. What is not there when the process starts is left out: rights to what may come
    /// later are rights to its folder.
    pub paths: Vec<(PathBuf, Right)>,
    /// TCP ports on which it may listen; `None`: on any.
    pub listens: Option<Vec<u16>>,
    /// TCP ports to which it may connect; `None`: to any.
    pub connects: Option<Vec<u16>>,
    /// What kinds of socket it may make.
    pub families: &'static [Family],
    /// What it may ask the kernel for.
    pub calls: &'static [Group],
    /// What it keeps of root's powers, as far as it has them.
    pub keeps: Vec<Capability>,
}

/// What may be done with a file, or with everything in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read, and list.
    Read,
    /// Read and write what is there, but make or remove nothing.
    Write,
    /// Read, write, and send requests to a driver.
    Device,
    /// Read, write, make, rename and remove.
    Keep,
}

/// A kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Between processes of this machine.
    Unix,
    /// TCP and UDP, of either version. No raw ones.
    Internet,
    /// TCP alone.
    Stream,
    /// The kernel's own answers about interfaces and addresses.
    Route,
}
