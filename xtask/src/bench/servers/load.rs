//! The load generators: `http-load` of `benches/servers`, and wrk.

use super::cores::{self, pin, Cores};
use super::program::{self, Programs, Started};
use crate::kit::shell::{run, Background};
use rustix::process::{kill_process, Pid, Signal};
use serde::de::DeserializeOwned;
use serde::Deserialize;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{ChildStdout, Command, Stdio};

/// Prints the same JSON as `http-load`.
const WRK_SCRIPT: &str = r#"
done = function(summary, latency)
  local errors = summary.errors
  local sum = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format('{"requests":%d,"seconds":%f,"p50_us":%f,"p99_us":%f,"p999_us":%f,"errors":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), sum))
end
"#;

pub struct Settings {
    pub connections: usize,
    pub seconds: f64,
    /// Requests a second. If `None`, as many as the server can answer.
    pub rate: Option<f64>,
    pub pipeline: u8,
}

impl Settings {
    /// A connection.
    pub fn one() -> Self {
        Self { connections: 1, seconds: 1.0, rate: None, pipeline: 1 }
    }
}

/// The figures of a load.
#[derive(Deserialize)]
pub struct Load {
    pub requests: f64,
    pub seconds: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    /// wrk's.
    #[serde(default)]
    errors: f64,
    /// The server's CPU time.
    #[serde(skip)]
    pub cpu_seconds: f64,
    /// The bytes that all connections added to the server's memory.
    #[serde(skip)]
    pub resident: Option<f64>,
    /// The part of all processors that other programs used.
    #[serde(skip)]
    pub others: Option<f64>,
}

impl Load {
    pub fn per_second(&self) -> f64 {
        self.requests / self.seconds
    }
}

#[derive(Deserialize)]
struct Ready {
    answer: String,
}

/// `http-load`, connected.
pub struct Loader {
    program: Background,
    lines: Lines<BufReader<ChildStdout>>,
    /// The server's first answer.
    pub answer: String,
}

impl Loader {
    pub fn start(programs: &Programs, cores: &Cores, server: &Started, settings: &Settings) -> Result<Self, String> {
        let mut command = Command::new(programs.load_generator());
        let number = |number: usize| number.to_string();
        command.arg(&server.address).args(["--connections", &number(settings.connections)]);
        command.args(["--threads", &number(cores.load.len()), "--pipeline", &settings.pipeline.to_string()]);
        command.args(["--seconds", &settings.seconds.to_string()]);
        if let Some(rate) = settings.rate {
            command.args(["--rate", &rate.to_string()]);
        }
        pin(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()), &cores.load);
        let mut program = Background::start(&mut command)?;
        let stdout = program.stdout.take().ok_or("the load generator has no output")?;
        let mut loader = Self { program, lines: BufReader::new(stdout).lines(), answer: String::new() };
        loader.answer = loader.read::<Ready>()?.answer;
        Ok(loader)
    }

    /// Loads the server, whose memory was `before` without connections.
    pub fn measure(&mut self, cores: &Cores, server: &Started, before: f64) -> Result<Load, String> {
        let (all, load_generator) = (cores.all(), self.program.id().to_string());
        let generator = || program::used(&load_generator).map(|(cpu, _)| cpu).ok_or("the load generator ended");
        let (start, generator_start, all_start) = (server.usage()?.cpu_seconds, generator()?, cores::used(&all)?);
        let mut load: Load = self.go()?;
        let (end, generator_end, all_end) = (server.usage()?, generator()?, cores::used(&all)?);
        load.cpu_seconds = end.cpu_seconds - start;
        load.resident = Some(end.resident - before);
        let others = (all_end - all_start) - load.cpu_seconds - (generator_end - generator_start);
        load.others = Some(others.max(0.0) / load.seconds / all.len() as f64);
        Ok(load)
    }

    /// The server's system calls for a request, counted by strace.
    pub fn count_calls(&mut self, server: &Started) -> Result<f64, String> {
        let file =
            tempfile::NamedTempFile::new().map_err(|error| format!("cannot create a temporary file: {error}"))?;
        let mut command = Command::new("strace");
        command.args(["--follow-forks", "--summary-only", "--output"]).arg(file.path());
        for process in server.processes() {
            command.args(["--attach", &process]);
        }
        let mut strace = Background::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()))?;
        // It stays open, because strace writes a line for each process.
        let mut stderr = BufReader::new(strace.stderr.take().ok_or("strace has no output")?);
        let mut attached = String::new();
        let read = stderr.read_line(&mut attached);
        if read.is_err() || !attached.contains("attached") {
            return Err(format!("strace cannot attach to a server, which needs root or ptrace_scope 0: {attached}"));
        }
        let load: Load = self.go()?;
        let _ = kill_process(Pid::from_child(&strace), Signal::INT);
        strace.wait().map_err(|error| format!("cannot wait for strace: {error}"))?;
        let summary = fs::read_to_string(file.path()).unwrap_or_default();
        let total = summary.lines().find(|line| line.ends_with(" total"));
        let calls = total.and_then(|line| line.split_whitespace().nth(3)?.parse::<f64>().ok());
        Ok(calls.ok_or_else(|| format!("strace printed no total:\n{summary}"))? / load.requests)
    }

    fn go(&mut self) -> Result<Load, String> {
        let started = self.program.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(b"\n"));
        started.map_err(|error| format!("cannot start the load: {error}"))?;
        self.read()
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let line = self.lines.next().and_then(Result::ok).unwrap_or_default();
        serde_json::from_str(&line).map_err(|_| {
            let stderr = self.program.stderr.take();
            let why = stderr.and_then(|stderr| BufReader::new(stderr).lines().next()?.ok());
            why.unwrap_or_else(|| format!("the load generator ended and printed {line:?}"))
        })
    }
}

/// Loads a server with wrk.
pub fn wrk(programs: &Programs, cores: &Cores, server: &Started, settings: &Settings) -> Result<Load, String> {
    let script = programs.folder.path().join("wrk.lua");
    fs::write(&script, WRK_SCRIPT).map_err(|error| format!("cannot write wrk's script: {error}"))?;
    let mut command = Command::new(programs.wrk.as_ref().ok_or("wrk is not fetched")?);
    let threads = cores.load.len().min(settings.connections);
    command.args(["--threads", &threads.to_string(), "--connections", &settings.connections.to_string()]);
    command.args(["--duration", &format!("{}s", settings.seconds.ceil()), "--timeout", "60s", "--script"]);
    command.arg(&script).arg(format!("http://{}/", server.address));
    let start = server.usage()?.cpu_seconds;
    let printed = run(pin(&mut command, &cores.load))?;
    let cpu_seconds = server.usage()?.cpu_seconds - start;
    let line = printed.lines().last().unwrap_or_default();
    let load: Load = serde_json::from_str(line).map_err(|_| format!("cannot parse wrk's output:\n{printed}"))?;
    match load.errors {
        0.0 => Ok(Load { cpu_seconds, ..load }),
        _ => Err(format!("wrk reported errors:\n{printed}")),
    }
}
