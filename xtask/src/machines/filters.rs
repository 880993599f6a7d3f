//! The system call filters of container engines and of systemd, compiled for this machine.

use crate::debian::{self, Cache, Suite};
use crate::kit::shell::run;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

pub enum Profile {
    Docker,
    Podman,
    SystemService,
}

const EPERM: u32 = 1;

/// The rules of each call, by its number. A call without rules is allowed with any arguments.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

impl Profile {
    /// The filter as a program for `seccomp`.
    pub fn compile(&self, cache: &Cache) -> Result<BpfProgram, String> {
        let numbers = Numbers::read(cache)?;
        let (rules, other) = match self {
            Self::Docker => {
                let file =
                    ("bookworm", "golang-github-docker-docker-dev", "*/profiles/seccomp/default.json", "default.json");
                container_rules(cache, file, &numbers)?
            }
            Self::Podman => {
                let file = ("testing", "golang-github-containers-common", "*/seccomp.json", "seccomp.json");
                container_rules(cache, file, &numbers)?
            }
            Self::SystemService => (system_service_rules(cache, &numbers)?, EPERM),
        };
        let failed = |error: seccompiler::BackendError| format!("cannot compile the filter: {error}");
        let filter = SeccompFilter::new(rules, SeccompAction::Errno(other), SeccompAction::Allow, TargetArch::x86_64);
        filter.and_then(TryInto::try_into).map_err(failed)
    }
}

/// A command that starts a program under a filter.
pub fn filtered(program: &Path, filter: BpfProgram) -> Command {
    let mut command = Command::new(program);
    // SAFETY: between fork and exec, the closure makes two system calls. It allocates only if one of
    // them fails.
    unsafe { command.pre_exec(move || seccompiler::apply_filter(&filter).map_err(std::io::Error::other)) };
    command
}

/// The numbers of x86_64's calls, by name.
struct Numbers(BTreeMap<String, i64>);

impl Numbers {
    fn read(cache: &Cache) -> Result<Self, String> {
        let headers = cache.files(Suite("bookworm"), debian::host(), "linux-libc-dev", "*/unistd_64.h")?;
        let path = headers.find("unistd_64.h")?;
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let number = |line: &str| {
            let (name, number) = line.strip_prefix("#define __NR_")?.split_once(' ')?;
            Some((name.to_string(), number.trim().parse().ok()?))
        };
        Ok(Self(text.lines().filter_map(number).collect()))
    }

    /// Calls that this machine lacks are in every list. They have no number.
    fn of(&self, name: &str) -> Option<i64> {
        self.0.get(name).copied()
    }
}

/// A profile of an OCI runtime, as in its `seccomp.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    default_action: String,
    default_errno_ret: Option<u32>,
    syscalls: Vec<Calls>,
}

#[derive(Deserialize)]
struct Calls {
    names: Vec<String>,
    action: String,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Default, Deserialize)]
struct Condition {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
}

impl Calls {
    /// Whether the rule allows calls of a container without capabilities on x86_64.
    fn applies(&self) -> bool {
        let is_here = |condition: &Condition| condition.arches.iter().any(|arch| arch == "amd64");
        let included = self.includes.caps.is_empty() && (self.includes.arches.is_empty() || is_here(&self.includes));
        self.action == "SCMP_ACT_ALLOW" && included && !is_here(&self.excludes)
    }
}

impl Argument {
    fn condition(&self) -> Result<SeccompCondition, String> {
        let (op, value) = match self.op.as_str() {
            "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, self.value),
            "SCMP_CMP_NE" => (SeccompCmpOp::Ne, self.value),
            "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(self.value), self.value_two),
            other => return Err(format!("the profile compares by {other}; add it to xtask/src/machines/filters.rs")),
        };
        SeccompCondition::new(self.index, SeccompCmpArgLen::Qword, op, value)
            .map_err(|error| format!("cannot compile a condition of the profile: {error}"))
    }
}

/// The rules of a container engine's profile, and the errno of all other calls.
///
/// Rules that refuse are left out: what no rule allows gets that errno.
fn container_rules(
    cache: &Cache,
    (suite, package, wanted, name): (&'static str, &str, &str, &str),
    numbers: &Numbers,
) -> Result<(Rules, u32), String> {
    let path = cache.files(Suite(suite), debian::host(), package, wanted)?.find(name)?;
    let failed = |error: String| format!("cannot read {}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let profile: Container = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    if profile.default_action != "SCMP_ACT_ERRNO" {
        return Err(failed(format!("its default is {}", profile.default_action)));
    }
    let mut rules = Rules::new();
    let mut unconditional = BTreeSet::new();
    for calls in profile.syscalls.iter().filter(|calls| calls.applies()) {
        let conditions = calls.args.iter().flatten().map(Argument::condition).collect::<Result<Vec<_>, _>>()?;
        for number in calls.names.iter().filter_map(|name| numbers.of(name)) {
            let rules = rules.entry(number).or_default();
            if conditions.is_empty() {
                unconditional.insert(number);
            } else {
                let rule = SeccompRule::new(conditions.clone());
                rules.push(rule.map_err(|error| failed(error.to_string()))?);
            }
        }
    }
    for number in unconditional {
        rules.insert(number, Vec::new());
    }
    Ok((rules, profile.default_errno_ret.unwrap_or(EPERM)))
}

/// The rules of systemd's `SystemCallFilter=@system-service`.
fn system_service_rules(cache: &Cache, numbers: &Numbers) -> Result<Rules, String> {
    let systemd = cache.closure(Suite("bookworm"), debian::host(), &["systemd"], &[])?;
    let text = run(Command::new(systemd.join("usr/bin/systemd-analyze")).args(["--no-pager", "syscall-filter"]))?;
    let mut sets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut set = "";
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')) {
        if line.starts_with([' ', '\t']) {
            sets.entry(set).or_default().push(line.trim());
        } else {
            set = line.trim();
        }
    }
    let mut rules = Rules::new();
    // A service cannot start without `execve`, and systemd itself makes that call.
    let mut names = vec!["@system-service", "execve"];
    while let Some(name) = names.pop() {
        match sets.get(name) {
            Some(more) => names.extend(more),
            None if name.starts_with('@') => return Err(format!("systemd-analyze prints no set {name}:\n{text}")),
            None => rules.extend(numbers.of(name).map(|number| (number, Vec::new()))),
        }
    }
    Ok(rules)
}
