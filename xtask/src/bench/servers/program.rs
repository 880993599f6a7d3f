//! The servers: what they are, how they are built, and how they start.

use super::cores::{pin, Cores};
use crate::debian::{self, Cache, Suite};
use crate::kit::shell::{cargo, root, run, target_dir, Background};
use crate::kit::tool::{APT, CC, DPKG, TAR};
use rustix::param::clock_ticks_per_second;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SUITE: Suite = Suite("bookworm");
/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Server {
    /// Its name for `--only`.
    pub name: &'static str,
    /// Its name in tables.
    pub title: &'static str,
    kind: Kind,
}

enum Kind {
    /// An example of the crate, with arguments.
    Example(&'static str, &'static [&'static str]),
    /// A program of `benches/servers`, with arguments.
    Program(&'static str, &'static [&'static str]),
    /// `benches/servers/libuv.c`, with Debian's libuv.
    Libuv,
    /// Debian's nginx. Its answer has headers of its own.
    Nginx,
}

const fn server(name: &'static str, title: &'static str, kind: Kind) -> Server {
    Server { name, title, kind }
}

/// The server that the others are compared with.
pub const FIRST: &str = "executor";

pub static SERVERS: &[Server] = &[
    server(FIRST, "barepoll's executor", Kind::Example("executor", &[])),
    server("workers", "barepoll's workers", Kind::Example("workers", &["--http", "127.0.0.1:0"])),
    server("tokio", "tokio, one thread", Kind::Program("hello-tokio", &[])),
    server("tokio-many", "tokio, many threads", Kind::Program("hello-tokio", &["many"])),
    server("smol", "smol", Kind::Program("hello-smol", &[])),
    server("mio", "mio, by hand", Kind::Program("hello-mio", &[])),
    server("monoio", "monoio, io_uring", Kind::Program("hello-monoio", &[])),
    server("libuv", "libuv, in C", Kind::Libuv),
    server("nginx", "nginx", Kind::Nginx),
];

/// The headers that nginx always adds.
const OF_NGINX: [&str; 3] = ["Server: ", "Date: ", "Connection: keep-alive"];

pub fn names() -> clap::builder::PossibleValuesParser {
    SERVERS.iter().map(|server| server.name).collect::<Vec<_>>().into()
}

impl Server {
    pub fn is_chosen(&self, only: &[String]) -> bool {
        only.is_empty() || self.name == FIRST || only.iter().any(|name| name == self.name)
    }
}

/// Checks that an answer has the same bytes as the first server's. Only nginx may add headers.
pub fn same_answer(answer: &str, expected: &str, server: &Server) -> Result<(), String> {
    let is_added = |line: &&str| matches!(server.kind, Kind::Nginx) && OF_NGINX.iter().any(|own| line.starts_with(own));
    let without: String = answer.split_inclusive('\n').filter(|line| !is_added(line)).collect();
    match without == expected {
        true => Ok(()),
        false => Err(format!("{} answers {answer:?}, expected {expected:?}", server.title)),
    }
}

/// The paths of all programs.
pub struct Programs {
    /// Where cargo puts the programs of this profile.
    built: PathBuf,
    libuv: Option<PathBuf>,
    nginx: Option<PathBuf>,
    pub wrk: Option<PathBuf>,
    /// A folder for programs and their files, removed at the end.
    pub folder: TempDir,
}

impl Programs {
    /// Builds the load generator and these servers. Without a cache, there is nothing from Debian.
    pub fn build(cache: Option<&Cache>, servers: &[&Server], profile: &str, wrk: bool) -> Result<Self, String> {
        let mut build = cargo();
        build.args(["build", "--profile", profile, "--locked", "-p", "servers", "--bin", "http-load"]);
        let mut examples = cargo();
        examples.args(["build", "--profile", profile, "--locked", "--features", "std", "--example", FIRST]);
        for server in servers {
            match server.kind {
                Kind::Example(name, _) => drop(examples.args(["--example", name])),
                Kind::Program(name, _) => drop(build.args(["--bin", name])),
                Kind::Libuv | Kind::Nginx => {}
            }
        }
        run(&mut build)?;
        run(&mut examples)?;
        let built = target_dir().join(if profile == "dev" { "debug" } else { profile });
        let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
        let mut programs = Self { built, libuv: None, nginx: None, wrk: None, folder };
        let Some(cache) = cache else { return Ok(programs) };
        let has = |kind: fn(&Kind) -> bool| servers.iter().any(|server| kind(&server.kind));
        let closure = |roots: &[&str], without: &[&str]| {
            [&APT, &DPKG, &TAR].iter().try_for_each(|tool| tool.ensure())?;
            cache.closure(SUITE, debian::host(), roots, without)
        };
        if has(|kind| matches!(kind, Kind::Libuv)) {
            CC.ensure()?;
            programs.libuv = Some(compile_libuv(&closure(&["libuv1-dev"], &[])?, programs.folder.path())?);
        }
        if has(|kind| matches!(kind, Kind::Nginx)) {
            let folder = closure(&["nginx"], &["iproute2", "debconf", "lsb-base"])?;
            programs.nginx = Some(folder.join("usr/sbin/nginx"));
        }
        if wrk {
            programs.wrk = Some(closure(&["wrk", "curl"], &[])?.join("usr/bin/wrk"));
        }
        Ok(programs)
    }

    pub fn load_generator(&self) -> PathBuf {
        self.built.join("http-load")
    }

    /// Starts a server on its processors, and waits for an answer.
    pub fn start(&self, server: &Server, cores: &Cores) -> Result<Running, String> {
        let mut command = match &server.kind {
            Kind::Example(name, arguments) => with(self.built.join("examples").join(name), arguments),
            Kind::Program(name, arguments) => with(self.built.join(name), arguments),
            Kind::Libuv => with(self.libuv.clone().ok_or("libuv is not built")?, &[]),
            Kind::Nginx => return self.start_nginx(cores)?.greeted(),
        };
        // At the end of a pipe, the examples would stop.
        pin(command.stdin(Stdio::null()).stdout(Stdio::piped()), &cores.server);
        let mut program = Background::start(&mut command)?;
        let stdout = program.stdout.take().ok_or("the server has no output")?;
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("http listens on ") {
                return Started { program, address: address.into() }.greeted();
            }
            if let Some(why) = line.strip_prefix("refused: ") {
                return Ok(Running::Refused(why.into()));
            }
        }
        Err("the server ended before it printed an address".into())
    }

    fn start_nginx(&self, cores: &Cores) -> Result<Started, String> {
        let nginx = self.nginx.as_ref().ok_or("nginx is not fetched")?;
        let folder = self.folder.path().join("nginx");
        // The port of a listener that is gone. nginx cannot choose one.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.map_err(|error| format!("cannot find a free port: {error}"))?;
        let configuration = folder.join("nginx.conf");
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&configuration, nginx_configuration(&folder, &address.to_string(), cores)))
            .map_err(|error| format!("cannot write nginx's configuration: {error}"))?;
        let mut command = Command::new(nginx);
        command.arg("-e").arg(folder.join("errors")).arg("-p").arg(&folder).arg("-c").arg(&configuration);
        pin(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()), &cores.server);
        let mut program = Background::start(&mut command)?;
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if start.elapsed() > LIMIT || !matches!(program.try_wait(), Ok(None)) {
                let errors = fs::read_to_string(folder.join("errors")).unwrap_or_default();
                return Err(format!("nginx does not listen:\n{errors}"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Started { program, address: address.to_string() })
    }
}

fn with(program: PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// A worker for each processor. On one processor, nginx's only process serves.
fn nginx_configuration(folder: &Path, address: &str, cores: &Cores) -> String {
    let (workers, folder) = (cores.server.len(), folder.display());
    let (master, reuse) = if workers > 1 { ("on", " reuseport") } else { ("off", "") };
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = kinds.iter().map(|kind| format!("{kind}_temp_path {folder}/{kind};\n")).collect();
    format!(
        "user root;\ndaemon off;\nmaster_process {master};\nworker_processes {workers};\npid {folder}/pid;\n\
         events {{ worker_connections 100000; }}\n\
         http {{\naccess_log off;\ndefault_type text/plain;\nkeepalive_requests 1000000000;\n{temporary}\
         server {{ listen {address} backlog=65535{reuse}; location / {{ return 200 \"Hello, world!\\n\"; }} }}\n}}\n"
    )
}

fn compile_libuv(debian: &Path, folder: &Path) -> Result<PathBuf, String> {
    let program = folder.join("libuv");
    let libraries = debian.join("usr/lib");
    let found = fs::read_dir(&libraries).into_iter().flatten().flatten().map(|entry| entry.path().join("libuv_a.a"));
    let library = found.into_iter().find(|path| path.exists());
    let library = library.ok_or_else(|| format!("{} has no libuv_a.a", libraries.display()))?;
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-I"]).arg(debian.join("usr/include"));
    cc.arg(root().join("benches/servers/libuv.c")).arg(library).args(["-pthread", "-ldl", "-o"]).arg(&program);
    run(&mut cc).map(|_| program)
}

pub enum Running {
    Yes(Started),
    /// Why this machine cannot run it.
    Refused(String),
}

impl Running {
    pub fn started(self) -> Result<Started, String> {
        match self {
            Self::Yes(started) => Ok(started),
            Self::Refused(why) => Err(why),
        }
    }
}

/// A server that listens.
pub struct Started {
    program: Background,
    pub address: String,
}

/// What all processes of a server have used.
pub struct Usage {
    pub cpu_seconds: f64,
    /// Bytes.
    pub resident: f64,
}

impl Started {
    /// Sends a request, so that the server has allocated what it needs for any.
    fn greeted(self) -> Result<Running, String> {
        let greet = || {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            stream.read_exact(&mut [0])
        };
        match greet() {
            Ok(()) => Ok(Running::Yes(self)),
            Err(error) => Err(format!("the server does not answer: {error}")),
        }
    }

    /// The server's processes: its first and those that it started.
    pub fn processes(&self) -> Vec<String> {
        let group = self.program.id().to_string();
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = all.filter_map(|entry| entry.file_name().into_string().ok());
        let is_member = |process: &String| stat(process).is_some_and(|fields| fields.get(2) == Some(&group));
        processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(is_member).collect()
    }

    pub fn usage(&self) -> Result<Usage, String> {
        let mut usage = Usage { cpu_seconds: 0.0, resident: 0.0 };
        for process in self.processes() {
            let (cpu, resident) = used(&process).ok_or("the server ended")?;
            usage.cpu_seconds += cpu;
            usage.resident += resident;
        }
        Ok(usage)
    }
}

/// The fields of `/proc/PID/stat` after the program's name, which may have blanks.
fn stat(process: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split(' ').map(String::from).collect())
}

/// A process's CPU seconds and resident bytes.
pub fn used(process: &str) -> Option<(f64, f64)> {
    let fields = stat(process)?;
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    let cpu = (ticks(11)? + ticks(12)?) / clock_ticks_per_second() as f64;
    // `status` may miss some pages of each processor.
    let memory = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let resident = memory.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
    Some((cpu, resident?.parse::<f64>().ok()? * 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nHello";

    fn find(name: &str) -> &'static Server {
        SERVERS.iter().find(|server| server.name == name).unwrap()
    }

    #[test]
    fn answers_must_be_the_same_bytes() {
        assert!(same_answer(HELLO, HELLO, find("mio")).is_ok());
        let other = HELLO.replace("plain", "html");
        assert!(same_answer(&other, HELLO, find("mio")).unwrap_err().contains("expected"));
    }

    #[test]
    fn only_nginx_may_add_headers() {
        let dated = HELLO.replace("Content", "Server: nginx\r\nDate: today\r\nContent");
        assert!(same_answer(&dated, HELLO, find("nginx")).is_ok());
        assert!(same_answer(&dated, HELLO, find("tokio")).is_err());
        assert!(same_answer(&dated.replace("Date", "Etag"), HELLO, find("nginx")).is_err());
    }
}
