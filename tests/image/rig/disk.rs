//! Makes disks that a PC can boot: a boot sector of our own and nothing else.
//!
//! The code prints which disk it came from and then echoes each key, so that both a boot menu's choice and the keyboard
//! can be seen on the screen. An operating system would take a minute to show no more.

/// Where a BIOS puts a boot sector and starts it.
const ORIGIN: usize = 0x7c00;
/// A boot sector is marked by its last two bytes.
const SECTOR: usize = 512;
const MARK: [u8; 2] = [0x55, 0xaa];
/// Some firmware takes a smaller disk for broken.
const DISK: usize = 1 << 20;

/// Real-mode code, run at [`ORIGIN`]; the address of the text is filled in behind the first `0xbe`.
const CODE: &[u8] = &[
    0xb8, 0x03, 0x00, // mov ax, 0x0003
    0xcd, 0x10, //       int 0x10        ; text, 80 by 25, cleared
    0x31, 0xc0, //       xor ax, ax
    0x8e, 0xd8, //       mov ds, ax
    0xbe, 0x00, 0x00, // mov si, text
    0xac, //       next: lodsb
    0x08, 0xc0, //       or al, al
    0x74, 0x09, //       jz read
    0xb4, 0x0e, //       mov ah, 0x0e
    0xbb, 0x07, 0x00, // mov bx, 0x0007
    0xcd, 0x10, //       int 0x10        ; show one character
    0xeb, 0xf2, //       jmp next
    0x31, 0xc0, // read: xor ax, ax
    0xcd, 0x16, //       int 0x16        ; wait for a key
    0xb4, 0x0e, // show: mov ah, 0x0e
    0xbb, 0x07, 0x00, // mov bx, 0x0007
    0xcd, 0x10, //       int 0x10
    0x3c, 0x0d, //       cmp al, 0x0d    ; Enter goes to the start of the line ...
    0x75, 0xf1, //       jne read
    0xb0, 0x0a, //       mov al, 0x0a    ; ... and then to the next one
    0xeb, 0xf1, //       jmp show
];

/// A disk that boots to `text` and echoes what is typed.
pub fn bootable(text: &str) -> Vec<u8> {
    let mut disk = vec![0; DISK];
    disk[..CODE.len()].copy_from_slice(CODE);
    let pointer = CODE.iter().position(|&byte| byte == 0xbe).expect("the code loads the text's address") + 1;
    let address = u16::try_from(ORIGIN + CODE.len()).expect("a boot sector lies in the first 64 KiB");
    disk[pointer..pointer + 2].copy_from_slice(&address.to_le_bytes());
    let room = CODE.len()..SECTOR - MARK.len() - 1;
    assert!(text.len() <= room.len(), "{text:?} does not fit a boot sector");
    disk[room.start..room.start + text.len()].copy_from_slice(text.as_bytes());
    disk[SECTOR - MARK.len()..SECTOR].copy_from_slice(&MARK);
    disk
}
