//! The processors and descriptors of a server and of the load generator.

use rustix::param::clock_ticks_per_second;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use rustix::thread::{sched_getaffinity, sched_setaffinity, CpuSet};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The descriptors of a server that are not connections, and more than that.
const OTHERS: u64 = 100;

pub struct Cores {
    pub server: Vec<usize>,
    pub load: Vec<usize>,
}

impl Cores {
    /// All that the server and the load generator have.
    pub fn all(&self) -> Vec<usize> {
        let mut all = [&*self.server, &*self.load].concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The last `count` processors for the server, and the others for the load generator. If there
    /// are no others, both use all.
    pub fn split(count: usize) -> Result<Self, String> {
        let allowed = sched_getaffinity(None).map_err(|error| format!("cannot list this process's CPUs: {error}"))?;
        let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
        if count == 0 || count > all.len() {
            return Err(format!("--cores is {count}, but this process may use 1 to {} CPUs", all.len()));
        }
        let (load, server) = all.split_at(all.len() - count);
        let load = if load.is_empty() { server } else { load };
        Ok(Self { server: server.to_vec(), load: load.to_vec() })
    }
}

/// The CPU seconds of all programs on these processors, and those that a hypervisor took. Interrupts
/// are not among them.
pub fn used(cores: &[usize]) -> Result<f64, String> {
    let text = fs::read_to_string("/proc/stat").map_err(|error| format!("cannot read /proc/stat: {error}"))?;
    let used = |line: &str| {
        let mut fields = line.strip_prefix("cpu")?.split(' ');
        cores.contains(&fields.next()?.parse().ok()?).then_some(())?;
        let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal
        Some(ticks.iter().take(3).sum::<f64>() + ticks.get(7).unwrap_or(&0.0))
    };
    Ok(text.lines().filter_map(used).sum::<f64>() / clock_ticks_per_second() as f64)
}

/// Starts the program on these processors only.
pub fn pin<'c>(command: &'c mut Command, cores: &[usize]) -> &'c mut Command {
    let mut set = CpuSet::new();
    cores.iter().for_each(|cpu| set.set(*cpu));
    // SAFETY: between fork and exec, the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(move || sched_setaffinity(None, &set).map_err(io::Error::from)) }
}

/// Raises the limit of this process, which its programs inherit.
pub fn raise_descriptor_limit(connections: usize) -> Result<(), String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = connections as u64 + OTHERS;
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let too_low = |limit: u64| {
        format!("{connections} connections need {needed} descriptors, but the limit is {limit}; raise it with `ulimit -Hn {needed}` as root")
    };
    if let Some(maximum) = maximum.filter(|maximum| *maximum < needed) {
        return Err(too_low(maximum));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })
        .map_err(|_| too_low(current.unwrap_or_default()))
}
