//! Tells the kernel what a HID function reports now, so that it can answer a host that asks.
//!
//! HID 1.11 section 7.2.1 has every device answer GET_REPORT. Since Linux 6.12 f_hid asks us, waits 2.5 seconds for the
//! answer, and answers nothing else meanwhile. An answer given beforehand is kept, and sent at once.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// The longest report that f_hid keeps.
const MOST: usize = 64;

/// `struct usb_hidg_report` of linux/usb/g_hid.h.
#[repr(C)]
struct HidgReport {
    report_id: u8,
    /// Zero: this answers all requests to come, not one that waits.
    userspace_req: u8,
    length: u16,
    data: [u8; MOST],
    padding: [u8; 4],
}

const _: () = assert!(size_of::<HidgReport>() == 72, "the kernel's structure has this size");

mod raw {
    use nix::ioctl_write_ptr;

    // GADGET_HID_WRITE_GET_REPORT
    ioctl_write_ptr!(write_get_report, b'g', 0x42, super::HidgReport);
}

/// Has the kernel answer GET_REPORT with this report. False if it is too old for that; it then answers with zeros.
pub fn answer(node: &File, report: &[u8]) -> io::Result<bool> {
    let mut kept = HidgReport { report_id: 0, userspace_req: 0, length: 0, data: [0; MOST], padding: [0; 4] };
    let len = report.len().min(MOST);
    kept.data[..len].copy_from_slice(&report[..len]);
    kept.length = u16::try_from(len).unwrap_or_default();
    // SAFETY: the descriptor is open, and the kernel reads one structure of the type from which the number was made.
    match unsafe { raw::write_get_report(node.as_raw_fd(), &kept) } {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::ENOTTY | nix::errno::Errno::EINVAL) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_does_not_ask_is_no_failure() {
        assert!(!answer(&File::open("/dev/null").unwrap(), &[0; 8]).unwrap());
    }
}
