//! An echo server and its clients, as two more processes of this program. Each server reports its
//! own time.

use super::echo::{Server, BATCH};
use crate::wall::Way;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Another process of this program. It exits when its standard input ends.
struct Other {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Other {
    fn start(arguments: &[String]) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        Ok(Self { child, to, from: BufReader::new(from.expect("it is piped")) })
    }

    /// Sends a line and returns the reply.
    fn ask(&mut self, line: &str) -> io::Result<String> {
        // One write only, because a tool counts the system calls.
        self.to.as_mut().expect("it is piped").write_all(format!("{line}\n").as_bytes())?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.to.take());
        let _ = self.child.wait();
    }
}

/// Answers each line of standard input with one line.
fn answer_lines(mut answer: impl FnMut(&str) -> io::Result<String>) -> io::Result<()> {
    let mut stdout = io::stdout();
    for line in io::stdin().lines() {
        writeln!(stdout, "{}", answer(&line?)?)?;
    }
    Ok(())
}

/// A server in another process that reports its own time.
pub fn way(name: &'static str, place: usize, connections: usize, bytes: usize) -> io::Result<Way<'static>> {
    let numbers = [place, connections, bytes].map(|number| number.to_string());
    let mut server = Other::start(&[&["serve".to_string()], &numbers[..]].concat())?;
    let run = move |times: u32| {
        let answer = server.ask(&times.to_string()).expect("a server");
        Duration::from_nanos(answer.trim().parse().expect("nanoseconds"))
    };
    Ok(Way::timed(name, run).at_least(BATCH as u32))
}

/// `benches serve`: a server that starts one process for all its clients.
pub fn serve<S: Server>(connections: usize, bytes: usize) -> io::Result<()> {
    let address = format!("barepoll-benches-{}", std::process::id());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&address)?)?;
    let mut clients = Other::start(&["clients".into(), address, connections.to_string(), bytes.to_string()])?;
    let accepted = listener.incoming().take(connections);
    let connections = accepted.map(|stream| stream.and_then(|stream| stream.set_nonblocking(true).map(|()| stream)));
    let connections = connections.collect::<io::Result<Vec<_>>>()?;
    let (mut server, mut room) = (S::new(&connections), vec![0; bytes + 1]);
    answer_lines(|times| {
        let times: usize = times.parse().map_err(io::Error::other)?;
        let mut took = Duration::ZERO;
        for _ in 0..times.div_ceil(BATCH) {
            clients.ask("send")?;
            let (start, mut answers) = (Instant::now(), 0);
            while answers < BATCH {
                answers += server.turn(&connections, &mut room);
            }
            took += start.elapsed();
            clients.ask("receive")?;
        }
        Ok(took.as_nanos().to_string())
    })
}

/// `benches clients`: on `send`, [`BATCH`] clients send a request. On any other line they receive
/// the answers, and the next turn uses the next clients.
pub fn be_clients(address: &str, connections: usize, bytes: usize) -> io::Result<()> {
    let address = SocketAddr::from_abstract_name(address)?;
    let connect = |_| UnixStream::connect_addr(&address);
    let mut clients = (0..connections).map(connect).collect::<io::Result<Vec<_>>>()?;
    let (request, mut answer, mut next) = (vec![b'x'; bytes], vec![0; bytes], 0);
    answer_lines(|what| {
        for number in 0..BATCH {
            let client = &mut clients[(next + number) % connections];
            match what {
                "send" => client.write_all(&request)?,
                _ => client.read_exact(&mut answer)?,
            }
        }
        if what != "send" {
            next = (next + BATCH) % connections;
        }
        Ok("done".into())
    })
}
