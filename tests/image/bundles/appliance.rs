//! Boots the card with its slots, and offers it bundles.
//!
//! Kernel and command line are what U-Boot would take out of slot A, so the root is the card's own,
//! behind dm-verity. The card is written to a file that is thrown away.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::forge::Forge;
use crate::browser::claim_code;
use crate::owner::Owner;
use crate::vm::Vm;

/// How the slots and U-Boot's environment stand.
#[derive(Debug, PartialEq)]
pub struct Slots {
    environment: String,
    /// Sectors written to boot.A, root.A, boot.B and root.B since the start, as the kernel counts them.
    written: [u64; 4],
}

/// What happens to a bundle on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Damage {
    /// Only so many bytes arrive.
    Cut(usize),
    /// The byte at an offset arrives with some bits changed.
    Flip(usize, u8),
}

pub struct Appliance {
    pub vm: Vm,
    running: String,
    next: &'static str,
}

impl Appliance {
    /// Boots slot A with all that was forged on a disc at /tmp/forge.
    pub fn boot(name: &str, forge: &Forge) -> Appliance {
        let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/virt");
        let disc = forge.disc.with_extension("squashfs");
        let made = Command::new("mksquashfs")
            .args([&forge.disc, &disc])
            .args(["-comp", "zstd", "-all-root", "-quiet", "-no-progress"])
            .output();
        assert!(made.is_ok_and(|made| made.status.success()), "cannot pack {}", forge.disc.display());
        let slot = fs::read_to_string(out.join("slot.env")).expect("there is a card: run 'make image-quick'");
        let value = |key: &str| {
            let line = slot.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("no {key} in slot.env")).to_owned()
        };
        let root = "PARTUUID=fa7a4d01-06";
        let line =
            format!("rauc.slot=A {} {root} {root} {} dm-mod.waitfor={root}", value("args_before"), value("args_after"));
        let card = format!("if=none,id=card,format=raw,snapshot=on,file={}", out.join("card.img").display());
        let disc = format!("if=none,id=forge,format=raw,readonly=on,file={}", disc.display());
        let more = [
            ["-append", &line],
            ["-drive", &card],
            ["-device", "virtio-blk-pci,drive=card"],
            ["-drive", &disc],
            ["-device", "virtio-blk-pci,drive=forge,serial=forge"],
        ];
        let more: Vec<String> = more.concat().into_iter().map(str::to_owned).collect();
        let vm = Vm::boot_with(name, &more);
        let mut appliance = Appliance { vm, running: String::new(), next: "good" };
        appliance.mount_disc();
        appliance.running = appliance.running_slot();
        appliance
    }

    /// Shows the disc with the bundles to a system that has just started.
    #[track_caller]
    pub fn mount_disc(&mut self) {
        self.vm.ask(
            "until [ -d /data/install ]; do sleep 0.1; done
            for disc in /sys/block/vd*; do
                [ \"$(cat $disc/serial)\" != forge ] || forge=/dev/${disc##*/}
            done
            mkdir -p /tmp/forge && mount -t squashfs -o ro $forge /tmp/forge",
        );
    }

    /// Boots it, and claims it once it serves its page.
    #[track_caller]
    pub fn claimed(name: &str, forge: &Forge) -> (Appliance, Owner) {
        let appliance = Appliance::boot(name, forge);
        let owner = Owner::claim(appliance.vm.https, &forge.disc, &claim_code(&appliance.vm));
        (appliance, owner)
    }

    /// Copies a bundle to where the hands would have moved it, as root's own. Where uploads arrive is not ours to make.
    pub fn spool(&mut self, name: &str) {
        self.vm.ask(&format!("cp /tmp/forge/{name}.raucb /data/install/update && chmod 600 /data/install/update"));
    }

    /// A bundle is refused for a reason; and the next good one is taken.
    #[track_caller]
    pub fn refuses(&mut self, name: &str, reason: &str) {
        self.refuses_alone(name, reason);
        // Another each time, or it would be there already.
        self.next = if self.next == "good" { "other" } else { "good" };
        self.takes(self.next);
    }

    /// A bundle is refused for a reason, and nothing at all has changed.
    #[track_caller]
    pub fn refuses_alone(&mut self, name: &str, reason: &str) {
        let before = self.slots();
        self.spool(name);
        let output = self.vm.sh("/usr/libexec/install-bundle /data/install/update");
        assert_eq!(1, output.status, "{name}: {}", output.text);
        assert!(output.text.contains(reason), "{name} was refused, but not for {reason:?}: {}", output.text);
        assert_eq!(before, self.slots(), "{name} left something behind: {}", output.text);
    }

    /// A bundle is written to slot B as it is, and will be tried next.
    #[track_caller]
    pub fn takes(&mut self, name: &str) {
        self.spool(name);
        let output = self.vm.sh("/usr/libexec/install-bundle /data/install/update");
        assert_eq!(0, output.status, "{name}: {}", output.text);
        self.holds(name);
    }

    /// Begins to install a bundle and stops when it is mounted: judged by its signature, and not yet read.
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

    /// Stops whatever installation there is as soon as its bundle is mounted.
    #[track_caller]
    pub fn halt(&mut self) {
        self.vm.ask("until grep -q /run/rauc/bundle /proc/mounts; do :; done");
        self.signal("STOP");
    }

    /// Lets it go on.
    #[track_caller]
    pub fn go_on(&mut self) {
        self.signal("CONT");
    }

    /// Lets what was begun go on, and returns how it ended.
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

    /// Offers `good` with each damage and returns those that were taken all the same. Nothing moves, unless one was.
    ///
    /// Two at a time, because an emulated processor takes its time: by rauc itself, whose configuration is
    /// changed in nothing but where it mounts and takes notes.
    #[track_caller]
    pub fn offer_damaged(&mut self, good: &[u8], damages: &[Damage]) -> Vec<Damage> {
        let before = self.slots();
        let mut script = String::from(
            "good=/tmp/forge/good.raucb
            cut() { head -c $2 $good >/data/install/damaged.$1; }
            flip() { { head -c $2 $good; printf \"\\\\$3\"; tail -c +$(($2 + 2)) $good; } >/data/install/damaged.$1; }
            offer() {
                rauc --conf /run/offer.$1 install /data/install/damaged.$1 >/run/offer.$1.log 2>&1
                # It may crash once all is done.
                if grep -q '^Installing .* succeeded' /run/offer.$1.log; then echo taken $2; else echo refused $2; fi
            }
            umask 077
            for n in 0 1; do
                sed \"s|^mountprefix=.*|mountprefix=/run/offer.$n.mnt|; s|^data-directory=.*|data-directory=/data/offer.$n|\" \\
                    /etc/rauc/system.conf >/run/offer.$n
            done\n",
        );
        for n in 0..2 {
            script.push_str("{\n");
            for (index, damage) in damages.iter().enumerate().skip(n).step_by(2) {
                let damage = match *damage {
                    Damage::Cut(len) => format!("cut {n} {len}"),
                    Damage::Flip(at, bits) => format!("flip {n} {at} {:03o}", good[at] ^ bits),
                };
                script.push_str(&format!("{damage}; offer {n} {index}\n"));
            }
            script.push_str(&format!("}} >/run/offer.{n}.said &\n"));
        }
        script.push_str("wait; cat /run/offer.0.said /run/offer.1.said");
        let said = self.vm.ask(&script);
        let mut taken = Vec::new();
        let mut heard = 0;
        for line in said.lines().filter(|line| !line.is_empty()) {
            let (verdict, index) = line.split_once(' ').unwrap_or_else(|| panic!("{said}"));
            heard += 1;
            if verdict == "taken" {
                taken.push(damages[index.parse::<usize>().unwrap()]);
            }
        }
        assert_eq!(damages.len(), heard, "{said}");
        if taken.is_empty() {
            assert_eq!(before, self.slots(), "a refused bundle left something behind");
        }
        taken
    }

    /// Slot B holds the images of a bundle and is the next to be tried; slot A is as it was.
    #[track_caller]
    pub fn holds(&mut self, name: &str) {
        let found = self.vm.ask(&format!(
            "for image in root boot; do
                file=/tmp/forge/{name}.$image.img
                head -c $(stat -c %s $file) /dev/slots/$image.B | sha256sum
                sha256sum <$file
            done"
        ));
        let sums: Vec<_> = found.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(4, sums.len(), "{found}");
        assert_eq!([sums[0], sums[2]], [sums[1], sums[3]], "slot B does not hold {name}");
        let slots = self.slots();
        for line in ["BOOT_ORDER=B A", "BOOT_B_LEFT=3", "BOOT_A_LEFT=3", "CONFIRMED=A"] {
            assert!(slots.environment.lines().any(|found| found == line), "no {line} in {}", slots.environment);
        }
        assert_eq!([0, 0], slots.written[..2], "the running slot was written");
    }

    /// The running slot is, to the last byte, as it was at the start.
    #[track_caller]
    pub fn runs_what_it_ran(&mut self) {
        let now = self.running_slot();
        assert_eq!(self.running, now);
    }

    fn running_slot(&mut self) -> String {
        self.vm.ask("sha256sum /dev/slots/boot.A /dev/slots/root.A")
    }

    /// How they stand now.
    #[track_caller]
    pub fn slots(&mut self) -> Slots {
        let environment = self.vm.ask("fw_printenv");
        let written = self.vm.ask(
            "sync; for slot in boot.A root.A boot.B root.B; do
                part=$(readlink /dev/slots/$slot)
                read -r _ _ _ _ _ _ sectors _ </sys/class/block/${part##*/}/stat
                echo $sectors
            done",
        );
        let written: Vec<u64> = written.split_whitespace().map(|sectors| sectors.parse().unwrap()).collect();
        Slots { environment, written: written.try_into().expect("four numbers") }
    }
}
