//! Acts as the front panel of a PC with its two buttons.
//!
//! The power button starts a machine that is off, asks a running one to stop, and cuts the power when it is held for
//! four seconds (ACPI 6.5, 4.8.2.2.1.2, "power button override").

use std::time::{Duration, Instant};

const OVERRIDE: Duration = Duration::from_secs(4);

/// What has to happen to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Switch the power on.
    Start,
    /// Ask the operating system to shut down.
    Ask,
    /// Cut the power.
    Cut,
    /// Reset the processor.
    Reset,
}

/// The two buttons and the circuit behind them.
#[derive(Debug, Default)]
pub struct Panel {
    pressed: Option<Instant>,
}

impl Panel {
    /// The power button's contact closes or opens.
    pub fn power(&mut self, now: Instant, closed: bool, running: bool) -> Option<Action> {
        if closed == self.pressed.is_some() {
            return None;
        }
        // A caller that was too busy to tick still gets the cut.
        let cut = self.tick(now, running);
        self.pressed = closed.then_some(now);
        match (closed, running) {
            (true, true) => Some(Action::Ask),
            (true, false) => Some(Action::Start),
            (false, _) => cut,
        }
    }

    /// The reset button's contact closes or opens.
    pub fn reset(&self, closed: bool, running: bool) -> Option<Action> {
        (closed && running).then_some(Action::Reset)
    }

    /// Tells the panel what time it is.
    pub fn tick(&mut self, now: Instant, running: bool) -> Option<Action> {
        let held = self.deadline().is_some_and(|end| end <= now);
        (held && running).then_some(Action::Cut)
    }

    /// When [`Panel::tick`] has work to do, unless the button is released.
    pub fn deadline(&self) -> Option<Instant> {
        self.pressed.map(|since| since + OVERRIDE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_starts_a_machine_that_is_off() {
        let mut panel = Panel::default();
        assert_eq!(Some(Action::Start), panel.power(Instant::now(), true, false));
        assert_eq!(None, panel.power(Instant::now(), false, true));
    }

    #[test]
    fn a_short_press_asks_and_never_cuts() {
        let (mut panel, now) = (Panel::default(), Instant::now());
        assert_eq!(Some(Action::Ask), panel.power(now, true, true));
        assert_eq!(None, panel.tick(now + OVERRIDE - Duration::from_millis(1), true));
        assert_eq!(None, panel.power(now + Duration::from_secs(1), false, true));
        assert_eq!(None, panel.tick(now + OVERRIDE, true));
    }

    #[test]
    fn a_held_button_cuts_the_power_once() {
        let (mut panel, now) = (Panel::default(), Instant::now());
        panel.power(now, true, true);
        assert_eq!(Some(Action::Cut), panel.tick(now + OVERRIDE, true));
        assert_eq!(None, panel.tick(now + OVERRIDE, false));
    }

    #[test]
    fn a_held_button_is_noticed_at_its_release() {
        let (mut panel, now) = (Panel::default(), Instant::now());
        panel.power(now, true, true);
        assert_eq!(Some(Action::Cut), panel.power(now + OVERRIDE, false, true));
    }

    #[test]
    fn reset_acts_on_a_machine_that_runs() {
        assert_eq!(Some(Action::Reset), Panel::default().reset(true, true));
        assert_eq!(None, Panel::default().reset(true, false));
        assert_eq!(None, Panel::default().reset(false, true));
    }
}
