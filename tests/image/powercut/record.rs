//! Records one run of the appliance on a card: an update, changes of the configuration, and the confirmation of the
//! update.
//!
//! The appliance is QEMU's `virt` with the card in addition to its own disks, so slots, environment and /data are where
//! a Pi has them, on one disk with one order of writes. It runs slot A, by its kernel's arguments; slot B takes the
//! update.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;

use super::disk::{Dice, Disk};
use super::log::{self, Entry};
use super::verdict::Judge;
use crate::owner::Owner;
use crate::pi::environment::{COPIES, SIZE};
use crate::pi::run;
use crate::release::bundle;
use crate::shell::BOOT;
use crate::vm::{Machine, Vm};

/// Reading the bundle twice and writing it once, on an emulated processor while a build keeps the host busy.
const INSTALLED: Duration = Duration::from_secs(180);
/// Users and tokens.
const CONFIGURATION: &str = "users.json";
/// Enough for some dozen of the kernel's writes, and quick to write.
const ROOT_LEN: usize = 6 << 20;
const BOOT_LEN: usize = 1 << 20;

/// The card's size: its /data has a second group of blocks, and so a copy of its superblock.
const CARD: u64 = 600 << 20;
/// Grows /data to that size, as at a boot.
const GROWN: &str =
    "farhand grow; until [ $(df -k /data | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2) -gt 200000 ]; do sleep 0.2; done";

pub const INSTALL: &str = "an update is installed";
pub const CONFIRM: &str = "the update is tried and confirmed";

/// Something that the appliance did.
#[derive(Debug, Clone)]
pub struct Phase {
    pub name: String,
    /// The entries that it wrote meanwhile.
    pub entries: Range<usize>,
    /// What the configuration may be after a cut here.
    pub configurations: Vec<String>,
}

#[derive(Debug)]
pub struct Recording {
    pub entries: Vec<Entry>,
    /// The card before entry `begin`.
    pub start: Disk<'static>,
    pub begin: usize,
    pub phases: Vec<Phase>,
    /// A mutant: the same file, written by a program that empties it first.
    pub in_place: Phase,
    pub judge: Judge,
}

/// The recording that all tests judge.
pub fn recording() -> &'static Recording {
    static RECORDING: OnceLock<Recording> = OnceLock::new();
    RECORDING.get_or_init(record)
}

/// The appliance and the phases recorded so far.
struct Appliance {
    vm: Vm,
    log: PathBuf,
    phases: Vec<Phase>,
    configuration: String,
}

impl Appliance {
    /// Runs a phase; after it, the configuration must be what it is then.
    #[track_caller]
    fn phase(&mut self, name: &str, act: impl FnOnce(&mut Vm)) {
        let begin = self.phases.last().map_or_else(|| log::count(&self.log), |phase| phase.entries.end);
        act(&mut self.vm);
        // What is done is on the card without a sync from here: the phase ends with the last flush.
        let entries = begin..log::count(&self.log);
        let before = std::mem::replace(&mut self.configuration, configuration(&mut self.vm));
        let mut configurations = vec![before, self.configuration.clone()];
        configurations.dedup();
        self.phases.push(Phase { name: name.to_owned(), entries, configurations });
    }
}

fn record() -> Recording {
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("out");
    let (folder, image) = (out.join("run/powercut"), out.join("virt/card.img"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("out/ can be written");
    let read = |path: &Path| fs::read(path).expect("there is an image: run 'make image-quick'");
    let old = [read(&out.join("virt/boot.img")), read(&out.join("virt/root.img"))];
    let new = [noise(1, BOOT_LEN), noise(2, ROOT_LEN)];
    let files = ["boot", "root"].map(|part| folder.join(part));
    for (file, image) in files.iter().zip(&new) {
        fs::write(file, image).expect("out/ has room");
    }
    let bundle = bundle("virt", &folder.join("bundle"), &files[0], &files[1]);
    let disk = folder.join("bundle.squashfs");
    run(Command::new("mksquashfs").args([&bundle, &disk]).args([
        "-comp",
        "zstd",
        "-all-root",
        "-quiet",
        "-no-progress",
    ]));
    let mut appliance = boot(&folder, &image, &disk);
    let owner = claim(&mut appliance, &folder);
    appliance.vm.ask(GROWN);
    let parts = parts(&mut appliance.vm);
    appliance.configuration = configuration(&mut appliance.vm);
    let begin = log::count(&appliance.log);

    appliance.phase(INSTALL, |vm| {
        vm.ask("cp /tmp/bundle/bundle /data/install/update && chmod 600 /data/install/update");
        let output = vm.sh_within("/usr/libexec/install-bundle /data/install/update", INSTALLED);
        assert_eq!(0, output.status, "{}", output.text);
    });
    for number in 1..=4 {
        let token = json!({ "name": format!("token-{number}"), "role": "viewer", "expires": null });
        appliance.phase(&format!("token {number} is made"), |_| {
            let answer = owner.post("/api/v1/tokens", &token);
            assert!((200..300).contains(&answer.status), "{answer:?}");
        });
    }
    appliance.phase(CONFIRM, |vm| {
        // As U-Boot counts a try, and as the guard confirms.
        vm.ask("fw_setenv BOOT_B_LEFT 2");
        let script = "BOOT_ORDER=B A\\nBOOT_A_LEFT=3\\nBOOT_B_LEFT=3\\nCONFIRMED=B\\n";
        vm.ask(&format!("printf '{script}' | fw_setenv -s -"));
    });
    appliance.phase("the configuration is written in place", |vm| {
        // Without serve, which sometimes writes the time to this file, and would repair what must be found broken.
        vm.ask("sv -w 10 stop /etc/sv/serve");
        // As the file's owner: in a sticky folder, no other user may do this, not even root.
        let script = format!("cd /data && : >{CONFIGURATION} && sync && cat /tmp/new >{CONFIGURATION} && sync");
        vm.ask(&format!(
            "sed 's/token-1/token-9/' /data/{CONFIGURATION} >/tmp/new && chmod 644 /tmp/new &&
            chpst -u farhand:farhand sh -c '{script}'"
        ));
    });
    let Appliance { vm, log, mut phases, .. } = appliance;
    drop(vm);

    let last = phases.pop().expect("there are phases");
    let entries = log::read(&log, last.entries.end);
    // All tests of this process read it.
    let before: &'static [Entry] = entries[..begin].to_vec().leak();
    let fragile = COPIES[0]..COPIES[1] + SIZE as u64;
    let mut start = Disk::new(&read(&image), fragile);
    before.iter().for_each(|entry| start.feed(entry));
    let judge = Judge { parts, releases: vec![old, new], configuration: CONFIGURATION };
    Recording { entries, start, begin, phases, in_place: last, judge }
}

/// Boots slot A with a card whose writes are recorded and which holds /data, and the bundle at /tmp/bundle/bundle.
fn boot(folder: &Path, image: &Path, bundle: &Path) -> Appliance {
    let (card, log) = (folder.join("card.img"), folder.join("writes.log"));
    run(Command::new("cp").arg("--sparse=always").arg(image).arg(&card));
    // Larger than the image, as an owner's card: /data grows to it, and then has a second superblock.
    fs::File::options().write(true).open(&card).and_then(|card| card.set_len(CARD)).expect("out/ has room");
    fs::File::create(&log).expect("out/ can be written");
    let slot = fs::read_to_string(image.with_file_name("slot.env")).expect("it was made with the card");
    let value = |key: &str| {
        let line = slot.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {key} in slot.env")).to_owned()
    };
    // As U-Boot composes it.
    let root = "PARTUUID=fa7a4d01-06";
    let (before, after) = (value("args_before"), value("args_after"));
    let file = |name: &str, path: &Path| format!("driver=file,node-name={name},filename={}", path.display());
    let more = [
        ["-blockdev", &file("card-file", &card)],
        ["-blockdev", &file("card-log", &log)],
        ["-blockdev", "driver=blklogwrites,node-name=card,file=card-file,log=card-log"],
        // The guest's requests one by one: requests that QEMU merges can exceed what the log can take, and then fail.
        ["-device", "virtio-blk-pci,drive=card,request-merging=off"],
        ["-drive", &format!("if=none,id=bundle,format=raw,readonly=on,file={}", bundle.display())],
        ["-device", "virtio-blk-pci,drive=bundle,serial=bundle"],
    ];
    let line = format!("rauc.slot=A {before} {root} {root} {after} dm-mod.waitfor={root}");
    let mut vm = Machine::named("powercut").kernel(&line).more(more.concat()).boot();
    vm.ask(
        "until [ -e /dev/slots/data ] && grep -q ' /data ' /proc/mounts; do sleep 0.1; done
        for disk in /sys/block/vd*; do
            [ \"$(cat $disk/serial)\" != bundle ] || bundle=/dev/${disk##*/}
        done
        mkdir -p /tmp/bundle && mount -t squashfs -o ro $bundle /tmp/bundle",
    );
    Appliance { vm, log, phases: Vec::new(), configuration: String::new() }
}

/// Moves the appliance to the card's own /data, as on a Pi, and claims it.
fn claim(appliance: &mut Appliance, folder: &Path) -> Owner {
    appliance.vm.wait_console("claim code: ", BOOT);
    appliance.vm.forget_console();
    appliance.vm.ask(
        "sv stop /etc/sv/guard /etc/sv/serve /etc/sv/hands
        mount -t ext4 -o nosuid,nodev,noexec,noatime /dev/slots/data /data &&
        chown root:farhand /data && chmod 1770 /data && cd /data && mkdir -p install rauc state &&
        chmod 700 install rauc && chown root:farhand state && chmod 750 state && cd / &&
        sv start /etc/sv/hands /etc/sv/serve /etc/sv/guard",
    );
    let said = appliance.vm.wait_console("claim code: ", BOOT);
    Owner::claim(appliance.vm.https, folder, said.trim_start_matches("claim code: ").trim())
}

/// Where the parts of the card are, in bytes.
fn parts(vm: &mut Vm) -> BTreeMap<String, (u64, u64)> {
    let said = vm.ask(
        "for part in boot.A root.A boot.B root.B data; do
            block=$(readlink /dev/slots/$part)
            echo $part $(cat /sys/class/block/${block##*/}/start /sys/class/block/${block##*/}/size)
        done",
    );
    let lines = said.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let bytes = |word: usize| words[word].parse::<u64>().expect("a number of sectors") * 512;
            (words[0].to_owned(), (bytes(1), bytes(2)))
        })
        .collect()
}

fn configuration(vm: &mut Vm) -> String {
    vm.ask(&format!("cat /data/{CONFIGURATION}")).trim_end_matches('\r').to_owned()
}

/// Bytes that cannot be compressed, and that are the same in every run.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    (0..len).map(|_| dice.roll(256) as u8).collect()
}
