//! Boots the card with its slots, and offers it bundles.
//!
//! Kernel and command line are what U-Boot would take from slot A, so the root is the card's own, behind dm-verity. The
//! card is a file, so its slots are read from outside.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::forge::Forge;
use crate::browser::claim_code;
use crate::owner::Owner;
use crate::pi::{A, B, Card, Part};
use crate::vm::{Machine, Vm};

/// U-Boot's environment, and how many sectors were written to boot.A, root.A, boot.B and root.B since the start, as the
/// kernel counts them: writing the same byte again counts too.
#[derive(Debug, PartialEq)]
pub struct Slots {
    environment: String,
    written: [u64; 4],
}

/// Damage to a bundle on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Damage {
    /// Only so many bytes arrive.
    Cut(usize),
    /// The byte at an offset arrives with some bits changed.
    Flip(usize, u8),
}

impl Damage {
    /// The bundle as it arrives.
    pub fn done_to(self, bundle: &[u8]) -> Vec<u8> {
        let mut bundle = bundle.to_vec();
        match self {
            Damage::Cut(len) => bundle.truncate(len),
            Damage::Flip(at, bits) => bundle[at] ^= bits,
        }
        bundle
    }
}

pub struct Appliance {
    pub vm: Vm,
    pub card: Card,
    forge: Forge,
}

impl Appliance {
    /// Boots slot A with all forged files on a disk at /tmp/forge.
    pub fn boot(name: &str, forge: &Forge) -> Appliance {
        let disk = forge.disk.with_extension("squashfs");
        let made = Command::new("mksquashfs")
            .args([&forge.disk, &disk])
            // Signed files are compressed already.
            .args(["-noappend", "-comp", "zstd", "-noD", "-all-root", "-quiet", "-no-progress"])
            .output();
        assert!(made.is_ok_and(|made| made.status.success()), "cannot pack {}", forge.disk.display());
        let built = Card::built("virt");
        let slot = fs::read_to_string(built.folder.join("slot.env")).expect("there is a card: run 'make image-quick'");
        let value = |key: &str| {
            let line = slot.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("no {key} in slot.env")).to_owned()
        };
        let root = "PARTUUID=fa7a4d01-06";
        let line =
            format!("rauc.slot=A {} {root} {root} {} dm-mod.waitfor={root}", value("args_before"), value("args_after"));
        let card = Card::exact_copy_of(name, &built.path());
        // Readers of the file see what the guest has written, whether or not it is on this machine's own disk.
        let drive = format!("if=none,id=card,format=raw,cache=unsafe,file={}", card.path().display());
        let disk = format!("if=none,id=forge,format=raw,readonly=on,file={}", disk.display());
        let more = [
            ["-drive", &drive],
            ["-device", "virtio-blk-pci,drive=card"],
            ["-drive", &disk],
            ["-device", "virtio-blk-pci,drive=forge,serial=forge"],
        ];
        let vm = Machine::named(name).kernel(&line).more(more.concat()).boot();
        let mut appliance = Appliance { vm, card, forge: forge.clone() };
        appliance.mount_disk();
        appliance
    }

    /// Mounts the disk with the bundles in a system that has just started.
    #[track_caller]
    pub fn mount_disk(&mut self) {
        self.vm.ask(
            "until [ -d /data/install ]; do sleep 0.1; done
            for disk in /sys/block/vd*; do
                [ \"$(cat $disk/serial)\" != forge ] || forge=/dev/${disk##*/}
            done
            mkdir -p /tmp/forge && mount -t squashfs -o ro $forge /tmp/forge",
        );
    }

    /// Boots it, and claims it once it serves the page.
    #[track_caller]
    pub fn claimed(name: &str, forge: &Forge) -> (Appliance, Owner) {
        let appliance = Appliance::boot(name, forge);
        let owner = Owner::claim(appliance.vm.https, &forge.disk, &claim_code(&appliance.vm));
        (appliance, owner)
    }

    /// Where a bundle is on this machine.
    pub fn file(&self, name: &str) -> PathBuf {
        self.forge.file(name)
    }

    /// Copies a bundle, owned by root, to where the hands would have moved it. This must not create the folder where
    /// uploads arrive.
    pub fn spool(&mut self, name: &str) {
        self.vm.ask(&format!("cp /tmp/forge/{name}.raucb /data/install/update && chmod 600 /data/install/update"));
    }

    /// Checks that a bundle is refused for this reason, and that nothing has changed.
    #[track_caller]
    pub fn refuses(&mut self, name: &str, reason: &str) {
        let before = self.slots();
        self.spool(name);
        let output = self.vm.sh("/usr/libexec/install-bundle /data/install/update");
        assert_eq!(1, output.status, "{name}: {}", output.text);
        assert!(output.text.contains(reason), "{name} was refused, but not for {reason:?}: {}", output.text);
        assert_eq!(before, self.slots(), "{name} changed something: {}", output.text);
    }

    /// Checks that a bundle is written to slot B as it is, and will be tried next.
    #[track_caller]
    pub fn takes(&mut self, name: &str) {
        self.spool(name);
        let output = self.vm.sh("/usr/libexec/install-bundle /data/install/update");
        assert_eq!(0, output.status, "{name}: {}", output.text);
        self.holds(name);
    }

    /// Begins to install a bundle and pauses when it is mounted: its signature has been checked, its contents have not
    /// been read.
    #[track_caller]
    pub fn begin(&mut self, name: &str) {
        self.spool(name);
        self.vm.ask(
            "rm -f /run/first
            { /usr/libexec/install-bundle /data/install/update; echo $? >/run/first; } >/run/first.log 2>&1 &",
        );
        self.halt();
        self.vm.ask("[ ! -e /run/first ]");
    }

    /// Pauses the current installation as soon as its bundle is mounted.
    #[track_caller]
    pub fn halt(&mut self) {
        self.vm.ask("until grep -q /run/rauc/bundle /proc/mounts; do :; done");
        self.signal("STOP");
    }

    /// Resumes the installation.
    #[track_caller]
    pub fn go_on(&mut self) {
        self.signal("CONT");
    }

    /// Resumes the installation, and returns how it ended.
    #[track_caller]
    pub fn finish(&mut self) -> i32 {
        self.go_on();
        let status = self.vm.ask("until [ -s /run/first ]; do sleep 0.1; done; cat /run/first");
        status.trim().parse().expect("an exit status")
    }

    #[track_caller]
    fn signal(&mut self, signal: &str) {
        self.vm.ask(&format!(
            "for process in /proc/[0-9]*; do
                if read -r name <$process/comm && [ $name = rauc ]; then kill -{signal} ${{process##*/}}; fi
            done"
        ));
    }

    /// Offers `good` with each damage and returns those that were accepted nevertheless. Unless one was, nothing has
    /// changed.
    #[track_caller]
    pub fn offer_damaged(&mut self, good: &[u8], damages: &[Damage]) -> Vec<Damage> {
        let before = self.slots();
        let mut script = String::from(
            "good=/tmp/forge/good.raucb update=/data/install/update
            cut() { head -c $1 $good >$update; }
            flip() { { head -c $1 $good; printf \"\\$2\"; tail -c +$(($1 + 2)) $good; } >$update; }
            umask 077\n",
        );
        for damage in damages {
            script.push_str(&match *damage {
                Damage::Cut(len) => format!("cut {len}\n"),
                Damage::Flip(at, bits) => format!("flip {at} {:03o}\n", good[at] ^ bits),
            });
            // The verdict that the owner sees.
            script.push_str("/usr/libexec/install-bundle $update >/run/offer.log 2>&1; echo $?\n");
        }
        let said = self.vm.ask(&script);
        let verdicts: Vec<_> = said.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(damages.len(), verdicts.len(), "{said}");
        let mut taken = Vec::new();
        for (damage, verdict) in damages.iter().zip(verdicts) {
            match verdict {
                "0" => taken.push(*damage),
                verdict => assert_eq!("1", verdict, "{damage:?} was neither taken nor refused"),
            }
        }
        if taken.is_empty() {
            assert_eq!(before, self.slots(), "a refused bundle changed something");
        }
        taken
    }

    /// Checks that slot B holds the images of a bundle and is tried next, and that slot A is as it was.
    #[track_caller]
    pub fn holds(&mut self, name: &str) {
        // Before the card is read from outside: this has the guest write everything to it.
        let slots = self.slots();
        for (part, image) in [(Part::Boot(B), "boot.img"), (Part::Root(B), "root.img")] {
            let image = fs::read(self.forge.image(name, image)).unwrap();
            assert!(self.card.holds(part, &image), "{part:?} is not {name}'s");
        }
        for line in ["BOOT_ORDER=B A", "BOOT_B_LEFT=3", "BOOT_A_LEFT=3", "CONFIRMED=A"] {
            assert!(slots.environment.lines().any(|found| found == line), "no {line} in {}", slots.environment);
        }
        assert_eq!([0, 0], slots.written[..2], "the running slot was written");
    }

    /// Checks that the running slot is, to the last byte, as it was at the start.
    #[track_caller]
    pub fn runs_what_it_ran(&mut self) {
        self.vm.ask("sync");
        assert!(self.card.has_same(A, &Card::built("virt")), "the running slot was written");
    }

    /// The state of the slots now.
    #[track_caller]
    pub fn slots(&mut self) -> Slots {
        let said = self.vm.ask(
            "sync; fw_printenv; written=
            for slot in boot.A root.A boot.B root.B; do
                part=$(readlink /dev/slots/$slot)
                read -r _ _ _ _ _ _ sectors _ </sys/class/block/${part##*/}/stat
                written=\"$written $sectors\"
            done
            echo \"written:$written\"",
        );
        let (environment, written) = said.split_once("written:").expect("it was printed last");
        let written: Vec<u64> = written.split_whitespace().map(|sectors| sectors.parse().unwrap()).collect();
        Slots { environment: environment.to_owned(), written: written.try_into().expect("four numbers") }
    }
}
