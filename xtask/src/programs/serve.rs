//! Runs `executor`, the example that users copy, as an HTTP server under curl and wrk.

use crate::debian::{self, Cache, Suite};
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{cargo, run, target_dir, Background};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The durations of wrk's runs. A longer run follows if a busy machine did not answer every
/// connection.
const SECONDS: [u32; 3] = [2, 20, 200];
/// The time limit for an answer in seconds. Only a hang takes this long.
const LIMIT: &str = "300";
/// The numbers of wrk's connections.
const CONNECTIONS: [u32; 3] = [1, 50, 500];
const HELLO: &str = "Hello, world!\n";

/// The results of a run of wrk.
struct Load {
    connections: u32,
    requests: u64,
    per_second: f64,
    median: String,
    slowest_hundredth: String,
}

/// Prints a table of wrk's results. Returns how many checks passed.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let job = progress.job("executor, curl and wrk");
    job.at("building");
    let answer = Tools::get(cache).and_then(|tools| {
        let server = Server::start()?;
        job.at("serving");
        let passed = tools.curl(&server)?;
        let loads = CONNECTIONS.map(|connections| tools.wrk(&server, connections));
        Ok((passed, loads.into_iter().collect::<Result<Vec<Load>, String>>()?))
    });
    let outcome = answer.map(|(passed, loads)| {
        let count = passed + loads.len();
        let row = |load: Load| {
            let rate = format!("{:.0}", load.per_second);
            vec![load.connections.to_string(), load.requests.to_string(), rate, load.median, load.slowest_hundredth]
        };
        (count, loads.into_iter().map(row).collect::<Vec<_>>())
    });
    job.done(&outcome.as_ref().map_or("FAILED".into(), |(count, _)| format!("{count} passed")));
    let (count, rows) = outcome?;
    report::print(&["connections", "requests", "requests per second", "median latency", "99th percentile"], rows);
    Ok(count)
}

/// The example `executor`.
struct Server {
    program: Background,
    http: String,
}

impl Server {
    fn start() -> Result<Self, String> {
        run(cargo().args(["build", "--release", "--locked", "--features", "std", "--example", "executor"]))?;
        let mut command = Command::new(target_dir().join("release/examples/executor"));
        let program = Background::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let mut server = Self { program, http: String::new() };
        let lines = server.program.stdout.take().map(|stdout| BufReader::new(stdout).lines().map_while(Result::ok));
        let http =
            lines.and_then(|mut lines| lines.find_map(|line| Some(line.strip_prefix("http listens on ")?.into())));
        server.http = http.ok_or("the example executor printed no HTTP address")?;
        Ok(server)
    }
}

/// The paths of the clients.
struct Tools {
    curl: PathBuf,
    wrk: PathBuf,
}

impl Tools {
    fn get(cache: &Cache) -> Result<Self, String> {
        let folder = cache.closure(Suite("bookworm"), debian::host(), &["wrk", "curl"], &[])?;
        Ok(Self { curl: folder.join("usr/bin/curl"), wrk: folder.join("usr/bin/wrk") })
    }

    /// Sends two requests over one connection. Returns the number of checks.
    fn curl(&self, server: &Server) -> Result<usize, String> {
        let url = |path| format!("http://{}/{path}", server.http);
        let mut curl = Command::new(&self.curl);
        // Without the caller's curl configuration and proxies.
        curl.args(["--disable", "--noproxy", "*", "--silent", "--show-error", "--fail", "--max-time", LIMIT]);
        curl.args(["--write-out", "[%{http_code} %{content_type} %{num_connects}]\n"]).args([url("one"), url("two")]);
        let printed = run(&mut curl)?;
        let expected = format!("{HELLO}[200 text/plain 1]\n{HELLO}[200 text/plain 0]\n");
        if printed == expected {
            return Ok(2);
        }
        Err(format!("curl printed {printed:?}, expected {expected:?}"))
    }

    fn wrk(&self, server: &Server, connections: u32) -> Result<Load, String> {
        let mut printed = String::new();
        for seconds in SECONDS {
            let mut wrk = Command::new(&self.wrk);
            wrk.args(["--latency", "--threads", "1", "--timeout", LIMIT]);
            wrk.args(["--duration", &format!("{seconds}s"), "--connections", &connections.to_string()]);
            printed = run(wrk.arg(format!("http://{}/", server.http)))?;
            // wrk prints these lines only if there were errors.
            if ["Socket errors", "Non-2xx"].iter().any(|error| printed.contains(error)) {
                break;
            }
            match parse(&printed, connections) {
                Some(load) if load.requests >= u64::from(connections) && load.per_second > 0.0 => return Ok(load),
                Some(_) => {}
                None => return Err(format!("cannot parse wrk's output:\n{printed}")),
            }
        }
        Err(format!("wrk reported errors, or too few requests:\n{printed}"))
    }
}

fn parse(printed: &str, connections: u32) -> Option<Load> {
    let after =
        |start: &str| printed.lines().find_map(|line| Some(line.trim().strip_prefix(start)?.trim().to_string()));
    let requests = printed.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    let per_second = after("Requests/sec:")?.parse().ok()?;
    Some(Load { connections, requests, per_second, median: after("50%")?, slowest_hundredth: after("99%")? })
}
