//! Decides how far the last partition of our card may reach. No I/O: one sector in, one sector out.
//!
//! A damaged table means a card that does not boot, so a card that is not exactly one of ours is left alone. On one
//! that is, only four bytes of length and three of an unused geometry change.

use std::ops::Range;

/// The table counts in these, in bytes.
pub const SECTOR: usize = 512;
/// The images' disk signature, by which the kernel also finds its root.
const SIGNATURE: u32 = 0xfa7a_4d01;
/// Where the signature and the four entries are.
const SIGNATURE_AT: usize = 440;
const ENTRIES_AT: usize = 446;
const ENTRY: usize = 16;
/// The data partition's entry in the table.
pub const DATA: usize = 3;
/// The type of a Linux partition.
const LINUX: u8 = 0x83;
/// "Beyond what cylinders can say": Linux and U-Boot look at sectors only.
const NO_CYLINDER: [u8; 3] = [0xfe, 0xff, 0xff];
/// Cards erase in units that divide this; an aligned end keeps our erase units free of the rest of the card.
const ALIGNMENT: u64 = 4 * 1024 * 1024 / SECTOR as u64;

/// A table in which the data partition is longer.
#[derive(Debug, PartialEq)]
pub struct Growth {
    /// What to write to the first sector.
    pub sector: [u8; SECTOR],
    /// The data partition from then on, in sectors.
    pub data: Range<u64>,
}

/// Why a card's table is left alone.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum MbrError {
    /// The card is not one of ours.
    #[error("its partition table is not one of ours")]
    Foreign,
    /// Somebody has repartitioned it.
    #[error("partition {DATA} is not the last, or not of type 83")]
    Changed,
    /// The image did not fit.
    #[error("the card has {disk} sectors and its image {image}: write the image to a larger card")]
    Short { disk: u64, image: u64 },
}

/// Extends the data partition to the end of the disk. `None` if it reaches there already.
pub fn grow(sector: &[u8; SECTOR], disk: u64) -> Result<Option<Growth>, MbrError> {
    if sector[SECTOR - 2..] != [0x55, 0xaa] || number(sector, SIGNATURE_AT) != SIGNATURE {
        return Err(MbrError::Foreign);
    }
    let at = |partition: usize| ENTRIES_AT + (partition - 1) * ENTRY;
    let extent = |partition: usize| {
        let start = u64::from(number(sector, at(partition) + 8));
        start..start + u64::from(number(sector, at(partition) + 12))
    };
    let data = extent(DATA);
    // An empty entry has length 0 and so ends where it begins, at sector 0.
    let is_last = [1, 2, 4].into_iter().all(|other| extent(other).end <= data.start);
    if sector[at(DATA) + 4] != LINUX || data.is_empty() || data.start == 0 || !is_last {
        return Err(MbrError::Changed);
    }
    if disk < data.end {
        return Err(MbrError::Short { disk, image: data.end });
    }
    // The table cannot express more than 2 TiB, so no more of a larger card is used.
    let end = disk.min(data.start + u64::from(u32::MAX)) / ALIGNMENT * ALIGNMENT;
    if end <= data.end {
        return Ok(None);
    }
    let length = u32::try_from(end - data.start).expect("it was bounded above");
    let mut sector = *sector;
    sector[at(DATA) + 5..at(DATA) + 8].copy_from_slice(&NO_CYLINDER);
    sector[at(DATA) + 12..at(DATA) + 16].copy_from_slice(&length.to_le_bytes());
    Ok(Some(Growth { sector, data: data.start..end }))
}

fn number(sector: &[u8; SECTOR], at: usize) -> u32 {
    u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 2048;
    const IMAGE: u64 = 360 * MIB;

    /// The card as the image build makes it: firmware, the slots in an extended partition, data.
    fn card() -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        sector[..8].copy_from_slice(b"bootcode");
        sector[SIGNATURE_AT..SIGNATURE_AT + 4].copy_from_slice(&SIGNATURE.to_le_bytes());
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        for (index, (kind, start, end)) in [(0x0c, 4, 52), (0x05, 52, 296), (0x83, 296, 360)].into_iter().enumerate() {
            let at = ENTRIES_AT + index * ENTRY;
            sector[at + 4] = kind;
            sector[at + 8..at + 12].copy_from_slice(&u32::try_from(start * MIB).unwrap().to_le_bytes());
            sector[at + 12..at + 16].copy_from_slice(&u32::try_from((end - start) * MIB).unwrap().to_le_bytes());
        }
        sector
    }

    #[test]
    fn data_reaches_the_last_whole_border_and_nothing_else_moves() {
        let before = card();
        let growth = grow(&before, 1024 * MIB + 4095).unwrap().unwrap();
        assert_eq!(296 * MIB..1024 * MIB, growth.data);
        let changed: Vec<usize> = (0..SECTOR).filter(|&at| before[at] != growth.sector[at]).collect();
        let entry = ENTRIES_AT + 2 * ENTRY;
        assert!(changed.iter().all(|at| (entry + 5..entry + 8).contains(at) || (entry + 12..entry + 16).contains(at)));
        assert_eq!(u32::try_from(728 * MIB).unwrap(), number(&growth.sector, entry + 12));
    }

    #[test]
    fn it_grows_once() {
        for disk in [1024 * MIB, 1024 * MIB + 1, 31_116_288, u64::from(u32::MAX) * 3] {
            let growth = grow(&card(), disk).unwrap().unwrap();
            assert_eq!(Ok(None), grow(&growth.sector, disk), "{disk} sectors");
        }
        for disk in [IMAGE, IMAGE + ALIGNMENT - 1] {
            assert_eq!(Ok(None), grow(&card(), disk), "{disk} sectors");
        }
    }

    #[test]
    fn a_card_smaller_than_its_image_is_said_to_be() {
        assert_eq!(Err(MbrError::Short { disk: IMAGE - 1, image: IMAGE }), grow(&card(), IMAGE - 1));
    }

    #[test]
    fn other_tables_are_left_alone() {
        let entry = |partition: usize| ENTRIES_AT + (partition - 1) * ENTRY;
        let with = |at: usize, bytes: &[u8]| {
            let mut sector = card();
            sector[at..at + bytes.len()].copy_from_slice(bytes);
            grow(&sector, 4096 * MIB)
        };
        assert_eq!(Err(MbrError::Foreign), with(510, &[0]));
        assert_eq!(Err(MbrError::Foreign), with(SIGNATURE_AT, &[0]));
        assert_eq!(Err(MbrError::Changed), with(entry(3) + 4, &[0x82]), "another type");
        assert_eq!(Err(MbrError::Changed), with(entry(3) + 12, &[0; 4]), "no length");
        assert_eq!(Err(MbrError::Changed), with(entry(2) + 12, &[0, 0, 0, 1]), "slots that reach beyond it");
        let mut fourth = [0; ENTRY];
        fourth[4] = 0x83;
        fourth[8..12].copy_from_slice(&u32::try_from(400 * MIB).unwrap().to_le_bytes());
        fourth[12] = 1;
        assert_eq!(Err(MbrError::Changed), with(entry(4), &fourth), "an owner's own partition behind it");
        assert_eq!(Err(MbrError::Foreign), grow(&[0; SECTOR], 4096 * MIB));
    }

    #[test]
    fn no_flipped_bit_moves_another_partition() {
        for bit in 0..SECTOR * 8 {
            let mut sector = card();
            sector[bit / 8] ^= 1 << (bit % 8);
            let Ok(Some(growth)) = grow(&sector, 4096 * MIB) else { continue };
            let data = ENTRIES_AT + 2 * ENTRY..ENTRIES_AT + 3 * ENTRY;
            assert!((0..SECTOR).all(|at| data.contains(&at) || growth.sector[at] == sector[at]), "bit {bit}");
            assert!(growth.data.end <= 4096 * MIB, "bit {bit}");
        }
    }
}
