//! What reaches the target, and what its owner is told.

use std::io;
use std::time::Duration;

use farhand::base::front_panel::{Contact, Lamps};
use farhand::base::seat_id::SeatId;
use farhand::base::usb::{KeyboardLeds, Keys, Report};
use farhand::hands::client::{HandsError, Input, Owner, Requester};
use farhand::hid::keyboard::Usage;
use farhand::hid::text::strokes;
use farhand::ports::UsbEvent;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::bench::*;
use crate::machine::{State, Target, down};

/// The report of one key without modifiers.
fn first(key: u8) -> Report {
    down(0, &[key])
}

#[tokio::test]
async fn keys_reach_the_target_in_order() {
    let bench = Bench::new().await;
    for usage in [A, B] {
        bench.key(ANNA, usage, true);
        bench.key(ANNA, usage, false);
    }
    bench.machine.until("four reports", |state| state.reports.len() == 4).await;
    let keys = bench.machine.look(|state| state.reports.clone());
    assert_eq!([first(4), first(0), first(5), first(0)].as_slice(), keys);
}

#[tokio::test]
async fn who_leaves_takes_only_their_own_keys() {
    let bench = Bench::new().await;
    bench.key(ANNA, A, true);
    bench.key(BERT, A, true);
    bench.key(ANNA, B, true);
    bench.machine.until_keys([0, 0, 4, 5, 0, 0, 0, 0]).await;
    bench.input(ANNA, Input::Release).unwrap();
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    bench.input(BERT, Input::Release).unwrap();
    bench.machine.until_keys([0; 8]).await;
}

#[tokio::test(start_paused = true)]
async fn a_press_is_answered_when_closed_and_ends_by_itself() {
    let bench = Bench::new().await;
    bench.hands.press(&seat(), Contact::Power, HALF).await.unwrap();
    assert_eq!([Contact::Power].as_slice(), bench.machine.look(State::closed));
    let busy = bench.hands.press(&seat(), Contact::Reset, HALF).await;
    assert_eq!(Err(HandsError::Busy(Contact::Power)), busy);
    bench.machine.until("the relay is open", |state| state.closed().is_empty()).await;
    let press = bench.machine.look(State::press);
    assert!((HALF..=HALF + Duration::from_millis(2)).contains(&press), "{press:?}");
    bench.hands.press(&seat(), Contact::Reset, HALF).await.unwrap();
}

#[tokio::test]
async fn presses_that_cannot_be_are_refused_with_the_reason() {
    let bench = Bench::new().await;
    for time in [Duration::from_millis(49), Duration::from_millis(12_001), Duration::MAX] {
        assert_eq!(Err(HandsError::Length), bench.hands.press(&seat(), Contact::Power, time).await);
    }
    bench.machine.change(|state| state.relay = Err(io::ErrorKind::Unsupported));
    let press = bench.hands.press(&seat(), Contact::Power, HALF).await;
    assert_eq!(Err(HandsError::NoRelay(Contact::Power)), press);
    bench.machine.change(|state| state.relay = Err(io::ErrorKind::BrokenPipe));
    let press = bench.hands.press(&seat(), Contact::Power, HALF).await;
    assert!(matches!(press, Err(HandsError::Relay(_))), "{press:?}");
    let elsewhere = SeatId::try_from("elsewhere".to_string()).unwrap();
    assert_eq!(Err(HandsError::Away), bench.hands.press(&elsewhere, Contact::Power, HALF).await);
    assert!(bench.machine.look(State::closed).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_text_is_answered_when_its_last_release_was_fetched() {
    let bench = Bench::new().await;
    bench.hands.type_strokes(&seat(), by(ANNA), strokes("Hi\n").unwrap()).await.unwrap();
    let keys: Vec<_> = bench.machine.look(|state| {
        let key = |report: &Report| if let Report::Keys(keys) = report { keys.usages[0] } else { 0 };
        state.reports.iter().map(key).filter(|key| *key != 0).collect()
    });
    assert_eq!([0x0B, 0x0C, 0x28].as_slice(), keys);
    assert_eq!([0; 8], bench.machine.look(State::keys));
    bench.hands.chord(&seat(), by(ANNA), vec![Usage(0xE0), Usage(0x4C)]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_persons_waiting_texts_never_refuse_anothers() {
    let bench = Bench::new().await;
    let long = strokes(&"x".repeat(100)).unwrap();
    let mut annas = JoinSet::new();
    for request in 10..19 {
        // Each request is an owner of its own; the person is the same.
        let (hands, long, by) = (bench.hands.clone(), long.clone(), Requester { owner: Owner(request), ..by(ANNA) });
        annas.spawn(async move { hands.type_strokes(&seat(), by, long).await });
    }
    let refused = soon("one is refused", annas.join_next()).await.unwrap().unwrap();
    assert_eq!(Err(HandsError::TooMany), refused);
    let seat = seat();
    let berts = bench.hands.type_strokes(&seat, by(BERT), strokes("b").unwrap());
    assert_eq!(Ok(()), soon("Bert's is typed", berts).await);
    let is_typed = |state: &State, usage| state.reports.iter().filter(|keys| **keys == first(usage)).count();
    assert_eq!(
        (100, 1),
        bench.machine.look(|state| (is_typed(state, 0x1B), is_typed(state, 5))),
        "each whole, in turn"
    );
    assert_eq!(vec![Ok(()); 8], soon("Anna's are typed", annas.join_all()).await);
}

#[tokio::test]
async fn a_text_that_nobody_waits_for_is_stopped() {
    let bench = Bench::new().await;
    let text = strokes(&"x".repeat(1000)).unwrap();
    {
        let seat = seat();
        let typing = bench.hands.type_strokes(&seat, by(ANNA), text);
        tokio::select! {
            _ = typing => panic!("a thousand keys cannot have been typed yet"),
            () = bench.machine.until("typing has begun", |state| state.keys()[2] == 0x1B) => (),
        }
    }
    bench.hands.chord(&seat(), by(BERT), vec![A]).await.unwrap();
    let typed = bench.machine.look(|state| state.reports.len());
    assert!(typed < 1000, "{typed} reports");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_fetches_nothing_is_reported_and_gets_nothing_late() {
    let bench = Bench::new().await;
    bench.machine.target(Target::Ignores);
    let typing = bench.hands.type_strokes(&seat(), by(ANNA), strokes("rm").unwrap()).await;
    assert_eq!(Err(HandsError::Stale), typing);
    bench.machine.target(Target::Fetches);
    bench.hands.chord(&seat(), by(ANNA), vec![B]).await.unwrap();
    let r = down(0, &[0x15]);
    assert!(!bench.machine.look(|state| state.reports.contains(&r)), "a stale key was replayed");
}

#[tokio::test(start_paused = true)]
async fn a_sleeping_target_is_asked_twice_a_second_at_most() {
    let mut bench = Bench::new().await;
    bench.input(ANNA, Input::Pointer { x: 1, y: 1, buttons: 1 }).unwrap();
    bench.machine.until("the button is down", |state| state.buttons() == 1).await;
    bench.machine.target(Target::Sleeps);
    bench.key(ANNA, A, true);
    let begun = Instant::now();
    let before = bench.machine.look(|state| state.offers);
    for at in 0..2000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        bench.input(ANNA, Input::Pointer { x: at, y: 1, buttons: 0 }).unwrap();
    }
    let asked = bench.machine.look(|state| state.offers) - before;
    assert!(bench.status.now().target.asleep);
    bench.key(ANNA, A, false);
    let seconds = begun.elapsed().as_secs() as usize;
    assert!((seconds..=2 * seconds + 4).contains(&asked), "asked {asked} times in {seconds} s");
    assert_eq!(HandsError::Stale, soon("the drop is told", bench.anna.1.next()).await);
    // The last movement came while it slept.
    tokio::time::sleep(Duration::from_millis(5)).await;
    bench.machine.change(|state| state.reports.clear());
    bench.machine.target(Target::Fetches);
    let is_move = |report: &&Report| matches!(report, Report::Point(_));
    bench.machine.until("the button is up", move |state| state.reports.iter().any(|report| is_move(&report))).await;
    bench.known("it is awake", |bench| !bench.status.now().target.asleep).await;
    bench.machine.look(|state| {
        let moves = state.reports.iter().filter(is_move).count();
        assert_eq!((1, 0), (moves, state.buttons()), "no movement comes late");
        assert!(state.reports.iter().all(|report| is_move(&report) || *report == first(0)), "a key comes late");
    });
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_resumes_is_asked_at_once() {
    let bench = Bench::new().await;
    bench.machine.udc("suspended");
    bench.machine.target(Target::Sleeps);
    let is_known = |bench: &Bench| bench.status.now().target.udc.is_some_and(|udc| udc.state == "suspended");
    bench.known("it sleeps", is_known).await;
    bench.key(ANNA, A, true);
    let asked = bench.machine.look(|state| state.offers);
    bench.machine.until("it is asked", move |state| asked < state.offers).await;
    let resumed = Instant::now();
    bench.machine.target(Target::Fetches);
    bench.machine.udc("configured");
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    assert!(resumed.elapsed() < Duration::from_millis(100), "{:?}", resumed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_controller_has_is_taken_back_from_a_target_that_hangs() {
    let mut bench = Bench::new().await;
    bench.key(ANNA, B, true);
    bench.key(ANNA, B, false);
    bench.key(ANNA, A, true);
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    bench.machine.target(Target::Ignores);
    bench.key(ANNA, A, false);
    assert_eq!(HandsError::Stale, soon("the drop is told", bench.anna.1.next()).await);
    bench.machine.until("it is plugged in again", |state| state.replugs == 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(1, bench.machine.look(|state| state.replugs), "once, until it fetches again");
}

#[tokio::test(start_paused = true)]
async fn keys_that_go_stale_are_told_to_their_owner_and_nobody_else() {
    let mut bench = Bench::new().await;
    bench.machine.target(Target::Ignores);
    bench.key(ANNA, A, true);
    bench.key(ANNA, A, false);
    assert_eq!(HandsError::Stale, soon("the drop is told", bench.anna.1.next()).await);
    assert!(timeout(HALF, bench.bert.1.next()).await.is_err());
    assert_eq!(Ok(()), bench.input(BERT, Input::Release));
}

#[tokio::test]
async fn a_burst_of_one_loses_nothing_and_costs_nobody_else_anything() {
    let bench = Bench::new().await;
    let shift = Usage(0xE1);
    bench.key(ANNA, shift, true);
    bench.machine.until_keys([2, 0, 0, 0, 0, 0, 0, 0]).await;
    let (hands, text) = (bench.hands.clone(), strokes(&"x".repeat(50)).unwrap());
    let typing = tokio::spawn(async move { hands.type_strokes(&seat(), by(Owner(3)), text).await });
    bench.machine.until("typing has begun", |state| state.keys()[2] == 0x1B).await;
    let burst = async {
        for n in 0..3000 {
            bench.bert.0.room().await;
            assert_eq!(Ok(()), bench.bert.0.send(Input::Key { usage: B, down: n % 2 == 0 }));
        }
    };
    soon("the burst is taken", burst).await;
    assert_eq!(Ok(()), soon("the text is typed", typing).await.unwrap());
    bench.input(BERT, Input::Key { usage: A, down: true }).unwrap();
    bench.machine.until("the last key of the burst came", |state| state.keys() == [2, 0, 4, 0, 0, 0, 0, 0]).await;
    bench.machine.look(|state| {
        let keys = state.reports.iter().filter_map(|report| match report {
            Report::Keys(keys) => Some(*keys),
            Report::Point(_) => None,
        });
        let keys: Vec<_> = keys.skip_while(|keys| keys.modifiers == 0).collect();
        let is_typing = |keys: &Keys| keys.usages.contains(&0x1B);
        assert!(keys.iter().all(|keys| keys.modifiers == 0 || !is_typing(keys)), "Shift is up for what is typed");
        let is_down = |usage: Usage| keys.iter().map(move |keys| keys.usages.contains(&usage.0));
        let presses = |usage| is_down(usage).zip(is_down(usage).skip(1)).filter(|(before, after)| !before && *after);
        assert_eq!(1500, presses(B).count());
        assert_eq!(50, presses(Usage(0x1B)).count());
    });
}

#[tokio::test]
async fn an_unplugged_target_refuses_keys_at_once_but_never_a_release() {
    let bench = Bench::new().await;
    bench.key(ANNA, A, true);
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    bench.machine.target(Target::Unplugged);
    bench.machine.udc("not attached");
    bench.known("unplugged", |bench| !bench.status.now().target.takes_keys()).await;
    let key = Input::Key { usage: A, down: true };
    assert_eq!(Err(HandsError::Unplugged), bench.input(ANNA, key));
    assert_eq!(Err(HandsError::Unplugged), bench.hands.chord(&seat(), by(ANNA), vec![A]).await);
    assert_eq!(Ok(()), bench.input(ANNA, Input::Release));
    bench.machine.target(Target::Fetches);
    bench.machine.udc("configured");
    bench.known("plugged in", |bench| bench.status.now().target.takes_keys()).await;
    bench.key(BERT, B, true);
    // It has forgotten the first, so that there is nothing to release.
    bench.machine.until_keys([0, 0, 5, 0, 0, 0, 0, 0]).await;
}

#[tokio::test]
async fn what_is_held_when_the_target_takes_the_keyboard_arrives_and_nothing_older() {
    let bench = Bench::new().await;
    let key = |owner, usage, down| bench.input(owner, Input::Key { usage, down });
    bench.machine.target(Target::Unplugged);
    bench.machine.udc("not attached");
    bench.known("unplugged", |bench| !bench.status.now().target.takes_keys()).await;
    assert_eq!(Err(HandsError::Unplugged), key(ANNA, A, true));
    assert_eq!((Err(HandsError::Unplugged), Ok(())), (key(BERT, B, true), key(BERT, B, false)));
    bench.machine.target(Target::Fetches);
    // Takes the keyboard at its start, then again after a reset, and after one that came and went unseen.
    for states in [["configured"].as_slice(), &["default", "configured"], &["configured"]] {
        bench.machine.change(|state| state.reports.clear());
        states.iter().for_each(|state| bench.machine.udc(state));
        bench.machine.until("the key is down", |state| state.reports.contains(&first(4))).await;
        assert!(!bench.machine.look(|state| state.reports.contains(&first(5))), "an old stroke arrives");
    }
    bench.input(ANNA, Input::Release).unwrap();
    bench.machine.until_keys([0; 8]).await;
    bench.machine.change(|state| state.reports.clear());
    bench.machine.udc("default");
    bench.machine.udc("configured");
    // Known by then to take keys or not, it gets this one.
    let _ = key(BERT, B, true);
    bench.machine.until("the other key is down", |state| state.reports.contains(&first(5))).await;
    assert!(!bench.machine.look(|state| state.reports.contains(&first(4))), "a key arrives that nobody holds");
}

#[tokio::test(start_paused = true)]
async fn a_key_held_while_the_target_sleeps_arrives_when_it_wakes() {
    let mut bench = Bench::new().await;
    bench.machine.target(Target::Sleeps);
    bench.key(ANNA, A, true);
    assert_eq!(HandsError::Stale, soon("the drop is told", bench.anna.1.next()).await);
    assert!(bench.status.now().target.asleep);
    // No word of the controller's state, as on a Pi.
    bench.machine.target(Target::Fetches);
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    bench.known("it is awake", |bench| !bench.status.now().target.asleep).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_released_while_the_target_sleeps_goes_up_though_its_state_reads_the_same_again() {
    let bench = Bench::new().await;
    bench.key(ANNA, A, true);
    bench.input(ANNA, Input::Pointer { x: 7, y: 0, buttons: 1 }).unwrap();
    bench.machine.until("key and button are down", |state| state.keys()[2] == 4 && state.buttons() == 1).await;
    bench.machine.target(Target::Sleeps);
    bench.input(ANNA, Input::Release).unwrap();
    bench.known("it sleeps", |bench| bench.status.now().target.asleep).await;
    // Suspended and resumed between two looks, and twice: the state reads as it did before.
    let offers = bench.machine.look(|state| state.offers);
    bench.machine.udc("configured");
    bench.machine.until("the release is offered again", move |state| offers < state.offers).await;
    bench.machine.target(Target::Fetches);
    bench.machine.udc("configured");
    bench.machine.until("both are up", |state| state.keys() == [0; 8] && state.buttons() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_chord_goes_on_where_a_short_sleep_stopped_it() {
    for states in [[].as_slice(), &["suspended", "configured"]] {
        let bench = Bench::new().await;
        let (hands, seat) = (bench.hands.clone(), seat());
        let chord = async move { hands.chord(&seat, by(ANNA), vec![Usage(0xE0), Usage(0xE2), Usage(0x4C)]).await };
        let chord = tokio::spawn(chord);
        bench.machine.until("the chord is under way", |state| state.keys()[0] == 1).await;
        bench.machine.target(Target::Sleeps);
        bench.known("it sleeps", |bench| bench.status.now().target.asleep).await;
        bench.machine.target(Target::Fetches);
        states.iter().for_each(|state| bench.machine.udc(state));
        assert_eq!(Ok(()), soon("the chord is pressed", chord).await.unwrap());
        let all = down(5, &[0x4C]);
        assert_eq!(1, bench.machine.look(|state| state.reports.iter().filter(|report| **report == all).count()));
    }
}

#[tokio::test]
async fn a_flood_that_is_not_fetched_is_told_to_its_owner_and_lets_go_of_theirs() {
    let mut bench = Bench::new().await;
    bench.key(ANNA, B, true);
    bench.key(BERT, Usage(0xE1), true);
    bench.machine.until_keys([2, 0, 5, 0, 0, 0, 0, 0]).await;
    bench.machine.target(Target::Ignores);
    let (queue, drops) = &mut bench.anna;
    let flood = async {
        for n in 0.. {
            queue.room().await;
            queue.send(Input::Key { usage: A, down: n % 2 == 0 }).unwrap();
        }
    };
    let told = async {
        tokio::select! {
            error = drops.next() => error,
            () = flood => unreachable!("it has no end"),
        }
    };
    assert_eq!(HandsError::Flooded, soon("the flood is told", told).await);
    bench.machine.target(Target::Fetches);
    soon("there is room", bench.anna.0.room()).await;
    bench.input(ANNA, Input::Release).unwrap();
    bench.machine.until_keys([2, 0, 0, 0, 0, 0, 0, 0]).await;
}

#[tokio::test]
async fn a_text_comes_out_right_under_caps_lock() {
    let bench = Bench::new().await;
    let leds = KeyboardLeds { caps: true, ..KeyboardLeds::default() };
    bench.machine.change(|state| state.events.push_back(UsbEvent::Leds(leds)));
    bench.known("Caps Lock is on", |bench| bench.status.now().target.keyboard_leds == leds).await;
    bench.hands.type_strokes(&seat(), by(ANNA), strokes("aB1").unwrap()).await.unwrap();
    let typed: Vec<_> = bench.machine.look(|state| {
        let keys =
            |report: &Report| if let Report::Keys(keys) = report { (keys.modifiers, keys.usages[0]) } else { (0, 0) };
        state.reports.iter().map(keys).filter(|(_, key)| *key != 0).collect()
    });
    assert_eq!(vec![(2, 4), (0, 5), (0, 0x1E)], typed);
}

#[tokio::test]
async fn a_suspended_target_shows_no_lamps_until_it_resumes() {
    let bench = Bench::new().await;
    let leds = KeyboardLeds { num: true, ..KeyboardLeds::default() };
    bench.machine.change(|state| state.events.push_back(UsbEvent::Leds(leds)));
    for (state, shown) in [("suspended", KeyboardLeds::default()), ("configured", leds)] {
        bench.machine.udc(state);
        let is_so = |bench: &Bench| {
            let target = bench.status.now().target;
            target.udc.is_some_and(|udc| udc.state == state) && target.keyboard_leds == shown
        };
        bench.known(state, is_so).await;
    }
    bench.machine.udc("default");
    bench.machine.udc("configured");
    bench.known("a reset forgets them", |bench| bench.status.now().target.keyboard_leds != leds).await;
}

#[tokio::test]
async fn lamps_and_leds_reach_the_status() {
    let bench = Bench::new().await;
    let (lamps, leds) =
        (Lamps { power: Some(true), disk: None }, KeyboardLeds { caps: true, ..KeyboardLeds::default() });
    bench.machine.change(|state| {
        state.lamps = lamps;
        state.events.push_back(UsbEvent::Leds(leds));
    });
    bench
        .known("lamps and LEDs", |bench| {
            let target = bench.status.now().target;
            (target.lamps, target.keyboard_leds) == (lamps, leds)
        })
        .await;
}
