//! Plays the target that fetches, and the one that does not.

use super::*;

const ANNA: Owner = Owner(1);
const BERT: Owner = Owner(2);
const A: Usage = Usage(0x04);
const B: Usage = Usage(0x05);
const MS: Duration = Duration::from_millis(1);

/// A target that fetches whenever it is told to, by a clock of its own.
struct Bench {
    now: Instant,
    outbox: Outbox,
}

impl Bench {
    fn new() -> Bench {
        Bench { now: Instant::now(), outbox: Outbox::default() }
    }

    fn fetch(&mut self, lane: Lane) -> Option<Report> {
        let report = self.outbox.next(lane)?;
        self.outbox.taken(self.now, lane);
        Some(report)
    }

    /// The first key and the modifiers of every report that waits.
    fn fetch_keys(&mut self) -> Vec<(u8, u8)> {
        std::iter::from_fn(|| self.fetch(Lane::Keyboard))
            .map(|report| match report {
                Report::Keyboard(report) => (report[0], report[2]),
                Report::Pointer(_) => unreachable!("lanes are apart"),
            })
            .collect()
    }

    fn fetch_moves(&mut self) -> Vec<[u8; 7]> {
        std::iter::from_fn(|| self.fetch(Lane::Pointer))
            .map(|report| match report {
                Report::Pointer(report) => report,
                Report::Keyboard(_) => unreachable!("lanes are apart"),
            })
            .collect()
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.outbox.tick(self.now);
    }

    /// Fetches everything, sleeping from deadline to deadline, until nothing is left to do.
    fn fetch_all_keys(&mut self) -> Vec<(u8, u8)> {
        let mut keys = self.fetch_keys();
        while let Some(deadline) = self.outbox.deadline() {
            self.now = deadline;
            self.outbox.tick(self.now);
            keys.extend(self.fetch_keys());
        }
        keys
    }

    fn key(&mut self, owner: Owner, usage: Usage, down: bool) {
        self.outbox.key(self.now, owner, usage, down).unwrap();
    }

    fn point(&mut self, x: u16, buttons: u8) {
        self.outbox.point(self.now, ANNA, x, 0, buttons).unwrap();
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
    assert_eq!((None, None), (bench.outbox.next(Lane::Keyboard), bench.outbox.next(Lane::Pointer)));
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
    assert_eq!(Some(Report::Keyboard([0, 0, 4, 5, 0, 0, 0, 0])), bench.outbox.next(Lane::Keyboard));
    bench.wait(MS);
    assert_eq!([(0, 0)].as_slice(), bench.fetch_keys(), "only the release may come late");
    assert_eq!(None, bench.outbox.deadline());
}

#[test]
fn a_target_that_fetches_slowly_loses_nothing() {
    let mut bench = Bench::new();
    for _ in 0..30 {
        bench.key(ANNA, A, true);
        bench.key(ANNA, A, false);
    }
    let mut fetched = 0;
    while bench.fetch(Lane::Keyboard).is_some() {
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
    bench.outbox.lost(bench.now);
    assert_eq!((None, None), (bench.outbox.next(Lane::Keyboard), bench.outbox.next(Lane::Pointer)));
    bench.key(ANNA, A, false);
    assert!(bench.fetch_keys().is_empty());
}

#[test]
fn a_flood_of_keys_drops_all_and_lets_go() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    let refused = (0..MOST_KEYS + 2).find_map(|at| bench.outbox.key(bench.now, ANNA, B, at % 2 == 0).err());
    assert_eq!(Some(Failure::Flooded), refused);
    assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
}

#[test]
fn positions_replace_each_other() {
    let mut bench = Bench::new();
    (1..=1000).for_each(|x| bench.point(x, 0));
    assert_eq!([[0, 0xE8, 3, 0, 0, 0, 0]].as_slice(), bench.fetch_moves());
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
    let moves: Vec<_> = bench.fetch_moves().iter().map(|report| (report[0], report[1])).collect();
    assert_eq!([(0, 1), (1, 2), (1, 4), (0, 5), (0, 6)].as_slice(), moves);
}

#[test]
fn a_double_click_is_not_swallowed() {
    let mut bench = Bench::new();
    (0..4).for_each(|at| bench.point(9, u8::from(at % 2 == 0)));
    let buttons: Vec<_> = bench.fetch_moves().iter().map(|report| report[0]).collect();
    assert_eq!([1, 0, 1, 0].as_slice(), buttons);
}

#[test]
fn the_wheel_sums_and_what_does_not_fit_goes_next() {
    let mut bench = Bench::new();
    (0..3).for_each(|_| bench.outbox.wheel(bench.now, -1, 100).unwrap());
    let turns: Vec<_> = bench.fetch_moves().iter().map(|report| (report[5], report[6])).collect();
    assert_eq!([(127, 0xFD), (127, 0), (46, 0)].as_slice(), turns);
    assert!(bench.fetch_moves().is_empty(), "the wheel must not go on turning");
}

#[test]
fn a_pointer_that_nobody_fetches_does_not_hold_up_the_keys() {
    let mut bench = Bench::new();
    bench.point(7, 1);
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    bench.wait(STALE);
    assert_eq!(None, bench.outbox.next(Lane::Pointer));
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
    bench.outbox.leave(bench.now, ANNA).unwrap();
    assert_eq!(Some(&(0, 5)), bench.fetch_keys().last());
    assert_eq!([[0, 3, 0, 0, 0, 0, 0]].as_slice(), bench.fetch_moves());
}

#[test]
fn letting_go_overtakes_what_waits() {
    let mut bench = Bench::new();
    bench.key(ANNA, A, true);
    bench.fetch_keys();
    bench.key(ANNA, B, true);
    bench.outbox.strokes(bench.now, 1, ANNA, &[Stroke { usage: A, modifiers: 0 }]);
    bench.outbox.let_go(bench.now);
    assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
    assert_eq!(Some((1, Err(Failure::Cancelled))), bench.outbox.poll());
}

#[test]
fn text_is_typed_key_by_key() {
    let mut bench = Bench::new();
    let start = bench.now;
    bench.outbox.strokes(start, 7, ANNA, &crate::hid::text::strokes("aA").unwrap());
    assert_eq!([(0, 4), (0, 0), (2, 4), (0, 0), (0, 0)].as_slice(), bench.fetch_all_keys());
    assert_eq!(Some((7, Ok(()))), bench.outbox.poll());
    assert_eq!(40 * MS, bench.now - start, "four changes, each with its hold");
}

#[test]
fn a_text_is_done_only_when_its_last_release_was_fetched() {
    let mut bench = Bench::new();
    bench.outbox.strokes(bench.now, 7, ANNA, &[Stroke { usage: A, modifiers: 0 }]);
    for _ in 0..2 {
        assert!(bench.fetch(Lane::Keyboard).is_some());
        bench.wait(10 * MS);
    }
    assert_eq!(None, bench.outbox.poll(), "the release is with the controller, but may not have been fetched");
    assert!(bench.fetch(Lane::Keyboard).is_some());
    assert_eq!(Some((7, Ok(()))), bench.outbox.poll());
}

#[test]
fn a_chord_goes_down_in_order_and_up_at_once() {
    let mut bench = Bench::new();
    bench.outbox.chord(bench.now, 1, ANNA, &[Usage(0xE0), Usage(0xE2), Usage(0x4C)]);
    assert_eq!([(1, 0), (5, 0), (5, 0x4C), (0, 0), (0, 0)].as_slice(), bench.fetch_all_keys());
}

#[test]
fn typing_leaves_a_held_key_down() {
    let mut bench = Bench::new();
    bench.key(ANNA, Usage(0xE1), true);
    bench.outbox.strokes(bench.now, 1, ANNA, &[Stroke { usage: A, modifiers: 2 }]);
    assert_eq!([(2, 0), (2, 4), (2, 0), (2, 0)].as_slice(), bench.fetch_all_keys());
}

#[test]
fn a_text_nobody_fetches_fails_and_leaves_nothing() {
    let mut bench = Bench::new();
    bench.outbox.strokes(bench.now, 1, ANNA, &[Stroke { usage: A, modifiers: 0 }; 5]);
    bench.wait(STALE);
    assert_eq!(Some((1, Err(Failure::Unplugged))), bench.outbox.poll());
    assert_eq!(None, bench.outbox.next(Lane::Keyboard));
}

#[test]
fn a_cancelled_text_lets_go_and_the_next_one_is_typed() {
    let mut bench = Bench::new();
    bench.outbox.strokes(bench.now, 1, ANNA, &[Stroke { usage: A, modifiers: 0 }; 5]);
    bench.outbox.strokes(bench.now, 2, BERT, &[Stroke { usage: B, modifiers: 0 }]);
    assert!(bench.fetch(Lane::Keyboard).is_some());
    bench.outbox.cancel(bench.now, 1).unwrap();
    assert_eq!(Some((1, Err(Failure::Cancelled))), bench.outbox.poll());
    assert_eq!([(0, 0), (0, 5), (0, 0), (0, 0)].as_slice(), bench.fetch_all_keys());
    assert_eq!(Some((2, Ok(()))), bench.outbox.poll());
}

#[test]
fn a_line_of_jobs_has_an_end() {
    let mut bench = Bench::new();
    (0..20).for_each(|id| bench.outbox.strokes(bench.now, id, ANNA, &[Stroke { usage: A, modifiers: 0 }]));
    assert_eq!(Some((8, Err(Failure::Flooded))), bench.outbox.poll());
}
