//! Decides how many pictures may be on their way to one viewer.
//!
//! Too few, and a long way stands empty: with two pictures in flight, a round trip of 200 ms shows ten a second. Too
//! many, and a slow way fills with pictures that are old when they arrive. So the time from sending to showing is
//! measured: while it is what the way itself takes, more may follow; once it grows, a queue is building somewhere, and
//! two must do. The clock is passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One picture being sent while the one before is being drawn: what every viewer may have.
const FEWEST: usize = 2;

/// What a viewer may have on the longest way.
const MOST: usize = 8;

/// How long a way that nothing confirms is believed in, and how long what was too much is not tried again.
const MEMORY: Duration = Duration::from_secs(10);

/// How long a picture may be alone on its way to show how long that is. A page can lose one, and never says so.
const ALONE: Duration = Duration::from_secs(2);

/// The shortest time between two pictures that is reckoned with; a burst says nothing of the source's rate.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(8);

/// A gap in the source, such as a lost signal, is no interval.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);

/// The pictures on their way to one viewer.
#[derive(Debug)]
pub struct Window {
    flight: VecDeque<Flight>,
    /// The newest picture sent, by number and time of capture.
    newest: Option<(u64, Instant)>,
    interval: Option<Duration>,
    /// From sending to showing, when nothing else is in the way.
    path: Option<Duration>,
    /// When that was last found to be still so.
    confirmed: Instant,
    allowed: usize,
    /// How many the way has borne.
    proven: usize,
    /// When more was tried than the way bears, and how many that were.
    excess: Option<(Instant, usize)>,
}

#[derive(Debug)]
struct Flight {
    seq: u64,
    captured: Instant,
    sent: Instant,
    /// How many were on their way when it was sent, itself included.
    depth: usize,
}

impl Window {
    /// Nothing is on its way, and nothing known of the way.
    pub fn new(now: Instant) -> Window {
        Window {
            flight: VecDeque::new(),
            newest: None,
            interval: None,
            path: None,
            confirmed: now,
            allowed: FEWEST,
            proven: FEWEST,
            excess: None,
        }
    }

    /// Whether another picture may be sent.
    pub fn is_open(&self, now: Instant) -> bool {
        self.flight.len() < self.most(now)
    }

    /// Notes that a picture is being sent.
    pub fn sent(&mut self, now: Instant, seq: u64, captured: Instant) {
        if let Some((last, then)) = self.newest
            && let Some(apart) = seq.checked_sub(last).filter(|apart| 0 < *apart)
        {
            let apart = u32::try_from(apart).unwrap_or(u32::MAX);
            let interval = captured.saturating_duration_since(then) / apart;
            let interval = interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
            self.interval = Some(self.interval.map_or(interval, |known| (known * 7 + interval) / 8));
        }
        self.newest = Some((seq, captured));
        let depth = self.flight.len() + 1;
        self.flight.push_back(Flight { seq, captured, sent: now, depth });
    }

    /// Notes that a picture is on the screen, and gives when it was captured. That acknowledges all before it, too; a
    /// number that is not on its way says nothing.
    pub fn shown(&mut self, now: Instant, seq: u64) -> Option<Instant> {
        let place = self.flight.iter().position(|flight| flight.seq == seq)?;
        let shown = self.flight.drain(..=place).next_back()?;
        self.judge(now, &shown);
        Some(shown.captured)
    }

    /// Forgets what is on its way: the viewer has.
    pub fn clear(&mut self) {
        self.flight.clear();
        self.allowed = FEWEST;
    }

    fn most(&self, now: Instant) -> usize {
        let Some(limit) = self.limit() else { return FEWEST };
        let oldest = self.flight.front().map(|oldest| now.saturating_duration_since(oldest.sent));
        if self.is_doubtful(now) && oldest.is_none_or(|age| age < ALONE) {
            // A way that seems to have become longer may only be full. One picture alone tells.
            return 1;
        }
        if oldest.is_some_and(|age| limit < age) { FEWEST } else { self.allowed }
    }

    fn is_doubtful(&self, now: Instant) -> bool {
        self.confirmed + MEMORY <= now
    }

    /// From which time on a picture is late. Half an interval is what drawing and the network vary by anyway.
    fn limit(&self) -> Option<Duration> {
        let interval = self.interval?;
        Some(self.path? + interval + interval / 2)
    }

    fn judge(&mut self, now: Instant, shown: &Flight) {
        let time = now.saturating_duration_since(shown.sent);
        if self.path.is_none_or(|path| time < path) || self.is_doubtful(now) && shown.depth == 1 {
            self.path = Some(time);
        }
        let (Some(interval), Some(path), Some(limit)) = (self.interval, self.path, self.limit()) else { return };
        if limit < time {
            self.slow_down(now, shown);
            return;
        }
        self.confirmed = now;
        // Only a picture that was on its way with as many as are allowed shows that the way bears them.
        if shown.depth < self.allowed {
            return;
        }
        self.proven = self.proven.max(self.allowed);
        let fills = path.as_micros().div_ceil(interval.as_micros());
        let useful = usize::try_from(fills).unwrap_or(MOST).saturating_add(1);
        let excess = self.excess.filter(|(when, _)| now < *when + MEMORY);
        let bearable = excess.map_or(MOST, |(_, depth)| depth.saturating_sub(1));
        self.allowed = (self.allowed + 1).min(useful).min(bearable).clamp(FEWEST, MOST);
    }

    /// A picture came late: because the way was full, or because networks vary.
    fn slow_down(&mut self, now: Instant, late: &Flight) {
        self.allowed = FEWEST;
        if self.proven < late.depth {
            self.excess = Some((now, late.depth));
        }
        self.proven = FEWEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A way to a viewer, and what travels on it.
    struct Link {
        /// From here to there, and the same back.
        delay: Duration,
        bytes_per_second: u64,
        picture_bytes: u64,
        /// Added to every nth picture's way.
        jitter: (u64, Duration),
    }

    impl Link {
        fn new(delay: u64, bytes_per_second: u64, picture_bytes: u64) -> Link {
            Link { delay: ms(delay), bytes_per_second, picture_bytes, jitter: (u64::MAX, Duration::ZERO) }
        }

        /// Whoever watches 30 pictures a second through it for a time, after 5 s to settle.
        fn watch(&self, seconds: u64, window: &mut dyn Decides) -> Watched {
            let start = Instant::now();
            let transmission = Duration::from_micros(self.picture_bytes * 1_000_000 / self.bytes_per_second);
            let mut on_the_way: VecDeque<(Instant, u64)> = VecDeque::new();
            let (mut free, mut last, mut lags, mut deepest) = (start, 0, Vec::new(), 0);
            let captured = |seq: u64| start + Duration::from_micros(seq * 33_333);
            for step in 0..(5 + seconds) * 1000 {
                let now = start + ms(step);
                while on_the_way.front().is_some_and(|(at, _)| *at <= now) {
                    let Some((_, seq)) = on_the_way.pop_front() else { break };
                    window.shown(now, seq);
                    if 5000 <= step {
                        lags.push(now - self.delay - captured(seq));
                    }
                }
                let newest = step * 1000 / 33_333;
                if last < newest && window.is_open(now) {
                    last = newest;
                    window.sent(now, newest, captured(newest));
                    free = free.max(now) + transmission;
                    let late = if newest.is_multiple_of(self.jitter.0) { self.jitter.1 } else { Duration::ZERO };
                    // What follows a late one is behind it.
                    let at = (free + self.delay * 2 + late).max(on_the_way.back().map_or(start, |(at, _)| *at));
                    on_the_way.push_back((at, newest));
                }
                deepest = deepest.max(on_the_way.len());
            }
            lags.sort_unstable();
            Watched { per_second: lags.len() as u64 / seconds, median: lags[lags.len() / 2], lags, deepest }
        }
    }

    #[derive(Debug)]
    struct Watched {
        per_second: u64,
        median: Duration,
        lags: Vec<Duration>,
        deepest: usize,
    }

    impl Watched {
        fn worst(&self) -> Duration {
            self.lags[self.lags.len() - 1]
        }
    }

    trait Decides {
        fn is_open(&self, now: Instant) -> bool;
        fn sent(&mut self, now: Instant, seq: u64, captured: Instant);
        fn shown(&mut self, now: Instant, seq: u64);
    }

    impl Decides for Window {
        fn is_open(&self, now: Instant) -> bool {
            Window::is_open(self, now)
        }
        fn sent(&mut self, now: Instant, seq: u64, captured: Instant) {
            Window::sent(self, now, seq, captured);
        }
        fn shown(&mut self, now: Instant, seq: u64) {
            Window::shown(self, now, seq);
        }
    }

    /// Two pictures on their way, whatever the way is: the yardstick.
    #[derive(Default)]
    struct Two(VecDeque<u64>);

    impl Decides for Two {
        fn is_open(&self, _: Instant) -> bool {
            self.0.len() < 2
        }
        fn sent(&mut self, _: Instant, seq: u64, _: Instant) {
            self.0.push_back(seq);
        }
        fn shown(&mut self, _: Instant, seq: u64) {
            self.0.retain(|other| seq < *other);
        }
    }

    fn watch(link: &Link) -> (Watched, Watched) {
        (link.watch(60, &mut Window::new(Instant::now())), link.watch(60, &mut Two::default()))
    }

    #[test]
    fn a_long_way_shows_every_picture() {
        for delay in [10, 25, 50, 75, 100] {
            let link = Link::new(delay, 12_500_000, 60_000);
            let (ours, two) = watch(&link);
            assert!(29 <= ours.per_second, "{} ms: {ours:?}", delay * 2);
            assert!(ours.worst() <= ms(delay + 40), "{} ms: {:?}", delay * 2, ours.worst());
            assert!(two.per_second <= ours.per_second);
        }
    }

    #[track_caller]
    fn check_slow_way(bytes_per_second: u64, delay: u64, tolerance: Duration) {
        let (ours, two) = watch(&Link::new(delay, bytes_per_second, 322_000));
        let what = format!("{bytes_per_second} B/s, {} ms", delay * 2);
        assert!(ours.median <= two.median + tolerance, "{what}: {:?}, not {:?}", ours.median, two.median);
        // Now and then one more than the way bears is tried.
        let most = two.worst() + ms(65 + 322_000_000 / bytes_per_second);
        assert!(ours.worst() <= most, "{what}: {:?}, not {:?}", ours.worst(), two.worst());
        assert!(two.per_second <= ours.per_second + 1, "{what}: {ours:?}");
    }

    #[test]
    fn a_slow_way_is_as_fresh_as_with_two() {
        for bytes_per_second in [250_000, 500_000, 1_000_000, 2_000_000, 4_000_000] {
            for delay in [0, 5, 30] {
                check_slow_way(bytes_per_second, delay, ms(1));
            }
        }
    }

    #[test]
    fn a_way_that_almost_keeps_up_is_an_interval_and_a_half_behind_at_most() {
        for bytes_per_second in [6_000_000, 7_500_000, 9_000_000] {
            for delay in [0, 5, 30] {
                check_slow_way(bytes_per_second, delay, ms(50));
            }
        }
    }

    #[test]
    fn a_way_that_varies_shows_more_than_two_would() {
        let mut link = Link::new(100, 12_500_000, 60_000);
        link.jitter = (100, ms(80));
        let (ours, two) = watch(&link);
        assert!(two.per_second * 2 <= ours.per_second, "{}, not {}", ours.per_second, two.per_second);
    }

    #[test]
    fn never_more_than_eight_are_on_their_way() {
        let (ours, _) = watch(&Link::new(400, 100_000_000, 10_000));
        assert_eq!(8, ours.deepest);
    }

    #[test]
    fn two_at_once_and_no_third_before_anything_is_known() {
        let now = Instant::now();
        let mut window = Window::new(now);
        window.sent(now, 1, now);
        assert!(window.is_open(now));
        window.sent(now, 2, now);
        assert!(!window.is_open(now));
        assert_eq!(None, window.shown(now, 7), "a number never sent acknowledges nothing");
        assert!(!window.is_open(now));
        assert_eq!(Some(now), window.shown(now, 2));
        window.sent(now, 5, now);
        assert!(window.is_open(now), "the first was acknowledged with the second");
    }

    /// A window that has grown on a way of 200 ms, with so many on their way, and the time.
    fn grown() -> (Window, Instant, u64) {
        let start = Instant::now();
        let mut window = Window::new(start);
        let (mut seq, mut acknowledged) = (0, 0);
        let mut sent = VecDeque::new();
        for step in 0..300 {
            let now = start + ms(step * 33);
            while sent.front().is_some_and(|at| *at + ms(200) <= now) {
                sent.pop_front();
                acknowledged += 1;
                window.shown(now, acknowledged);
            }
            if window.is_open(now) {
                seq += 1;
                sent.push_back(now);
                window.sent(now, seq, now);
            }
        }
        (window, start + ms(299 * 33), seq)
    }

    #[test]
    fn a_way_that_fills_gets_two_at_once() {
        let (window, now, _) = grown();
        assert!(FEWEST + 3 <= window.most(now), "{}", window.most(now));
        // Nothing is shown any more: before an answer tells, the oldest is late.
        assert_eq!(FEWEST, window.most(now + ms(260)));
    }

    #[test]
    fn who_shows_pictures_late_has_two_until_they_are_shown_in_time_again() {
        let (mut window, now, newest) = grown();
        window.shown(now + ms(260), newest - 3);
        assert_eq!(FEWEST, window.allowed);
    }

    #[test]
    fn a_picture_that_a_page_has_lost_holds_up_the_next_for_two_seconds_at_most() {
        let (mut window, now, newest) = grown();
        window.shown(now, newest);
        let later = now + ms(60_000);
        window.sent(later, newest + 1, later);
        assert!(!window.is_open(later + ms(1999)));
        assert!(window.is_open(later + ms(2000)));
        window.sent(later + ms(2000), newest + 2, later + ms(2000));
        window.shown(later + ms(2200), newest + 2);
        assert!(window.is_open(later + ms(2200)));
    }

    #[test]
    fn a_way_that_has_become_longer_for_good_is_learnt() {
        let (mut window, now, mut seq) = grown();
        window.clear();
        let mut sent: VecDeque<(Instant, u64)> = VecDeque::new();
        let mut shown = 0;
        for step in 1..40_000 {
            let now = now + ms(step);
            while sent.front().is_some_and(|(at, _)| *at + ms(350) <= now) {
                let Some((_, seq)) = sent.pop_front() else { break };
                window.shown(now, seq);
                shown += u64::from(30_000 <= step);
            }
            if step.is_multiple_of(33) {
                seq += 1;
                if window.is_open(now) {
                    sent.push_back((now, seq));
                    window.sent(now, seq, now);
                }
            }
        }
        assert!(200 <= shown, "{shown} in ten seconds, and two make 57");
    }
}
