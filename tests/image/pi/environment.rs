//! Reads and writes U-Boot's environment on the card: which slot comes next, and how many tries each has left.
//!
//! Two copies, each a checksum (CRC-32, little-endian), a serial number, and `NAME=value` strings between zero bytes.
//! The copy with the higher number counts; one whose checksum is wrong does not.

use std::collections::BTreeMap;

/// The size of one copy; see the layout of the card in board/common/genimage.cfg.
pub const SIZE: usize = 0x4000;
/// Where the copies begin.
pub const COPIES: [u64; 2] = [0x10_0000, 0x18_0000];
/// Checksum and serial number.
const HEAD: usize = 5;

pub type Variables = BTreeMap<String, String>;

/// What U-Boot will read from these two copies; `None` if it will use its own defaults.
pub fn read(copies: [&[u8]; 2]) -> Option<(u8, Variables)> {
    copies.into_iter().filter_map(read_copy).max_by_key(|(serial, _)| *serial)
}

fn read_copy(copy: &[u8]) -> Option<(u8, Variables)> {
    let sum = u32::from_le_bytes(copy.get(..4)?.try_into().ok()?);
    let (serial, strings) = (copy[4], &copy[HEAD..]);
    if sum != crc32(strings) {
        return None;
    }
    let strings = strings.split(|&byte| byte == 0).take_while(|string| !string.is_empty());
    let pair =
        |string| String::from_utf8_lossy(string).split_once('=').map(|(name, value)| (name.into(), value.into()));
    Some((serial, strings.filter_map(pair).collect()))
}

/// One copy with these variables.
pub fn write(serial: u8, variables: &Variables) -> Vec<u8> {
    let strings: String = variables.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
    let mut copy = vec![0; HEAD];
    copy.extend(strings.as_bytes());
    copy.resize(SIZE, 0);
    let sum = crc32(&copy[HEAD..]);
    copy[..4].copy_from_slice(&sum.to_le_bytes());
    copy[4] = serial;
    copy
}

/// The checksum of Ethernet and zip (IEEE 802.3).
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), bit))
}

#[test]
fn the_newer_of_two_whole_copies_counts() {
    assert_eq!(0xcbf4_3926, crc32(b"123456789"), "the check value that every description of CRC-32 gives");
    let copy = |serial, left: &str| write(serial, &Variables::from([("BOOT_A_LEFT".into(), left.into())]));
    let (old, mut new) = (copy(7, "3"), copy(8, "2"));
    assert_eq!("2", read([&old, &new]).unwrap().1["BOOT_A_LEFT"]);
    new[100] ^= 1;
    assert_eq!("3", read([&old, &new]).unwrap().1["BOOT_A_LEFT"]);
    assert_eq!(None, read([&new, &new]));
}
