//! A key that is held while the simulated machine starts, as people hold it who want the firmware's set-up.

use std::collections::BTreeMap;

use farhand::base::front_panel::Contact;
use farhand::base::signal::Size;
use farhand::base::tasks::{Tasks, stop};
use farhand::bus::{Frames, SystemBus};
use farhand::hands::appliance::ApplianceClient;
use farhand::hands::client::{Hands, HandsError, Input};
use farhand::hands::link::ServerSource;
use farhand::hands::server::{ClientSource, run};
use farhand::hid::keyboard::Usage;
use farhand::pipeline::Pipeline;
use farhand::ports::CaptureSource as _;
use farhand::sim::ports::machine;
use tokio::sync::mpsc;

use super::bench::{ANNA, HALF, bus, seat, soon};

const DELETE: Usage = Usage(0x4C);

/// Waits until the set-up is shown, whose light bar begins where the self-test is black.
async fn until_setup(frames: &mut Frames, is_shown: bool) {
    const TEXT: Size = Size { width: 720, height: 400 };
    let is_bright = |jpeg: &[u8]| 180 < turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::GRAY).unwrap().pixels[0];
    let shows = |file: &[u8], size| size == TEXT && is_bright(file) == is_shown;
    let shown = frames.wait_for(|frame| frame.as_ref().is_some_and(|frame| shows(&frame.jpeg, frame.size)));
    drop(soon(if is_shown { "the set-up" } else { "the self-test" }, shown).await.unwrap());
}

#[tokio::test]
async fn delete_held_through_power_on_and_through_reset_opens_the_set_up() {
    let (board, screen) = machine();
    let (stopper, stop) = stop();
    let tasks = Tasks::new(stop.clone());
    let (bus, status) = bus();
    let shown = bus.clone();
    tasks.thread("the screen", move |stop| Box::new(screen).run(Box::new(Pipeline::new(shown)), stop)).unwrap();
    let (connect, clients) = mpsc::channel(1);
    let boards = BTreeMap::from([(seat(), board)]);
    tasks.spawn("the hands", run(ClientSource::Inside(clients), boards, ApplianceClient::simulated(), stop.clone()));
    let (hands, link) = Hands::new(std::slice::from_ref(&bus), SystemBus::default());
    link.start(ServerSource::Inside(connect), &tasks, stop).unwrap();
    let mut known = status.watch();
    let mut frames = bus.frames.watch();
    frames.want(true);
    let (anna, _drops) = hands.attach(&seat(), ANNA).await;
    let delete = |down| anna.send(Input::Key { usage: DELETE, down });

    soon("the hands are there", known.wait_for(|status| status.target.udc.is_some())).await.unwrap();
    assert_eq!(Err(HandsError::Unplugged), delete(true), "the machine has not taken the keyboard yet");
    until_setup(&mut frames, true).await;
    // The picture may be sooner here than what the hands know of the target.
    soon("the keyboard is taken", known.wait_for(|status| status.target.takes_keys())).await.unwrap();
    delete(false).unwrap();

    delete(true).unwrap();
    hands.press(&seat(), Contact::Reset, HALF).await.unwrap();
    until_setup(&mut frames, false).await;
    until_setup(&mut frames, true).await;
    stopper.stop();
}
