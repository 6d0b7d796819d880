//! Starts programs for a process that may start none itself.
//!
//! What a program needs, its starter would have to keep, for what a process may not do, nothing that it starts may do
//! either. So a process that fences itself in leaves another behind before, which strangers never talk to. That one
//! starts a few programs that were named when it was made: all that it can be told is which, where its input comes from
//! and its output goes, and further arguments where the program takes any, each of which it checks.
//!
//! Without such a process, a launcher does the same work in its own. Tests use that.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Output};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{ForkResult, Pid, fork};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

/// What may be started.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its path or name, then its arguments.
    pub line: Vec<OsString>,
    /// Which arguments may come after these.
    takes: fn(&str) -> bool,
    /// Those that do come.
    more: Vec<String>,
    /// Whether it goes on when whoever asked for it has lost interest, or died.
    pub outlives: bool,
}

impl Program {
    /// A program, and everything it has started, ends when whoever asked for it does not wait for it any more.
    pub fn new(line: impl IntoIterator<Item = impl Into<OsString>>) -> Program {
        let line = line.into_iter().map(Into::into).collect();
        Program { line, takes: |_| false, more: Vec::new(), outlives: false }
    }

    /// The same, which may be given arguments such as these.
    pub fn taking(self, takes: fn(&str) -> bool) -> Program {
        Program { takes, ..self }
    }

    /// The same, with these arguments.
    pub fn with(&self, more: impl IntoIterator<Item = impl Into<String>>) -> Program {
        Program { more: more.into_iter().map(Into::into).collect(), ..self.clone() }
    }

    /// The same, but once started, it is left to end by itself.
    pub fn outliving(self) -> Program {
        Program { outlives: true, ..self }
    }

    fn takes_all(&self) -> bool {
        self.more.iter().all(|argument| !argument.contains('\0') && (self.takes)(argument))
    }
}

/// Starts programs, here or in a process made for it.
#[derive(Debug, Clone, Default)]
pub struct Launcher(Option<Arc<Remote>>);

/// The process that starts programs, and what it starts.
#[derive(Debug)]
struct Remote {
    socket: OwnedFd,
    programs: Vec<Program>,
}

/// Where a program's input comes from, and where its outputs go.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is called what it is")]
pub struct Streams {
    pub input: OwnedFd,
    pub output: OwnedFd,
    pub errors: OwnedFd,
}

/// A program that runs. Whoever drops this does not wait for it any more.
#[derive(Debug)]
pub struct Running(UnixStream);

/// How a program ended, on its way: whether it was started, and a status or an error's number.
type Word = [u8; 5];
const ENDED: u8 = 0;
const NOT_STARTED: u8 = 1;

/// The most bytes in which a program and its arguments are asked for.
const LONGEST: usize = 1024;

impl Launcher {
    /// Leaves a process behind that starts these programs, for as long as this one lives.
    ///
    /// This process must not have a second thread yet: of all threads, the new one has this one alone.
    pub fn leave(programs: Vec<Program>) -> io::Result<Launcher> {
        let (launcher, theirs) = Launcher::pair(programs.clone())?;
        // SAFETY: there is one thread, so no lock is held in the new process by a thread that it does not have.
        match unsafe { fork() }? {
            ForkResult::Parent { .. } => Ok(launcher),
            ForkResult::Child => {
                drop(launcher);
                // So that a person who lists processes can tell the two apart.
                let _ = prctl::set_name(c"launcher");
                serve(&theirs, &programs);
                std::process::exit(0)
            }
        }
    }

    fn pair(programs: Vec<Program>) -> io::Result<(Launcher, OwnedFd)> {
        let (socket, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Launcher(Some(Arc::new(Remote { socket, programs }))), theirs))
    }

    /// Starts a program. That it could not be started, whoever waits for its end learns.
    pub fn start(&self, program: &Program, streams: Streams) -> io::Result<Running> {
        if !program.takes_all() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (ours, theirs) = UnixStream::pair()?;
        let Some(remote) = &self.0 else {
            let program = program.clone();
            thread::Builder::new().name("launcher".into()).spawn(move || run(&program, streams, theirs))?;
            return Ok(Running(ours));
        };
        let known = remote.programs.iter().position(|known| known.line == program.line);
        let number = known.and_then(|at| u8::try_from(at).ok()).ok_or(io::ErrorKind::PermissionDenied)?;
        let mut request = vec![number];
        program.more.iter().for_each(|argument| request.extend(argument.bytes().chain([0])));
        if LONGEST < request.len() {
            return Err(io::ErrorKind::ArgumentListTooLong.into());
        }
        let Streams { input, output, errors } = &streams;
        let given = [theirs.as_raw_fd(), input.as_raw_fd(), output.as_raw_fd(), errors.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&given)];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(remote.socket.as_raw_fd(), &[IoSlice::new(&request)], &rights, flags, None)?;
        Ok(Running(ours))
    }

    /// Runs a program to its end with this input, and gives what it said.
    pub fn output(&self, program: &Program, input: &[u8]) -> io::Result<Output> {
        let (mut output, out) = io::pipe()?;
        self.run(program, input, Some(&mut output), out.into())
    }

    /// Runs a program to its end with this input; its output goes elsewhere.
    pub fn output_to(&self, program: &Program, input: &[u8], output: OwnedFd) -> io::Result<Output> {
        self.run(program, input, None, output)
    }

    /// The same, within a runtime: runs a program without input to its end, and gives what it complained of.
    pub async fn complaints(&self, program: &Program) -> io::Result<(ExitStatus, String)> {
        let (reader, errors) = io::pipe()?;
        let output = File::options().write(true).open("/dev/null")?.into();
        let running = self.start(program, Streams { input: nothing()?, output, errors: errors.into() })?;
        let mut said = Vec::new();
        pipe::Receiver::from_owned_fd(reader.into())?.read_to_end(&mut said).await?;
        Ok((running.ended().await?, String::from_utf8_lossy(&said).trim().to_string()))
    }

    fn run(
        &self,
        program: &Program,
        input: &[u8],
        reader: Option<&mut io::PipeReader>,
        output: OwnedFd,
    ) -> io::Result<Output> {
        let (given, mut giver) = io::pipe()?;
        let (mut errors, err) = io::pipe()?;
        let running = self.start(program, Streams { input: given.into(), output, errors: err.into() })?;
        match giver.write_all(input) {
            // One that does not read its input, or does not start, says so otherwise.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => drop(giver),
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            let complaints = scope.spawn(|| errors.read_to_end(&mut stderr));
            let said = reader.map_or(Ok(0), |reader| reader.read_to_end(&mut stdout));
            complaints.join().unwrap_or(Ok(0)).and(said)
        })?;
        Ok(Output { status: running.wait()?, stdout, stderr })
    }
}

impl Running {
    /// Waits until it has ended.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        let mut word = Word::default();
        self.0.read_exact(&mut word)?;
        status(word)
    }

    /// The same, within a runtime.
    pub async fn ended(self) -> io::Result<ExitStatus> {
        self.0.set_nonblocking(true)?;
        let mut word = Word::default();
        tokio::net::UnixStream::from_std(self.0)?.read_exact(&mut word).await?;
        status(word)
    }
}

fn status([kind, number @ ..]: Word) -> io::Result<ExitStatus> {
    match (kind, i32::from_ne_bytes(number)) {
        (ENDED, status) => Ok(ExitStatus::from_raw(status)),
        (_, error) => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Starts what it is asked for until nobody can ask any more, and ends after whatever has to end before.
fn serve(socket: &OwnedFd, programs: &[Program]) {
    thread::scope(|scope| {
        loop {
            let (request, [control, input, output, errors]) = match receive(socket) {
                Ok(Some(received)) => received,
                // One that came with something else than four descriptors.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
                Ok(None) | Err(_) => break,
            };
            // Whoever asks for something else sees that it never ends well.
            let Some(program) = asked(&request, programs) else { continue };
            let streams = Streams { input, output, errors };
            let name = program.line[0].clone();
            let started = thread::Builder::new().spawn_scoped(scope, move || run(&program, streams, control.into()));
            if let Err(error) = started {
                log::error!("cannot start {}: {error}", name.display());
            }
        }
    });
}

/// What a request asks for, if it may.
fn asked(request: &[u8], programs: &[Program]) -> Option<Program> {
    let (number, rest) = request.split_first()?;
    let arguments = std::str::from_utf8(rest).ok()?.split_terminator('\0');
    let program = programs.get(usize::from(*number))?.with(arguments);
    program.takes_all().then_some(program)
}

/// The next request; none when the other end is gone.
fn receive(socket: &OwnedFd) -> io::Result<Option<(Vec<u8>, [OwnedFd; 4])>> {
    let (mut request, mut space) = (vec![0; LONGEST], cmsg_space!([RawFd; 4]));
    let mut parts = [IoSliceMut::new(&mut request)];
    let (length, given) = loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => (),
            Err(error) => return Err(error.into()),
            Ok(message) => {
                let rights = message.cmsgs().map_err(|_| io::ErrorKind::InvalidData)?.filter_map(|part| match part {
                    ControlMessageOwned::ScmRights(given) => Some(given),
                    _ => None,
                });
                // SAFETY: the kernel has just made them for us, and nobody else knows of them.
                let own = |fd: RawFd| unsafe { OwnedFd::from_raw_fd(fd) };
                break (message.bytes, rights.flatten().map(own).collect::<Vec<_>>());
            }
        }
    };
    match <[OwnedFd; 4]>::try_from(given) {
        Ok(given) => {
            request.truncate(length);
            Ok(Some((request, given)))
        }
        _ if length == 0 => Ok(None),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Runs a program, and tells `control` how it ended. If the other end closes that before, everything that belongs to
/// the program is killed, unless it is to be left alone.
fn run(program: &Program, streams: Streams, mut control: UnixStream) {
    let mut command = Command::new(&program.line[0]);
    // What it says is read by us, in English. It has a process group of its own, so that all of it can be killed.
    command.args(&program.line[1..]).args(&program.more).env("LC_ALL", "C").process_group(0);
    command.stdin(streams.input).stdout(streams.output).stderr(streams.errors);
    let started = command.spawn();
    // With it go our copies of the pipes' ends, or their readers would wait for ever.
    drop(command);
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return tell(&mut control, NOT_STARTED, error.raw_os_error().unwrap_or_default()),
    };
    let group = Pid::from_raw(child.id().cast_signed());
    let has_ended = Mutex::new(false);
    thread::scope(|scope| {
        if let (false, Ok(mut watched)) = (program.outlives, control.try_clone()) {
            let has_ended = &has_ended;
            scope.spawn(move || {
                // Nothing is ever sent.
                let _ = watched.read(&mut [0]);
                // The number is the group's for as long as nobody has waited for its first process.
                if !*has_ended.lock().unwrap_or_else(PoisonError::into_inner) {
                    let _ = killpg(group, Signal::SIGKILL);
                }
            });
        }
        // It is waited for twice, so that its number is nobody else's until it is known to have ended.
        while let Err(Errno::EINTR) = waitid(Id::Pid(group), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {}
        let mut ended = has_ended.lock().unwrap_or_else(PoisonError::into_inner);
        let status = child.wait();
        *ended = true;
        drop(ended);
        match status {
            Ok(status) => tell(&mut control, ENDED, status.into_raw()),
            Err(error) => tell(&mut control, NOT_STARTED, error.raw_os_error().unwrap_or_default()),
        }
    });
}

fn tell(control: &mut UnixStream, kind: u8, number: i32) {
    let [a, b, c, d] = number.to_ne_bytes();
    // Whoever asked may have gone.
    let _ = control.write_all(&[kind, a, b, c, d]);
    let _ = control.shutdown(std::net::Shutdown::Both);
}

/// Nothing, as a program's input.
pub fn nothing() -> io::Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new(["sh", "-c", script])
    }

    /// A launcher in this process, and one at the other end of a socket, which may start these programs.
    fn both(programs: &[Program]) -> [Launcher; 2] {
        let (remote, theirs) = Launcher::pair(programs.to_vec()).unwrap();
        let programs = programs.to_vec();
        thread::spawn(move || serve(&theirs, &programs));
        [Launcher::default(), remote]
    }

    #[test]
    fn a_program_gets_its_input_and_what_it_says_and_how_it_ends_is_told() {
        let program = shell("read word; echo $word; echo no >&2; exit 7");
        for launcher in both(std::slice::from_ref(&program)) {
            let output = launcher.output(&program, b"yes\n").unwrap();
            assert_eq!(
                (Some(7), &b"yes\n"[..], &b"no\n"[..]),
                (output.status.code(), &*output.stdout, &*output.stderr)
            );
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_told_of_and_so_is_one_that_reads_nothing() {
        let (missing, deaf) = (Program::new(["/nowhere/program"]), shell("exit 0"));
        for launcher in both(&[missing.clone(), deaf.clone()]) {
            assert_eq!(io::ErrorKind::NotFound, launcher.output(&missing, b"").unwrap_err().kind());
            assert!(launcher.output(&deaf, &[b'x'; 1 << 20]).unwrap().status.success());
        }
    }

    #[test]
    fn nothing_is_started_that_was_not_named_at_the_beginning() {
        let [_, launcher] = both(&[shell("exit 0")]);
        let error = launcher.output(&shell("exit 1"), b"").unwrap_err();
        assert_eq!(io::ErrorKind::PermissionDenied, error.kind());
        assert!(launcher.output(&shell("exit 0"), b"").unwrap().status.success(), "it goes on");
    }

    #[test]
    fn a_program_is_given_arguments_that_it_takes_and_no_others() {
        let program = Program::new(["echo", "port"]).taking(|port| port.starts_with("1-"));
        for launcher in both(std::slice::from_ref(&program)) {
            assert_eq!(b"port 1-1 1-2\n", &*launcher.output(&program.with(["1-1", "1-2"]), b"").unwrap().stdout);
            for refused in [["1-1", "--help"], ["1-1", "1-2\0x"]] {
                let error = launcher.output(&program.with(refused), b"").unwrap_err();
                assert_eq!(io::ErrorKind::PermissionDenied, error.kind());
            }
        }
        // Whoever asks is not believed to have looked.
        for (request, may) in [(&b"\x001-1\0"[..], true), (b"\x00", true), (b"\x002-1\0", false), (b"\x01", false)] {
            assert_eq!(may, asked(request, std::slice::from_ref(&program)).is_some(), "{request:?}");
        }
    }

    #[test]
    fn who_loses_interest_ends_a_program_with_all_that_it_has_started_or_leaves_it_alone() {
        // It says when there are two; the other one says something more once it has been told to.
        let two = "exec 3<&0; (read word <&3; echo $word) & echo two; wait";
        for outlives in [false, true] {
            let program = Program { outlives, ..shell(two) };
            for launcher in both(std::slice::from_ref(&program)) {
                let ((given, mut giver), (mut output, out)) = (io::pipe().unwrap(), io::pipe().unwrap());
                let errors = File::options().write(true).open("/dev/null").unwrap().into();
                let streams = Streams { input: given.into(), output: out.into(), errors };
                let running = launcher.start(&program, streams).unwrap();
                output.read_exact(&mut [0; 4]).unwrap();
                drop(running);
                if outlives {
                    giver.write_all(b"more\n").unwrap();
                }
                let mut rest = String::new();
                // Without a kill, this would not end before it is asked to.
                output.read_to_string(&mut rest).unwrap();
                assert_eq!(if outlives { "more\n" } else { "" }, rest);
            }
        }
    }
}
