//! One viewer, with the time passed in.

use crate::seat::viewer::*;

const LEFT: Input = Input::Pointer { x: 1, y: 2, buttons: 1 };
const NONE: Input = Input::Pointer { x: 1, y: 2, buttons: 0 };

fn viewer(may_type: bool) -> (Viewer, Instant) {
    let now = Instant::now();
    let mut viewer = Viewer::new(now, may_type);
    viewer.tick(now);
    assert_eq!(vec![Action::Status], drain(&mut viewer));
    (viewer, now)
}

/// All but beats, which have a test of their own.
fn drain(viewer: &mut Viewer) -> Vec<Action> {
    std::iter::from_fn(|| viewer.poll(true)).filter(|action| *action != Action::Beat).collect()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_hidden_page_gets_no_pictures_and_a_fresh_one_when_it_returns() {
    let (mut viewer, now) = viewer(true);
    viewer.pictures(now, false);
    assert!(!viewer.wants_picture(now) && !viewer.watches());
    viewer.pictures(now, true);
    assert!(viewer.wants_picture(now) && viewer.watches());
    assert_eq!(vec![Action::Again], drain(&mut viewer));
}

#[test]
fn who_asks_for_pictures_is_owed_none_from_before() {
    let (mut viewer, now) = viewer(true);
    viewer.sent(now, 1, now);
    viewer.sent(now, 2, now);
    viewer.pictures(now, true);
    assert!(viewer.wants_picture(now));
    assert_eq!(vec![Action::Again], drain(&mut viewer));
    viewer.shown(now, 1);
    viewer.tick(now);
    assert_eq!(Vec::<Action>::new(), drain(&mut viewer), "it is not on its way any more");
}

#[test]
fn a_picture_from_before_they_came_or_asked_says_nothing_of_latency() {
    let (mut viewer, now) = viewer(true);
    let asked = now + ms(1000);
    let told = |viewer: &mut Viewer, seq, captured: Instant| {
        viewer.sent(asked + ms(10), seq, captured);
        viewer.shown(asked + ms(30), seq);
        viewer.tick(asked + ms(30));
        drain(viewer)
    };
    assert_eq!(Vec::<Action>::new(), told(&mut viewer, 1, now - ms(1)));
    viewer.pictures(asked, true);
    drain(&mut viewer);
    assert_eq!(Vec::<Action>::new(), told(&mut viewer, 1, asked - ms(1)));
    assert_eq!(vec![Action::Latency(ms(30))], told(&mut viewer, 2, asked));
}

#[test]
fn a_held_button_is_released_after_silence() {
    let (mut viewer, now) = viewer(true);
    viewer.input(now, LEFT);
    drain(&mut viewer);
    viewer.held(now + ms(1000));
    viewer.tick(now + ms(2499));
    assert_eq!(Vec::<Action>::new(), drain(&mut viewer));
    viewer.said(now + ms(2499));
    assert_eq!(Some(now + ms(2500)), viewer.deadline());
    viewer.tick(now + ms(2500));
    assert_eq!(vec![Action::Input(Input::Release)], drain(&mut viewer));
    viewer.tick(now + ms(2900));
    assert_eq!(Vec::<Action>::new(), drain(&mut viewer), "once");
}

#[test]
fn acknowledging_pictures_does_not_hold_a_button() {
    let (mut viewer, now) = viewer(true);
    viewer.sent(now, 1, now);
    viewer.input(now, LEFT);
    viewer.shown(now + ms(1499), 1);
    drain(&mut viewer);
    viewer.tick(now + ms(1500));
    assert!(drain(&mut viewer).contains(&Action::Input(Input::Release)));
}

#[test]
fn nothing_is_released_when_nothing_is_held() {
    let (mut viewer, now) = viewer(true);
    viewer.input(now, LEFT);
    viewer.input(now, NONE);
    drain(&mut viewer);
    viewer.tick(now + ms(1500));
    assert_eq!(Vec::<Action>::new(), drain(&mut viewer));
}

#[test]
fn what_comes_late_is_refused_once_and_releases_what_is_held() {
    let (mut viewer, now) = viewer(true);
    assert!(viewer.came_in_time(now, Some(500)));
    viewer.input(now, LEFT);
    drain(&mut viewer);
    let later = now + ms(1200);
    assert!(viewer.came_in_time(later, None), "who says no time is believed");
    assert!(!viewer.came_in_time(later, Some(600)));
    assert!(!viewer.came_in_time(later, Some(610)));
    let done = drain(&mut viewer);
    let [Action::Input(Input::Release), Action::Refuse(Refusal { code: "late", .. })] = &done[..] else {
        panic!("{done:?}");
    };
    assert!(viewer.came_in_time(later, Some(1690)));
}

#[test]
fn acknowledging_a_picture_tells_how_fast_a_message_may_be() {
    let (mut viewer, now) = viewer(true);
    viewer.stamped(now, Some(500));
    assert!(!viewer.came_in_time(now + ms(1200), Some(600)));
}

#[test]
fn moves_that_wait_are_one_and_no_press_is_lost_between_them() {
    let (mut viewer, now) = viewer(true);
    let at = |x, buttons| Input::Pointer { x, y: 2 * x, buttons };
    let key = |down| Input::Key { usage: Usage(4), down };
    for input in [at(1, 0), at(2, 0), at(3, 1), at(4, 1), at(5, 0), at(6, 0), key(true), at(7, 0), key(false)] {
        viewer.input(now, input);
    }
    let inputs = [at(2, 0), at(4, 1), at(6, 0), key(true), at(7, 0), key(false)];
    let done = [Action::Typing(true)].into_iter().chain(inputs.map(Action::Input));
    assert_eq!(done.collect::<Vec<_>>(), drain(&mut viewer));
}

#[test]
fn typing_is_announced_once_and_ends() {
    let (mut viewer, now) = viewer(true);
    viewer.input(now, NONE);
    viewer.input(now + ms(1000), NONE);
    let announced = drain(&mut viewer).into_iter().filter(|action| matches!(action, Action::Typing(_)));
    assert_eq!(vec![Action::Typing(true)], announced.collect::<Vec<_>>());
    viewer.tick(now + ms(3999));
    assert_eq!(Vec::<Action>::new(), drain(&mut viewer));
    viewer.tick(now + ms(4000));
    assert_eq!(vec![Action::Typing(false)], drain(&mut viewer));
}

#[test]
fn who_may_not_type_is_told_at_most_once_a_second() {
    let (mut viewer, now) = viewer(false);
    let mut told = Vec::new();
    for step in 0..=100 {
        viewer.input(now + ms(step * 10), LEFT);
        told.extend(drain(&mut viewer));
    }
    assert!(matches!(&told[..], [Action::Refuse(first), Action::Refuse(_)] if first.code == "not-allowed"), "{told:?}");
    viewer.input(now, Input::Release);
    assert_eq!(Vec::<Action>::new(), drain(&mut viewer));
}

#[test]
fn a_status_comes_at_most_five_times_a_second() {
    let (mut viewer, now) = viewer(true);
    let mut statuses = 0;
    for step in 1..=1000 {
        viewer.status_changed();
        viewer.tick(now + ms(step));
        statuses += drain(&mut viewer).len();
    }
    assert_eq!(5, statuses);
    assert_eq!(Some(now + BEAT), viewer.deadline());
}

#[test]
fn events_wait_for_room_and_do_not_pile_up_while_input_passes() {
    let (mut viewer, now) = viewer(true);
    let mut inputs = 0;
    for step in 1..=100 {
        let now = now + ms(step * 500);
        viewer.status_changed();
        viewer.input(now, NONE);
        viewer.tick(now);
        inputs += std::iter::from_fn(|| viewer.poll(false)).filter(|action| matches!(action, Action::Input(_))).count();
    }
    assert_eq!(100, inputs);
    assert_eq!(vec![Action::Status], drain(&mut viewer));
}

#[test]
fn a_viewer_hears_something_every_two_seconds_and_no_beat_beside_it() {
    let (mut viewer, now) = viewer(true);
    let beats = |viewer: &mut Viewer, at| {
        viewer.tick(now + ms(at));
        std::iter::from_fn(|| viewer.poll(true)).filter(|action| *action == Action::Beat).count()
    };
    assert_eq!(0, beats(&mut viewer, 1999));
    assert_eq!(Some(now + ms(2000)), viewer.deadline());
    assert_eq!(1, beats(&mut viewer, 2000));
    viewer.said(now + ms(2001));
    assert_eq!(0, beats(&mut viewer, 4000));
    viewer.said(now + ms(4000));
    assert_eq!(0, beats(&mut viewer, 5999));
    assert_eq!(1, beats(&mut viewer, 6000));
}

#[test]
fn a_beat_that_finds_no_room_is_not_needed_once_something_else_has_left() {
    let (mut viewer, now) = viewer(true);
    viewer.tick(now + ms(2000));
    assert_eq!(None, viewer.poll(false));
    assert_eq!(None, viewer.deadline(), "it is owed already, and what makes room wakes us");
    viewer.said(now + ms(9000));
    assert_eq!(None, viewer.poll(true));
}

#[test]
fn latency_is_told_once_a_second_from_the_newest_picture_shown() {
    let (mut viewer, now) = viewer(true);
    let mut told = Vec::new();
    for seq in 0..20 {
        let sent = now + ms(seq * 100);
        viewer.sent(sent, seq, sent);
        viewer.shown(sent + ms(30), seq);
        viewer.tick(sent + ms(30));
        told.extend(drain(&mut viewer));
    }
    assert_eq!(vec![Action::Latency(ms(30)); 2], told);
}
