//! An example that serves until its input ends.

#[path = "idle.rs"]
mod idle;

use crate::support::example;
use idle::is_idle;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::mem::size_of;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::io::AsRawFd;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// Far longer than any step takes. Only a hang lasts this long.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        Self::spawn(Command::new(example(name)).args(arguments).stdin(Stdio::piped()))
    }

    /// Starts the example through a shell script, which finds the program and its arguments in
    /// `"$@"`.
    pub fn start_by(script: &str, name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        Self::spawn(command.args(["-c", script, "sh"]).arg(example(name)).args(arguments).stdin(Stdio::piped()))
    }

    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the example starts");
        let stdout = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Self { child, stdout }
    }

    /// Reads the next line, and returns the address that follows these words.
    pub fn address(&mut self, words: &str) -> SocketAddr {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the example prints");
        let address = line.trim_end().strip_prefix(words).expect("the line says where it listens");
        address.trim().parse().expect("its address is one")
    }

    /// Ends the input, waits for a successful exit, and returns the remaining output.
    pub fn last_words(mut self) -> String {
        drop(self.child.stdin.take());
        eventually("the example ends", || self.child.try_wait().expect("it is our child").is_some());
        assert!(self.child.wait().expect("it is our child").success());
        let mut words = String::new();
        self.stdout.read_to_string(&mut words).expect("the example prints");
        words
    }

    pub fn type_in(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("its input is a pipe");
        stdin.write_all(text.as_bytes()).expect("the example reads its input");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Sends the signal to the example.
    #[allow(dead_code)] // not every test uses it
    pub fn signal(&self, signal: i32) {
        // SAFETY: the call takes no pointer.
        let answer = unsafe { libc::kill(self.child.id() as i32, signal) };
        assert_eq!(answer, 0, "it is our child");
    }

    /// Runs this while the example is stopped, so that it later finds all events at once.
    #[allow(dead_code)] // not every test uses it
    pub fn frozen(&self, happen: impl FnOnce()) {
        let is_stopped = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the example runs");
            stat.rsplit(')').next().expect("a name in parentheses").trim_start().starts_with('T')
        };
        self.signal(libc::SIGSTOP);
        eventually("it is stopped", is_stopped);
        happen();
        sleep(Duration::from_millis(50));
        self.signal(libc::SIGCONT);
    }

    #[allow(dead_code)] // not every test uses it
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the example runs").count()
    }

    /// The bytes of memory that it uses.
    #[allow(dead_code)] // not every test uses it
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the example runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }

    /// Waits until the example has been idle for this long.
    pub fn becomes_idle(&self, pause: Duration) {
        eventually("it is idle", || is_idle(self.child.id(), pause));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the example listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

pub fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happens() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Bytes without repetition.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(next).collect()
}

/// Sends everything before it reads, then expects all of it back and the end of the stream.
pub fn echo_to_a_late_reader(address: SocketAddr, length: usize) {
    let (mut stream, sent, mut back) = (connect(address), noise(length), Vec::new());
    let mut writer = stream.try_clone().expect("a socket");
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).expect("the example reads");
            writer.shutdown(Shutdown::Write).expect("it is open");
        });
        // Usually the returned data then fills every buffer. If not, the test is easier.
        sleep(Duration::from_millis(200));
        stream.read_to_end(&mut back).expect("an end, not a reset");
    });
    assert!(back == sent, "{} bytes of {length} came back, or others", back.len());
}

/// Each client sends a number of its own, then each reads it back.
pub fn exchange(clients: &[TcpStream]) {
    for (number, mut client) in clients.iter().enumerate() {
        client.write_all(&(number as u64).to_le_bytes()).expect("the example reads");
    }
    for (number, mut client) in clients.iter().enumerate() {
        let mut back = [0; 8];
        client.read_exact(&mut back).expect("the example sends back");
        assert_eq!(u64::from_le_bytes(back), number as u64);
    }
}

/// Makes the close reset the connection, even with data in transit.
pub fn close_by_reset(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let (pointer, size): (*const libc::linger, _) = (&linger, size_of::<libc::linger>() as libc::socklen_t);
    // SAFETY: the pointer and size are those of the option's value, and the descriptor is open.
    let answer =
        unsafe { libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, pointer.cast(), size) };
    assert_eq!(answer, 0, "the option cannot be set");
}

/// Clients beyond the descriptor limit wait without making the example spin, and all are served
/// once others leave.
pub fn survives_a_shortage(mut program: Program, address: SocketAddr) {
    let clients: Vec<_> = (0..64).map(|_| connect(address)).collect();
    clients.iter().for_each(|mut client| client.write_all(b"x").expect("the kernel takes it"));
    program.becomes_idle(Duration::from_millis(500));
    let is_served = |client: &TcpStream| {
        client.set_nonblocking(true).expect("a socket");
        let is_served = matches!(client.peek(&mut [0]), Ok(1));
        client.set_nonblocking(false).expect("a socket");
        is_served
    };
    let (served, mut waiting): (Vec<_>, Vec<_>) = clients.into_iter().partition(is_served);
    assert!(served.len() > 8 && waiting.len() > 8, "{} served, {} wait", served.len(), waiting.len());
    drop(served);
    eventually("every client has had a turn", || {
        waiting.retain(|client| !is_served(client));
        waiting.is_empty()
    });
    assert!(program.is_running());
}

/// The example rejects these arguments with one line and exit code 2.
pub fn refuses(name: &str, arguments: &[&str]) {
    let output: Output =
        Command::new(example(name)).args(arguments).stdin(Stdio::null()).output().expect("the example runs");
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{arguments:?}");
    assert!(error.lines().count() == 1 && error.ends_with(").\n"), "{arguments:?}: {error}");
    assert!(error.contains(&format!("usage: {name} ")), "{arguments:?}: {error}");
}
