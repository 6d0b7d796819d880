//! What reaches a target that fetches only when a test lets it.

use std::time::Duration;

use super::*;
use crate::base::usb::Point;
use crate::hid::typing::{MOST_JOBS, MOST_PERSONS, Person};

const ANNA: Owner = Owner(1);
const BERT: Owner = Owner(2);
const A: Usage = Usage(0x04);
const B: Usage = Usage(0x05);
const MS: Duration = Duration::from_millis(1);

/// A request of a person who makes only this one.
fn by(owner: Owner) -> Requester {
    Requester { owner, person: Person::new(&owner.0.to_string()) }
}

/// Without a modifier.
fn down(usages: &[u8]) -> Keys {
    let mut keys = Keys::default();
    keys.usages[..usages.len()].copy_from_slice(usages);
    keys
}

/// At the upper edge, without a button.
fn at(x: u16) -> Point {
    Point { x, ..Point::default() }
}

/// A target that fetches when a test says so, with a clock of its own.
struct Bench {
    now: Instant,
    reports: ReportQueue,
}

impl Bench {
    fn new() -> Bench {
        Bench { now: Instant::now(), reports: ReportQueue::default() }
    }

    fn fetch(&mut self, interface: Interface) -> Option<Report> {
        let report = self.reports.next(interface)?;
        self.reports.taken(self.now, interface);
        Some(report)
    }

    /// The first key and the modifiers of every report that waits.
    fn fetch_keys(&mut self) -> Vec<(u8, u8)> {
        std::iter::from_fn(|| self.fetch(Interface::Keyboard))
            .map(|report| match report {
                Report::Keys(keys) => (keys.modifiers, keys.usages[0]),
                Report::Point(_) => unreachable!("the interfaces are apart"),
            })
            .collect()
    }

    fn fetch_moves(&mut self) -> Vec<Point> {
        std::iter::from_fn(|| self.fetch(Interface::Pointer))
            .map(|report| match report {
                Report::Point(point) => point,
                Report::Keys(_) => unreachable!("the interfaces are apart"),
            })
            .collect()
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.reports.tick(self.now);
    }

    /// Fetches everything, sleeping from deadline to deadline, until nothing is left to do.
    fn fetch_all_keys(&mut self) -> Vec<(u8, u8)> {
        let mut keys = self.fetch_keys();
        while let Some(deadline) = self.reports.deadline() {
            self.now = deadline;
            self.reports.tick(self.now);
            keys.extend(self.fetch_keys());
        }
        keys
    }

    fn keys_waiting(&self) -> usize {
        self.reports.keys.queue.len()
    }

    fn key(&mut self, owner: Owner, usage: Usage, down: bool) {
        self.reports.key(self.now, owner, usage, down).unwrap();
    }

    fn point(&mut self, x: u16, buttons: u8) {
        self.reports.point(self.now, ANNA, x, 0, buttons).unwrap();
    }
}

#[test]
fn keys_come_out_in_order_and_each_once() {
    let mut bench = Bench::new();
    for usage in [A, B] {
        bench.key(ANNA, usage, true);
        bench.key(ANNA, usage, false);
    }
    assert_eq!([(0, 4), (0, 0), (0, 5), (0, 0)].as_slice(), bench.fetch_keys());
}

#[test]
fn what_changes_nothing_is_not_sent() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, false);
    bench.point(0, 0);
    assert_eq!((None, None), (bench.reports.next(Interface::Keyboard), bench.reports.next(Interface::Pointer)));
    bench.key(ANNA, A, true);
    bench.key(BERT, A, true);
    bench.key(ANNA, A, false);
    assert_eq!([(0, 4)].as_slice(), bench.fetch_keys());
}

#[test]
fn stale_keys_are_dropped_and_not_replayed() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    bench.key(ANNA, B, true);
    bench.wait(STALE - MS);
    assert_eq!(Some(Report::Keys(down(&[4, 5]))), bench.reports.next(Interface::Keyboard));
    bench.wait(MS);
    [A, B].into_iter().for_each(|usage| bench.key(ANNA, usage, false));
    assert_eq!([(0, 0)].as_slice(), bench.fetch_keys(), "only the release may come late");
    assert_eq!(None, bench.reports.deadline());
}

#[test]
fn a_key_that_lies_at_the_controller_is_abandoned_once() {
    let mut bench = Bench::new();
    // Without this it might be that the target only starts.
    [true, false].into_iter().for_each(|down| bench.key(ANNA, B, down));
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    bench.key(ANNA, A, false);
    bench.reports.full(bench.now, Interface::Keyboard);
    bench.wait(STALE - MS);
    assert!(!bench.reports.must_replug());
    bench.wait(MS);
    assert!(bench.reports.must_replug());
    assert_eq!((Some((ANNA, Failure::Stale)), None), (bench.reports.dropped(), bench.reports.dropped()));
    for _ in 0..3 {
        bench.reports.full(bench.now, Interface::Keyboard);
        bench.wait(STALE);
        assert!(!bench.reports.must_replug(), "once, until the target fetches again");
    }
    assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
    assert_eq!(None, bench.reports.deadline());
}

#[test]
fn a_target_that_has_fetched_nothing_since_its_start_keeps_its_keyboard() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.key(ANNA, A, true);
        assert_eq!([(0, 4)].as_slice(), bench.fetch_keys());
        bench.key(ANNA, A, false);
        bench.reports.full(bench.now, Interface::Keyboard);
        bench.wait(STALE);
        assert_eq!(Some((ANNA, Failure::Stale)), bench.reports.dropped());
        assert!(!bench.reports.must_replug());
        // It fetches, and is then started again.
        assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
        bench.reports.forgotten(bench.now);
        bench.reports.retaken(bench.now);
    }
}

#[test]
fn a_key_held_through_a_reset_is_the_first_that_comes_however_late() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    bench.reports.forgotten(bench.now);
    bench.reports.retaken(bench.now);
    assert_eq!(Some(Report::Keys(down(&[4]))), bench.reports.next(Interface::Keyboard));
    bench.wait(STALE);
    assert!(bench.reports.dropped().is_some());
    assert_eq!([(0, 0), (0, 4)].as_slice(), bench.fetch_keys());
}

#[test]
fn a_target_that_may_only_have_slept_is_shown_what_was_released_meanwhile() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.point(1, 1);
    bench.fetch_keys();
    bench.fetch_moves();
    bench.key(ANNA, A, false);
    bench.point(2, 0);
    // As often as it happens before the target fetches.
    for _ in 0..2 {
        bench.reports.reset_or_resumed(bench.now);
        bench.reports.asleep(bench.now);
    }
    assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
    assert_eq!([at(2)].as_slice(), bench.fetch_moves());
}

#[test]
fn a_target_that_may_only_have_slept_is_shown_what_is_held_and_nothing_in_between() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    bench.reports.reset_or_resumed(bench.now);
    assert_eq!([(0, 4)].as_slice(), bench.fetch_keys(), "a release between would type it twice");
}

#[test]
fn a_target_that_saw_nothing_down_is_sent_nothing_after_a_reset() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.key(ANNA, A, false);
    bench.point(1, 0);
    bench.fetch_keys();
    bench.fetch_moves();
    bench.reports.reset_or_resumed(bench.now);
    // It would keep the controller from a key that is pressed while a target starts.
    assert_eq!((0, vec![]), (bench.keys_waiting(), bench.fetch_moves()));
}

#[test]
fn a_key_held_until_the_target_fetches_again_is_pressed_then() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.key(BERT, B, true);
    bench.wait(STALE);
    bench.key(BERT, B, false);
    assert_eq!([(0, 0), (0, 4)].as_slice(), bench.fetch_keys());
    bench.key(ANNA, A, false);
    assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
}

#[test]
fn keys_held_since_before_a_stroke_are_pressed_again_behind_it() {
    const C: Usage = Usage(0x06);
    let mut bench = Bench::new();
    [Usage(0xE0), C].into_iter().for_each(|usage| bench.key(BERT, usage, true));
    bench.wait(STALE);
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }]);
    assert_eq!(vec![(0, 4), (1, 6), (1, 6)], downs(bench.fetch_all_keys()));
    assert_eq!(Some((1, Ok(()))), bench.reports.poll());
}

#[test]
fn a_text_goes_stale_behind_a_release_that_waits() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    bench.reports.release_all(bench.now);
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: B, modifiers: 0 }]);
    bench.wait(STALE);
    assert_eq!(Some((1, Err(Failure::Stale))), bench.reports.poll());
}

#[test]
fn a_release_at_the_controller_may_lie_there_for_ever() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.key(ANNA, A, false);
    bench.fetch_keys();
    bench.point(1, 0);
    bench.fetch_moves();
    bench.point(2, 0);
    bench.reports.full(bench.now, Interface::Keyboard);
    bench.reports.full(bench.now, Interface::Pointer);
    assert_eq!(None, bench.reports.deadline());
}

#[test]
fn a_text_ends_whose_key_lies_at_the_controller() {
    let mut bench = Bench::new();
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }]);
    assert!(bench.fetch(Interface::Keyboard).is_some());
    bench.wait(10 * MS);
    bench.reports.full(bench.now, Interface::Keyboard);
    bench.wait(STALE);
    assert_eq!(Some((1, Err(Failure::Stale))), bench.reports.poll());
}

#[test]
fn a_text_ends_whose_release_waits_for_a_target_that_sleeps() {
    let mut bench = Bench::new();
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }; 3]);
    assert!(bench.fetch(Interface::Keyboard).is_some());
    bench.wait(10 * MS);
    bench.reports.asleep(bench.now);
    bench.wait(STALE);
    assert_eq!(Some((1, Err(Failure::Stale))), bench.reports.poll());
    assert_eq!([(0, 0)].as_slice(), bench.fetch_all_keys(), "the rest is not typed when it wakes");
}

#[test]
fn a_chord_ends_whose_release_lies_at_the_controller_and_holds_up_nobody() {
    let mut bench = Bench::new();
    bench.reports.chord(bench.now, 1, by(ANNA), &[A]);
    for _ in 0..2 {
        assert!(bench.fetch(Interface::Keyboard).is_some());
        bench.wait(10 * MS);
    }
    bench.reports.full(bench.now, Interface::Keyboard);
    bench.reports.strokes(bench.now, 2, by(BERT), &[Stroke { usage: B, modifiers: 0 }]);
    bench.wait(STALE);
    assert_eq!(Some((1, Err(Failure::Stale))), bench.reports.poll());
    assert_eq!(Some((2, Err(Failure::Stale))), bench.reports.poll());
    bench.reports.strokes(bench.now, 3, by(BERT), &[Stroke { usage: B, modifiers: 0 }]);
    assert_eq!(vec![(0, 5)], downs(bench.fetch_all_keys()));
    assert_eq!(Some((3, Ok(()))), bench.reports.poll());
}

#[test]
fn a_suspended_bus_gets_no_movement_later_but_every_release() {
    let mut bench = Bench::new();
    bench.point(1, 0);
    bench.reports.asleep(bench.now);
    assert_eq!(None, bench.reports.next(Interface::Pointer));
    bench.point(2, 1);
    bench.fetch_moves();
    bench.reports.wheel(bench.now, ANNA, 0, 5).unwrap();
    bench.point(3, 0);
    bench.reports.asleep(bench.now);
    let moves = bench.fetch_moves();
    assert_eq!(vec![at(3)], moves, "the button goes up, and the wheel stands still");
}

#[test]
fn a_target_that_fetches_slowly_loses_nothing() {
    let mut bench = Bench::new();
    for _ in 0..30 {
        bench.key(ANNA, A, true);
        bench.key(ANNA, A, false);
    }
    let mut fetched = 0;
    while bench.fetch(Interface::Keyboard).is_some() {
        fetched += 1;
        bench.wait(150 * MS);
    }
    assert_eq!(60, fetched);
}

#[test]
fn an_unplugged_cable_drops_everything() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.point(5, 1);
    bench.reports.lost(bench.now);
    assert_eq!((None, None), (bench.reports.next(Interface::Keyboard), bench.reports.next(Interface::Pointer)));
    bench.key(ANNA, A, false);
    assert!(bench.fetch_keys().is_empty());
}

#[test]
fn a_flood_of_keys_drops_its_owners_and_lets_go() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    let refused = (0..MOST_KEYS + 2).find_map(|at| bench.reports.key(bench.now, ANNA, B, at % 2 == 0).err());
    assert_eq!(Some(Failure::Flooded), refused);
    assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
}

#[test]
fn a_flood_of_keys_costs_nobody_else_theirs() {
    let mut bench = Bench::new();
    bench.key(BERT, Usage(0xE1), true);
    bench.reports.strokes(bench.now, 1, by(BERT), &[Stroke { usage: B, modifiers: 0 }]);
    bench.fetch_keys();
    (0..10 * MOST_KEYS).for_each(|at| _ = bench.reports.key(bench.now, ANNA, A, at % 2 == 0));
    bench.key(BERT, B, true);
    assert!(bench.keys_waiting() <= MOST_KEYS + 1);
    assert_eq!(Some((0, 5)), bench.fetch_all_keys().into_iter().find(|(_, key)| *key == 5));
    assert_eq!(Some(Ok(())), bench.reports.poll().map(|(_, outcome)| outcome));
    assert_eq!(None, bench.reports.dropped(), "who floods has been refused at once");
}

#[test]
fn a_text_is_typed_between_the_keys_of_a_flood() {
    // So many keys come while the target fetches one.
    for rate in [2, 3, 8, MOST_KEYS] {
        let (mut bench, mut count) = (Bench::new(), 0);
        let mut flood = |bench: &mut Bench, keys| {
            for _ in 0..keys {
                count += 1;
                let _ = bench.reports.key(bench.now, ANNA, A, count % 2 == 1);
            }
        };
        flood(&mut bench, MOST_KEYS);
        bench.reports.strokes(bench.now, 1, by(BERT), &[Stroke { usage: B, modifiers: 0 }; 3]);
        let begun = bench.now;
        while bench.reports.poll() != Some((1, Ok(()))) {
            assert!(bench.now - begun < STALE, "at {rate} keys a report it waits behind somebody else's");
            assert!(bench.fetch(Interface::Keyboard).is_some());
            bench.wait(8 * MS);
            flood(&mut bench, rate);
        }
    }
}

#[test]
fn a_flood_of_clicks_costs_nobody_else_their_drag() {
    let mut bench = Bench::new();
    bench.reports.point(bench.now, BERT, 1, 1, 2).unwrap();
    bench.fetch_moves();
    let flood = (0..10 * MOST_MOVES).map(|at| bench.reports.point(bench.now, ANNA, 9, 9, u8::from(at % 2 == 0)));
    assert!(flood.collect::<Vec<_>>().contains(&Err(Failure::Flooded)));
    assert!(bench.fetch_moves().iter().all(|report| report.buttons & 2 != 0));
}

#[test]
fn owners_that_are_made_up_do_not_fill_the_memory() {
    let mut bench = Bench::new();
    let refused = (0..2 * MOST_OWNERS * MOST_KEYS)
        .filter(|at| bench.reports.key(bench.now, Owner(*at as u64 / 2), A, at % 2 == 0).is_err());
    assert!(0 < refused.count());
    assert!(bench.keys_waiting() <= MOST_OWNERS * MOST_KEYS);
}

#[test]
fn only_those_whose_keys_go_stale_are_told() {
    let mut bench = Bench::new();
    bench.reports.point(bench.now, BERT, 1, 1, 0).unwrap();
    bench.key(ANNA, A, true);
    bench.wait(STALE);
    assert_eq!((Some((ANNA, Failure::Stale)), None), (bench.reports.dropped(), bench.reports.dropped()));
}

#[test]
fn positions_replace_each_other() {
    let mut bench = Bench::new();
    (1..=1000).for_each(|x| bench.point(x, 0));
    assert_eq!([at(1000)].as_slice(), bench.fetch_moves());
}

#[test]
fn a_button_changes_where_it_was_pressed() {
    let mut bench = Bench::new();
    bench.point(1, 0);
    bench.point(2, 1);
    bench.point(3, 1);
    bench.point(4, 1);
    bench.point(5, 0);
    bench.point(6, 0);
    let moves: Vec<_> = bench.fetch_moves().iter().map(|point| (point.buttons, point.x)).collect();
    assert_eq!([(0, 1), (1, 2), (1, 4), (0, 5), (0, 6)].as_slice(), moves);
}

#[test]
fn a_double_click_is_not_swallowed() {
    let mut bench = Bench::new();
    (0..4).for_each(|at| bench.point(9, u8::from(at % 2 == 0)));
    let buttons: Vec<_> = bench.fetch_moves().iter().map(|point| point.buttons).collect();
    assert_eq!([1, 0, 1, 0].as_slice(), buttons);
}

#[test]
fn the_wheel_sums_and_what_does_not_fit_goes_next() {
    let mut bench = Bench::new();
    (0..3).for_each(|_| bench.reports.wheel(bench.now, ANNA, -1, 100).unwrap());
    let turns: Vec<_> = bench.fetch_moves().iter().map(|point| (point.wheel, point.pan)).collect();
    assert_eq!([(127, -3), (127, 0), (46, 0)].as_slice(), turns);
    assert!(bench.fetch_moves().is_empty(), "the wheel must not go on turning");
}

#[test]
fn a_pointer_that_nobody_fetches_does_not_hold_up_the_keys() {
    let mut bench = Bench::new();
    bench.point(7, 1);
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    bench.wait(STALE);
    assert_eq!(None, bench.reports.next(Interface::Pointer));
    bench.key(ANNA, A, false);
    assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
}

#[test]
fn who_leaves_takes_keys_and_buttons_along() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.key(BERT, B, true);
    bench.point(3, 1);
    bench.fetch_moves();
    bench.reports.leave(bench.now, ANNA).unwrap();
    assert_eq!(Some(&(0, 5)), bench.fetch_keys().last());
    assert_eq!([at(3)].as_slice(), bench.fetch_moves());
}

#[test]
fn letting_go_overtakes_what_waits() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    bench.key(ANNA, B, true);
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }]);
    bench.reports.release_all(bench.now);
    assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
    assert_eq!(Some((1, Err(Failure::Cancelled))), bench.reports.poll());
}

#[test]
fn text_is_typed_key_by_key() {
    let mut bench = Bench::new();
    let start = bench.now;
    bench.reports.strokes(start, 7, by(ANNA), &crate::hid::text::strokes("aA").unwrap());
    assert_eq!([(0, 4), (0, 0), (2, 4), (0, 0), (0, 0)].as_slice(), bench.fetch_all_keys());
    assert_eq!(Some((7, Ok(()))), bench.reports.poll());
    assert_eq!(40 * MS, bench.now - start, "four changes, each with its hold");
}

#[test]
fn a_text_is_done_only_when_its_last_release_was_fetched() {
    let mut bench = Bench::new();
    bench.reports.strokes(bench.now, 7, by(ANNA), &[Stroke { usage: A, modifiers: 0 }]);
    for _ in 0..2 {
        assert!(bench.fetch(Interface::Keyboard).is_some());
        bench.wait(10 * MS);
    }
    assert_eq!(None, bench.reports.poll(), "the release is with the controller, but may not have been fetched");
    assert!(bench.fetch(Interface::Keyboard).is_some());
    assert_eq!(Some((7, Ok(()))), bench.reports.poll());
}

#[test]
fn a_chord_goes_down_in_order_and_up_at_once() {
    let mut bench = Bench::new();
    bench.reports.chord(bench.now, 1, by(ANNA), &[Usage(0xE0), Usage(0xE2), Usage(0x4C)]);
    assert_eq!([(1, 0), (5, 0), (5, 0x4C), (0, 0), (0, 0)].as_slice(), bench.fetch_all_keys());
}

#[test]
fn typing_leaves_a_held_key_down() {
    let mut bench = Bench::new();
    bench.key(BERT, B, true);
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }]);
    let keys: Vec<_> = bench.fetch_all_keys().into_iter().map(|(_, first)| first).collect();
    assert_eq!([5, 4, 5, 5].as_slice(), keys);
}

#[test]
fn caps_lock_changes_nothing_of_a_text() {
    let mut bench = Bench::new();
    bench.reports.caps_lock(true);
    bench.reports.strokes(bench.now, 1, by(ANNA), &crate::hid::text::strokes("aA1!").unwrap());
    assert_eq!(vec![(2, 4), (0, 4), (0, 0x1E), (2, 0x1E)], downs(bench.fetch_all_keys()));
    bench.reports.chord(bench.now, 2, by(ANNA), &[Usage(0xE0), A]);
    assert_eq!(vec![(1, 4)], downs(bench.fetch_all_keys()), "a chord is pressed as it is named");
}

#[test]
fn the_lamp_is_looked_at_for_each_stroke() {
    let mut bench = Bench::new();
    bench.reports.strokes(bench.now, 1, by(ANNA), &crate::hid::text::strokes("aa").unwrap());
    let mut keys = bench.fetch_keys();
    bench.reports.caps_lock(true);
    keys.extend(bench.fetch_all_keys());
    assert_eq!(vec![(0, 4), (2, 4)], downs(keys));
}

#[test]
fn somebodys_control_is_up_once_for_a_whole_text_and_down_again_behind_it() {
    let mut bench = Bench::new();
    bench.key(BERT, Usage(0xE0), true);
    bench.reports.strokes(
        bench.now,
        1,
        by(ANNA),
        &[Stroke { usage: A, modifiers: 0 }, Stroke { usage: B, modifiers: 2 }],
    );
    assert_eq!([(1, 0), (0, 0), (0, 4), (0, 0), (2, 5), (0, 0), (1, 0)].as_slice(), bench.fetch_all_keys());
    bench.key(BERT, Usage(0xE0), false);
    assert_eq!([(0, 0)].as_slice(), bench.fetch_all_keys());
}

#[test]
fn somebodys_control_is_down_again_when_they_press_its_key_between_two_strokes() {
    const C: Usage = Usage(0x06);
    let mut bench = Bench::new();
    bench.key(BERT, Usage(0xE0), true);
    bench.fetch_keys();
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }; 2]);
    bench.fetch_keys();
    bench.wait(10 * MS);
    assert_eq!(Some((0, 0)), bench.fetch_keys().pop(), "between the strokes");
    bench.key(BERT, C, true);
    bench.key(BERT, C, false);
    assert_eq!([(1, 0), (1, 6), (1, 0)].as_slice(), bench.fetch_keys());
    assert_eq!([(0, 0), (0, 4), (0, 0), (1, 0)].as_slice(), bench.fetch_all_keys());
}

#[test]
fn a_cancelled_text_gives_back_what_it_masked() {
    let mut bench = Bench::new();
    bench.key(BERT, Usage(0xE0), true);
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }; 5]);
    bench.fetch_keys();
    bench.reports.cancel(bench.now, 1);
    assert_eq!([(1, 0)].as_slice(), bench.fetch_all_keys());
}

#[test]
fn a_plain_key_during_a_capital_or_a_chord_comes_behind_it_and_plain() {
    const C: Usage = Usage(0x06);
    let mut bench = Bench::new();
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 2 }]);
    let mut keys = bench.fetch_keys();
    [true, false].into_iter().for_each(|down| bench.key(BERT, C, down));
    keys.extend(bench.fetch_all_keys());
    assert_eq!(vec![(2, 4), (0, 6)], downs(keys));
    let mut bench = Bench::new();
    bench.reports.chord(bench.now, 2, by(ANNA), &[Usage(0xE0), A]);
    let mut keys = bench.fetch_keys();
    assert_eq!(vec![(1, 0)], keys, "Control is down");
    [true, false].into_iter().for_each(|down| bench.key(BERT, C, down));
    keys.extend(bench.fetch_all_keys());
    assert_eq!(vec![(1, 4), (0, 6)], downs(keys));
}

#[test]
fn a_key_that_woke_nobody_does_not_pull_the_cable() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.key(ANNA, A, false);
    bench.fetch_all_keys();
    bench.reports.signalled();
    bench.key(ANNA, B, true);
    bench.key(ANNA, B, false);
    bench.fetch(Interface::Keyboard);
    bench.reports.full(bench.now, Interface::Keyboard);
    bench.wait(STALE);
    assert!(!bench.reports.must_replug());
}

#[test]
fn a_key_that_somebody_holds_is_typed_all_the_same() {
    let mut bench = Bench::new();
    bench.key(BERT, A, true);
    bench.fetch_all_keys();
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }]);
    assert_eq!([(0, 0), (0, A.0), (0, 0), (0, 0)], bench.fetch_all_keys()[..]);
    assert_eq!(Some((1, Ok(()))), bench.reports.poll());
    // It is pressed again when it is pressed again.
    bench.key(BERT, A, false);
    bench.key(BERT, A, true);
    assert_eq!([(0, A.0)], bench.fetch_all_keys()[..]);
}

#[test]
fn six_keys_that_somebody_holds_leave_room_for_what_is_typed() {
    let mut bench = Bench::new();
    for key in 0x10..0x16 {
        bench.key(BERT, Usage(key), true);
    }
    bench.fetch_all_keys();
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }]);
    assert_eq!((0, A.0), bench.fetch_all_keys()[0]);
}

#[test]
fn who_holds_too_many_keys_is_told_and_takes_no_room_from_others() {
    let mut bench = Bench::new();
    let outcomes = (0x04..0x40).map(|key| bench.reports.key(bench.now, ANNA, Usage(key), true));
    assert!(outcomes.last().unwrap().is_err());
    bench.reports.leave(bench.now, ANNA).unwrap();
    bench.fetch_all_keys();
    bench.key(BERT, B, true);
    assert_eq!([(0, B.0)], bench.fetch_all_keys()[..]);
}

#[test]
fn somebodys_chord_during_a_stroke_comes_behind_it_with_its_modifiers() {
    const C: Usage = Usage(0x06);
    let text = [Stroke { usage: A, modifiers: 0 }, Stroke { usage: B, modifiers: 0 }];
    for holds_before in [false, true] {
        let mut bench = Bench::new();
        if holds_before {
            bench.key(BERT, Usage(0xE0), true);
            bench.fetch_keys();
        }
        bench.reports.strokes(bench.now, 1, by(ANNA), &text);
        let mut keys = bench.fetch_keys();
        assert_eq!(Some(&(0, 4)), keys.last(), "the stroke is down");
        bench.key(BERT, Usage(0xE0), true);
        [true, false].into_iter().for_each(|down| bench.key(BERT, C, down));
        bench.reports.leave(bench.now, BERT).unwrap();
        keys.extend(bench.fetch_all_keys());
        assert_eq!(vec![(0, 4), (1, 6), (0, 5)], downs(keys));
        assert_eq!(Some((1, Ok(()))), bench.reports.poll());
    }
}

#[test]
fn what_waits_for_a_stroke_is_told_when_it_is_dropped() {
    let mut bench = Bench::new();
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }]);
    bench.fetch_keys();
    bench.key(BERT, Usage(0xE0), true);
    bench.reports.lost(bench.now);
    assert_eq!(Some((BERT, Failure::Unplugged)), bench.reports.dropped());
    assert_eq!(vec![(0, 0), (1, 0)], bench.fetch_all_keys(), "Control is still held");
}

#[test]
fn a_flood_that_waits_for_a_stroke_finds_an_end() {
    let mut bench = Bench::new();
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }]);
    bench.fetch_keys();
    bench.key(BERT, Usage(0xE0), true);
    let refused = (0..2 * MOST_KEYS).find_map(|at| bench.reports.key(bench.now, BERT, B, at % 2 == 0).err());
    assert_eq!(Some(Failure::Flooded), refused);
    assert!(bench.reports.later.len() <= MOST_KEYS);
    assert_eq!(Some(&(0, 0)), bench.fetch_all_keys().last());
}

/// The reports with a key down.
fn downs(keys: Vec<(u8, u8)>) -> Vec<(u8, u8)> {
    keys.into_iter().filter(|(_, key)| *key != 0).collect()
}

#[test]
fn a_text_nobody_fetches_fails_and_leaves_nothing() {
    let mut bench = Bench::new();
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }; 5]);
    bench.wait(STALE);
    assert_eq!(Some((1, Err(Failure::Stale))), bench.reports.poll());
    assert_eq!(None, bench.reports.next(Interface::Keyboard));
}

#[test]
fn keys_that_are_dropped_are_told_once() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.wait(STALE - MS);
    assert_eq!(None, bench.reports.dropped());
    bench.wait(MS);
    assert_eq!((Some((ANNA, Failure::Stale)), None), (bench.reports.dropped(), bench.reports.dropped()));
    bench.key(ANNA, B, true);
    bench.reports.lost(bench.now);
    assert_eq!(Some((ANNA, Failure::Unplugged)), bench.reports.dropped());
    bench.reports.lost(bench.now);
    bench.point(1, 1);
    bench.wait(STALE);
    assert_eq!(None, bench.reports.dropped(), "no key was waiting");
}

#[test]
fn a_cancelled_text_lets_go_and_the_next_one_is_typed() {
    let mut bench = Bench::new();
    bench.reports.strokes(bench.now, 1, by(ANNA), &[Stroke { usage: A, modifiers: 0 }; 5]);
    bench.reports.strokes(bench.now, 2, by(BERT), &[Stroke { usage: B, modifiers: 0 }]);
    assert!(bench.fetch(Interface::Keyboard).is_some());
    bench.reports.cancel(bench.now, 1);
    assert_eq!(Some((1, Err(Failure::Cancelled))), bench.reports.poll());
    assert_eq!([(0, 0), (0, 5), (0, 0), (0, 0)].as_slice(), bench.fetch_all_keys());
    assert_eq!(Some((2, Ok(()))), bench.reports.poll());
}

#[test]
fn a_line_of_jobs_has_an_end_for_whoever_fills_it() {
    let mut bench = Bench::new();
    let text = [Stroke { usage: A, modifiers: 0 }];
    // One request each, as over HTTP: what counts is who sends them.
    let request = |owner| Requester { owner: Owner(owner), person: Person::new("anna") };
    (0..20).for_each(|id| bench.reports.strokes(bench.now, id, request(id), &text));
    let refused: Vec<_> = std::iter::from_fn(|| bench.reports.poll()).collect();
    let most = MOST_JOBS as u64;
    assert_eq!((most..20).map(|id| (id, Err(Failure::TooMany))).collect::<Vec<_>>(), refused);
    bench.reports.strokes(bench.now, 100, by(BERT), &text);
    bench.fetch_all_keys();
    let done: Vec<_> = std::iter::from_fn(|| bench.reports.poll()).collect();
    let order: Vec<_> = [0, 100].into_iter().chain(1..most).map(|id| (id, Ok(()))).collect();
    assert_eq!(order, done, "in turn, by person");
}

#[test]
fn persons_that_are_made_up_do_not_fill_the_memory() {
    let mut bench = Bench::new();
    let most = (MOST_PERSONS * MOST_JOBS) as u64;
    for id in 0..2 * most {
        let by = Requester { owner: Owner(id), person: Person::new(&(id / 8).to_string()) };
        bench.reports.strokes(bench.now, id, by, &[Stroke { usage: A, modifiers: 0 }]);
    }
    let refused = std::iter::from_fn(|| bench.reports.poll()).count() as u64;
    assert!((most - 8..=most).contains(&refused), "{refused} of {}", 2 * most);
}
