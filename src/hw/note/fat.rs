//! Finds the one sector of a small file on a FAT32 volume. No I/O: the caller reads the sectors that are asked for.
//!
//! A board boots from this volume, and nobody repairs it. So what is not exactly as our image has it is left alone:
//! whatever is damaged, the answer is an error, or the file's own sector.

use std::io;

/// The only size of a sector that our volumes have.
pub const SECTOR: usize = 512;
/// What one sector holds.
pub type Sector = [u8; SECTOR];

/// Fewer clusters, and the volume is FAT16; more, and their numbers would be taken for marks.
const CLUSTERS: std::ops::RangeInclusive<u64> = 65_525..=0x0fff_fff4;
/// Of the 32 bits of an entry of the table, the upper four belong to nobody.
const NUMBER: u32 = 0x0fff_ffff;
/// From this on, an entry of the table says that its cluster is the last of its file.
const END: u32 = 0x0fff_fff8;
/// The first clusters have other uses.
const FIRST: u32 = 2;
const ENTRY: usize = 32;
/// No folder has more: 65536 entries. So a ring in the table comes to an end.
const FOLDER: usize = 65_536 * ENTRY / SECTOR;
/// Attributes of a folder's entry: a label, a folder, and both with two more for a part of a long name.
const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG: u8 = 0x0f;

/// Why a file is not written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "`source` is what the kernel says")]
pub enum FatError {
    /// Another kind of volume.
    #[error("its partition is not the FAT32 volume that the image has")]
    Foreign,
    /// Its tables contradict themselves.
    #[error("the tables of its volume are damaged")]
    Damaged,
    /// Somebody has removed or renamed it.
    #[error("there is no such file")]
    Missing,
    /// Somebody has rewritten it.
    #[error("it has {0} bytes, and not {SECTOR} as in the image")]
    Resized(u32),
    /// Somebody has changed what is in it; or its folder is damaged, and this is another file's.
    #[error("something else is in it")]
    Other,
    /// A sector cannot be read.
    #[error("sector {sector} cannot be read")]
    Read {
        /// Which, from the start of the volume.
        sector: u64,
        source: io::Error,
    },
}

/// Where the parts of a volume begin, in sectors.
struct Volume {
    table: u64,
    data: u64,
    per_cluster: u64,
    clusters: u64,
    root: u32,
}

/// The sector that is the whole of the file `name` in the root folder of a volume with room for this many sectors, and
/// what is in it, which must begin with `opening`.
///
/// `name` must be one that only a long entry can hold, as those of our notes are.
pub fn find(
    name: &str,
    opening: &[u8],
    room: u64,
    mut read: impl FnMut(u64) -> io::Result<Sector>,
) -> Result<(u64, Sector), FatError> {
    let mut read = |sector| read(sector).map_err(|source| FatError::Read { sector, source });
    let place = place(name, room, &mut read)?;
    let known = read(place)?;
    if known.starts_with(opening) { Ok((place, known)) } else { Err(FatError::Other) }
}

fn place(name: &str, room: u64, mut read: impl FnMut(u64) -> Result<Sector, FatError>) -> Result<u64, FatError> {
    let volume = Volume::parse(&read(0)?, room)?;
    let mut long = LongName::default();
    let mut cluster = volume.root;
    for number in 0..FOLDER as u64 {
        let within = number % volume.per_cluster;
        let sector = read(volume.sector(cluster)? + within)?;
        for entry in sector.chunks_exact(ENTRY) {
            // Everything behind the first unused entry is unused.
            if entry[0] == 0 {
                return Err(FatError::Missing);
            }
            if entry[0] == 0xe5 || (entry[11] & LONG != LONG && entry[11] & (LABEL | DIRECTORY) != 0) {
                long = LongName::default();
            } else if entry[11] & LONG == LONG {
                long.add(entry);
            } else if !std::mem::take(&mut long).is(name, &entry[..11]) {
                continue;
            } else if word(entry, 28) as usize != SECTOR {
                return Err(FatError::Resized(word(entry, 28)));
            } else {
                let cluster = u32::from(half(entry, 20)) << 16 | u32::from(half(entry, 26));
                let sector = volume.sector(cluster)?;
                let is_alone = END <= volume.next(cluster, &mut read)?;
                return if is_alone { Ok(sector) } else { Err(FatError::Damaged) };
            }
        }
        if within + 1 == volume.per_cluster {
            cluster = volume.next(cluster, &mut read)?;
            if END <= cluster {
                return Err(FatError::Missing);
            }
        }
    }
    Err(FatError::Damaged)
}

impl Volume {
    /// Names and places as in Microsoft's FAT specification.
    fn parse(boot: &Sector, room: u64) -> Result<Volume, FatError> {
        let reserved = u64::from(half(boot, 14));
        let [per_cluster, tables] = [boot[13], boot[16]];
        let (total, table) = (u64::from(word(boot, 32)), u64::from(word(boot, 36)));
        // What only FAT12 and FAT16 have: entries of the root, and both counts of sectors in 16 bits.
        let is_smaller = [17, 19, 22].iter().any(|at| half(boot, *at) != 0);
        // The flags say that one table alone counts, and the version is that of a later kind.
        let is_other = [40, 42].iter().any(|at| half(boot, *at) != 0);
        if boot[SECTOR - 2..] != [0x55, 0xaa]
            || usize::from(half(boot, 11)) != SECTOR
            || !per_cluster.is_power_of_two()
            || reserved == 0
            || !(1..=2).contains(&tables)
            || is_smaller
            || is_other
            || room < total
        {
            return Err(FatError::Foreign);
        }
        let data = reserved + u64::from(tables) * table;
        let per_cluster = u64::from(per_cluster);
        let clusters = total.saturating_sub(data) / per_cluster;
        let has_table = (clusters + u64::from(FIRST)).div_ceil(SECTOR as u64 / 4) <= table;
        if !CLUSTERS.contains(&clusters) || !has_table {
            return Err(FatError::Foreign);
        }
        Ok(Volume { table: reserved, data, per_cluster, clusters, root: word(boot, 44) })
    }

    /// The first sector of a cluster.
    fn sector(&self, cluster: u32) -> Result<u64, FatError> {
        let number = cluster.checked_sub(FIRST).map(u64::from).filter(|number| *number < self.clusters);
        Ok(self.data + number.ok_or(FatError::Damaged)? * self.per_cluster)
    }

    /// What the table says of a cluster of this volume: the next one of its file, or a mark.
    fn next(&self, cluster: u32, mut read: impl FnMut(u64) -> Result<Sector, FatError>) -> Result<u32, FatError> {
        let at = cluster as usize * 4;
        let sector = read(self.table + (at / SECTOR) as u64)?;
        Ok(word(&sector, at % SECTOR) & NUMBER)
    }
}

/// What a long name's entries have said so far. They stand before the short one that they belong to, the last part
/// first.
#[derive(Default)]
struct LongName {
    /// The parts that are still to come; none, and the name is whole.
    left: u8,
    /// Of the short name.
    sum: u8,
    units: Vec<u16>,
}

impl LongName {
    fn add(&mut self, entry: &[u8]) {
        let (number, is_first) = (entry[0] & 0x1f, entry[0] & 0x40 != 0);
        if is_first {
            *self = LongName { left: number, sum: entry[13], units: Vec::new() };
        }
        if number == 0 || number != self.left || entry[13] != self.sum {
            *self = LongName::default();
            return;
        }
        self.left -= 1;
        let units = [1..11, 14..26, 28..32].into_iter().flatten().step_by(2).map(|at| half(entry, at));
        self.units.splice(..0, units);
    }

    /// Whether it is this name, of the file with this short one. A volume does not care for capitals.
    fn is(self, name: &str, short: &[u8]) -> bool {
        let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let units: Vec<u16> = self.units.into_iter().take_while(|unit| *unit != 0).collect();
        self.left == 0 && sum == self.sum && String::from_utf16_lossy(&units).eq_ignore_ascii_case(name)
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from(half(bytes, at + 2)) << 16 | u32::from(half(bytes, at))
}
