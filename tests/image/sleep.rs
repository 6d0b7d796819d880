//! Puts the target to sleep: what is typed then costs nothing and is not late, and a person can wake it.
//!
//! The target is the kernel's own USB host, which suspends a keyboard like any other. Our patch has its controller
//! refuse reports meanwhile, as a Pi's does.

use serde_json::json;

use crate::browser;
use crate::owner::{Answer, Owner};
use crate::vm::{BOOT, Machine, Target, Vm};

const STATE: &str = "/sys/class/udc/dummy_udc.0/state";

/// Sets `$usb` to the keyboard as the target's host knows it, and `$node` to where its keys come out. There are two
/// input devices of one name; the keyboard has lamps.
const FIND: &str = "node=; for usb in /sys/bus/usb/devices/*; do
        [ \"$(cat $usb/product 2>/dev/null)\" != 'Remote hands' ] || break
    done
    for input in /sys/class/input/event*; do
        [ \"$(cat $input/device/capabilities/led)\" = 0 ] || node=/dev/input/${input##*/}
    done";

/// Has the host suspend the keyboard, once it is idle. From then on, it stays awake once it is woken.
fn sleep(vm: &mut Vm) {
    vm.ask(&format!(
        "{FIND}
        echo 0 >$usb/power/autosuspend_delay_ms; echo auto >$usb/power/control
        until [ $(cat {STATE}) = suspended ]; do sleep 0.1; done
        echo 600000 >$usb/power/autosuspend_delay_ms"
    ));
}

/// Waits until the appliance knows this state of the target.
fn known(owner: &Owner, state: &str) {
    let is_so = || owner.get("/api/v1/seats/main").body["udc"]["state"] == state;
    owner.until(&format!("the target is {state}"), BOOT, is_so);
}

/// How much processor time the hands have taken, in hundredths of a second.
fn spent(vm: &mut Vm) -> u64 {
    let times = vm.ask("cut -d' ' -f14,15 /proc/$(cat /run/sv/hands/pid)/stat");
    times.split_whitespace().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// The key codes that were pressed at the target, once there is a whole stroke.
fn pressed(vm: &mut Vm) -> Vec<u64> {
    // A stroke is two times three events.
    vm.ask("until [ $(wc -c </tmp/keys) -ge 144 ]; do sleep 0.1; done");
    // struct input_event: two 64-bit times, type, code, value. EV_KEY is 1, and 1 is down.
    let events = vm.ask("od -v -d /tmp/keys");
    let numbers = |line: &str| line.split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect::<Vec<u64>>();
    let events: Vec<u64> = events.lines().flat_map(numbers).collect();
    events.chunks_exact(12).filter(|event| (event[8], event[10]) == (1, 1)).map(|event| event[9]).collect()
}

fn code(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["error"]["code"].as_str().unwrap_or_default())
}

#[test]
fn a_target_that_sleeps_gets_nothing_late_and_wakes_when_somebody_asks() {
    let mut vm = Machine::named("sleep").with(Target::Usb).boot();
    let owner = Owner::claim(vm.https, &vm.folder, &browser::claim_code(&vm));
    known(&owner, "configured");
    let keys = |text: &str| owner.post("/api/v1/seats/main/keys", &json!({ "text": text }));
    let wake = || owner.post("/api/v1/seats/main/wake", &json!({}));
    assert_eq!((409, "not-asleep"), code(&wake()));

    // As it comes, the first key wakes it.
    vm.ask(&format!("{FIND}; cat $node >/tmp/keys &"));
    sleep(&mut vm);
    known(&owner, "suspended");
    let typed = keys("c");
    assert_eq!(200, typed.status, "{typed:?}");
    assert_eq!([46], pressed(&mut vm)[..]);

    // With other hands, which wake it when somebody asks for that alone.
    vm.ask(&format!(
        "{FIND}; gone=$(cat $usb/devnum)
        printf '\\n[seats.main.usb]\\nwake = \"button\"\\n' >>/run/farhand.toml; sv -w 20 restart /etc/sv/hands
        until {FIND}; [ -c \"$node\" ] && [ \"$(cat $usb/devnum)\" != $gone ]; do sleep 0.1; done
        cat $node >/tmp/keys &"
    ));
    sleep(&mut vm);
    known(&owner, "suspended");
    let before = spent(&mut vm);
    let refused = keys("a");
    assert_eq!(503, refused.status, "{refused:?}");
    let took = spent(&mut vm) - before;
    assert!(took < 50, "{took} hundredths of a second for a key that nobody takes");
    // A key does not wake it: that was not asked for.
    assert_eq!("suspended", vm.ask(&format!("cat {STATE}")).trim());

    let woken = wake();
    assert_eq!(202, woken.status, "{woken:?}");
    known(&owner, "configured");
    assert_eq!("active", vm.ask(&format!("{FIND}; cat $usb/power/runtime_status")).trim());
    let typed = keys("b");
    assert_eq!(200, typed.status, "{typed:?}");
    // KEY_B, and not the "a" of before.
    assert_eq!([48], pressed(&mut vm)[..]);
}
