//! Serves a viewer's WebSocket: pictures out, keys in, events out.
//!
//! One task does all three for one viewer, so that they need no locks and end together. What may be sent is decided by
//! [`Viewer`]; here that meets the [`PictureSocket`], the buses and the hands.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use log::debug;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::auth::rights::Denied;
use crate::auth::role::Privilege;
use crate::base::tasks::Stop;
use crate::bus::{Frame, SeatBus};
use crate::hands::protocol::Input;
use crate::net::ws::messages;
use crate::net::ws::messages::{FromDaemon, Status, ToDaemon};
use crate::seat::control::{Control, ControlError};
use crate::seat::pace::Pace;
use crate::seat::places::{Place, TooManyViewers};
use crate::seat::viewer::{Action, Refusal, Viewer};
use crate::update::{Progress, System};

use crate::auth::principal::Principal;
use crate::net::gate::transport::Transport;
use crate::net::http::problem::Problem;
use crate::net::site::Site;
use crate::net::ws::picture_socket::{Event, PictureSocket};

/// RFC 6455 section 7.4.1, and from 4000 on our own.
const GOING_AWAY: u16 = 1001;
const PROTOCOL: u16 = 1002;
const NOT_TEXT: u16 = 1003;
const MALFORMED: u16 = 1007;
const TOO_LONG: u16 = 1009;
const SESSION_ENDED: u16 = 4401;

/// Messages taken one after another before everybody else has a turn.
const MOST_IN_TURN: usize = 32;

/// How long the closing frame may take to leave.
const GRACE: Duration = Duration::from_millis(500);

/// Who has opened a socket, and where.
#[derive(Debug)]
pub struct Upgrade {
    principal: Principal,
    bus: SeatBus,
    /// Theirs alone, as a viewer and as the owner of keys.
    id: u64,
    /// Given back when the socket has closed.
    _place: Place,
}

impl Upgrade {
    /// Takes a place for this viewer, if there is one.
    pub fn new(site: &Site, principal: Principal, bus: SeatBus) -> Result<Upgrade, TooManyViewers> {
        let id = site.next_id();
        let place = site.places().take(id, &principal, &bus.seat)?;
        Ok(Upgrade { principal, bus, id, _place: place })
    }
}

/// Why we close.
struct Closing {
    code: u16,
    reason: String,
}

impl Closing {
    fn new(code: u16, reason: impl Into<String>) -> Option<Closing> {
        let mut reason = reason.into();
        // RFC 6455 section 5.5: a control frame carries 125 bytes at most, two of which are the code.
        reason.truncate(reason.floor_char_boundary(123));
        Some(Closing { code, reason })
    }
}

/// How a socket ends: with a closing frame, without one, or because it failed.
type End = Result<Option<Closing>, Error>;

/// Serves one viewer until either end has enough.
pub async fn run(transport: Transport, early: Bytes, upgrade: Upgrade, site: &Arc<Site>, stop: Stop) {
    let mut wire = PictureSocket::new(transport, early, messages::LONGEST).await;
    let ended = view(&mut wire, &upgrade, site, stop).await;
    // By now everything that was held has been released, whatever becomes of the connection.
    if let Ok(Some(Closing { code, reason })) = ended {
        debug!("closing {}'s socket with {code}: {reason}", upgrade.principal);
        if wire.close(code, reason).is_ok() {
            let _ = timeout(GRACE, poll_fn(|context| wire.poll_write(context))).await;
        }
    }
    let _ = wire.into_stream().part().await;
}

async fn view(wire: &mut PictureSocket<Transport>, upgrade: &Upgrade, site: &Arc<Site>, mut stop: Stop) -> End {
    let Upgrade { principal, bus, id, .. } = upgrade;
    let id = *id;
    let (mut attachment, mut drops) = Control::of(bus, site.hands()).attach(principal, id).await;
    let mut viewer = Viewer::new(Instant::now(), principal.may(Privilege::Input, Some(&bus.seat)));
    let (mut frames, mut status) = (bus.frames.watch(), bus.status.watch());
    frames.mark_changed();
    // Whose business it is hears how an update goes, and at first only if one does.
    let mut updates = principal.may(Privilege::Configure, None).then(|| site.system().watch());
    let (mut told, mut told_trial) = (Progress::default(), None);
    let mut gone = std::pin::pin!(principal.lease().ended());
    let (user, here) = (principal.name.as_str(), principal.rights.privileges(Some(&bus.seat)));
    let (role, privileges) = (here.role(), here.list());
    let hello = FromDaemon::Hello { seat: &bus.seat, id, user, role, privileges, clock: site.clock() };
    wire.say(hello.to_text())?;
    viewer.tick(Instant::now());
    let (mut pace, mut taken, mut end) = (Pace::new(Instant::now()), 0_usize, None);
    loop {
        if let Some(updates) = &mut updates
            && wire.has_room()
        {
            let (progress, trial) = {
                let system = updates.borrow_and_update();
                (system.update(), system.trial.clone())
            };
            if progress != told {
                wire.say(FromDaemon::Update(&progress).to_text())?;
                told = progress;
            }
            if trial != told_trial {
                wire.say(FromDaemon::Trial { trial: trial.as_ref() }.to_text())?;
                told_trial = trial;
            }
        }
        while attachment.has_room()
            && let Some(action) = viewer.poll(wire.has_room())
        {
            match action {
                Action::Input(input) => match attachment.input(input) {
                    Ok(()) => (),
                    Err(ControlError::Denied(Denied::Ended)) => return Ok(session_ended()),
                    Err(error) => {
                        let Problem { code, message, .. } = error.into();
                        viewer.refuse(Instant::now(), Refusal { code, message });
                    }
                },
                Action::Refuse(Refusal { code, message }) => {
                    wire.say(FromDaemon::Refused { code, message: &message }.to_text())?
                }
                Action::Status => {
                    let status = Status::new(&bus.seat, bus.status.now(), Instant::now(), site.clock());
                    wire.say(FromDaemon::Status(status).to_text())?
                }
                Action::Latency(latency) => {
                    let ms = (latency.as_secs_f64() * 10_000.0).round() / 10.0;
                    wire.say(FromDaemon::Latency { ms, clock: site.clock() }.to_text())?
                }
                Action::Beat => wire.say(FromDaemon::Beat { clock: site.clock() }.to_text())?,
                Action::Typing(typing) => attachment.typing(Instant::now(), typing),
                Action::Again => frames.mark_changed(),
            }
        }
        if let Some(end) = end {
            return end;
        }
        // Nothing is made for a page that is hidden.
        frames.want(viewer.watches());
        // Who sends faster than the hands take, or than anybody can, is not read meanwhile, so that it is they who
        // wait.
        let (has_room, paused) = (attachment.has_room(), pace.deadline(Instant::now()));
        let reads = has_room && paused.is_none();
        let deadline = [viewer.deadline(), paused].into_iter().flatten().min();
        tokio::select! {
            // In this order: the end before everything, since a wire that never runs dry would keep it waiting; then
            // input before pictures, and both before what can wait.
            biased;
            () = stop.requested() => return Ok(Closing::new(GOING_AWAY, "the daemon stops")),
            () = &mut gone => return Ok(session_ended()),
            event = poll_fn(|context| wire.poll(context, reads)) => match event {
                Some(Ok(Event::Message(message))) => {
                    end = take_ready(wire, &mut viewer, &mut pace, &mut taken, message);
                    if taken.is_multiple_of(MOST_IN_TURN) {
                        yield_now().await;
                    }
                }
                Some(Ok(Event::Drained)) => viewer.said(Instant::now()),
                Some(Err(error)) => return closing(error),
                None => return Ok(None),
            },
            Ok(()) = frames.changed(), if wire.is_free() && viewer.wants_picture(Instant::now()) => {
                let frame = frames.borrow_and_update().clone();
                if let Some(frame) = frame {
                    viewer.sent(Instant::now(), frame.seq, frame.captured);
                    wire.show(header(&frame), frame.jpeg);
                }
            }
            error = drops.next() => {
                let Problem { code, message, .. } = error.into();
                viewer.refuse(Instant::now(), Refusal { code, message });
            }
            () = attachment.room(), if !has_room => (),
            Ok(()) = status.changed() => viewer.status_changed(),
            () = changed(&mut updates), if wire.has_room() => (),
            () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => (),
        }
        viewer.tick(Instant::now());
    }
}

/// Waits for news of the appliance, if any are to be told.
async fn changed(updates: &mut Option<watch::Receiver<System>>) {
    if let Some(updates) = updates
        && updates.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Takes a message and all that are there already, within a turn, so that of many moves one can stand for all. Gives
/// how the socket ends, if it does; what came before that is still to be done.
fn take_ready(
    wire: &mut PictureSocket<Transport>,
    viewer: &mut Viewer,
    pace: &mut Pace,
    taken: &mut usize,
    first: Message,
) -> Option<End> {
    let mut message = first;
    loop {
        pace.take(Instant::now());
        if let Some(closing) = receive(viewer, message) {
            return Some(Ok(Some(closing)));
        }
        *taken += 1;
        if taken.is_multiple_of(MOST_IN_TURN) || pace.deadline(Instant::now()).is_some() {
            return None;
        }
        message = loop {
            // Whoever waits polls again, so that no waker is lost by this.
            match poll_fn(|context| wire.poll(context, true)).now_or_never()? {
                Some(Ok(Event::Message(message))) => break message,
                Some(Ok(Event::Drained)) => viewer.said(Instant::now()),
                Some(Err(error)) => return Some(closing(error)),
                None => return Some(Ok(None)),
            }
        };
    }
}

/// Takes a message, or says why the socket must be closed over it.
fn receive(viewer: &mut Viewer, message: Message) -> Option<Closing> {
    match message {
        Message::Text(text) => match ToDaemon::parse(&text) {
            Ok(message) => pass_on(viewer, Instant::now(), message),
            Err(reason) => return Closing::new(MALFORMED, reason),
        },
        Message::Binary(_) => return Closing::new(NOT_TEXT, "messages are text"),
        // The library answers these by itself.
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => (),
    }
    None
}

fn pass_on(viewer: &mut Viewer, now: Instant, message: ToDaemon) {
    match message {
        ToDaemon::Key { t, .. } | ToDaemon::Pointer { t, .. } | ToDaemon::Wheel { t, .. } | ToDaemon::Held { t }
            if !viewer.came_in_time(now, t) => {}
        ToDaemon::Key { code, down, .. } => viewer.key(now, &code, down),
        ToDaemon::Pointer { x, y, buttons, .. } => viewer.input(now, Input::Pointer { x, y, buttons }),
        ToDaemon::Wheel { dx, dy, .. } => viewer.input(now, Input::Wheel { dx, dy }),
        ToDaemon::Release {} => viewer.input(now, Input::Release),
        ToDaemon::Held { .. } => viewer.held(now),
        ToDaemon::Shown { seq, t } => {
            viewer.stamped(now, t);
            viewer.shown(now, seq);
        }
        ToDaemon::Beat { t } => viewer.stamped(now, t),
        ToDaemon::Pictures { on } => viewer.pictures(now, on),
    }
}

fn session_ended() -> Option<Closing> {
    Closing::new(SESSION_ENDED, "the session has ended")
}

/// Whether an error is a mistake of the other end that it should be told of, or just the end.
fn closing(error: Error) -> End {
    use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match error {
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            Ok(Closing::new(TOO_LONG, format!("messages are {max_size} bytes at most")))
        }
        Error::Utf8(_) => Ok(Closing::new(MALFORMED, "text must be UTF-8")),
        Error::Protocol(ResetWithoutClosingHandshake) => Ok(None),
        Error::Protocol(error) => Ok(Closing::new(PROTOCOL, error.to_string())),
        error => Err(error),
    }
}

/// What comes before a picture; see `docs/api.md`.
fn header(frame: &Frame) -> [u8; 16] {
    let mut header = [0; 16];
    let age = u32::try_from(frame.captured.elapsed().as_micros()).unwrap_or(u32::MAX);
    header[..8].copy_from_slice(&frame.seq.to_be_bytes());
    header[8..12].copy_from_slice(&age.to_be_bytes());
    header[12..14].copy_from_slice(&frame.size.width.to_be_bytes());
    header[14..].copy_from_slice(&frame.size.height.to_be_bytes());
    header
}
