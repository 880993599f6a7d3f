//! apt with a state folder of its own. It shares this machine's mirrors and network settings.

use super::system::{create_dir, run, write};
use super::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const HELPER: &str = "/usr/lib/apt/apt-helper";
const NETWORK: [&str; 5] =
    ["Acquire::http", "Acquire::https", "Acquire::Proxy", "Acquire::ForceIPv", "Acquire::Retries"];

/// Every source of this machine's apt but the security archives, whose layout differs.
///
/// Some may be no Debian mirror: the check of the suite's signature sorts those out.
pub fn mirrors() -> Result<Vec<String>> {
    let uris = run(Command::new("apt-get").args(["update", "--print-uris"]).env("LC_ALL", "C"))?;
    let mut found = Vec::new();
    for line in uris.lines() {
        let Some((uri, suite)) = line.trim_start_matches('\'').split_once("dists/") else { continue };
        if !suite.contains("-security/") && !found.iter().any(|known| known == uri) {
            found.push(uri.to_owned());
        }
    }
    Ok(found)
}

pub fn keyring() -> Result<&'static str> {
    const PLACES: [&str; 2] =
        ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];
    let place = PLACES.into_iter().find(|place| Path::new(place).exists());
    place.ok_or_else(|| "cannot find Debian's keys; install the package debian-archive-keyring".into())
}

/// A configuration in which apt knows nothing of this machine but how to reach the network.
pub fn write_apt_conf(tmp: &Path, arch: &str) -> Result<PathBuf> {
    let at = tmp.display();
    let network = run(Command::new("apt-config").arg("dump"))?;
    let network = network.lines().filter(|line| NETWORK.iter().any(|prefix| line.starts_with(prefix)));
    let network: String = network.flat_map(|line| [line, "\n"]).collect();
    let conf = format!(
        "{network}\
         Dir::Etc::main \"/dev/null\";\n\
         Dir::Etc::parts \"/dev/null\";\n\
         Dir::Etc::preferences \"/dev/null\";\n\
         Dir::Etc::preferencesparts \"/dev/null\";\n\
         Dir::Etc::sourcelist \"{at}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Dir::State \"{at}/state\";\n\
         Dir::State::status \"{at}/status\";\n\
         Dir::Cache \"{at}/cache\";\n\
         Dir::Cache::pkgcache \"\";\n\
         Dir::Cache::srcpkgcache \"\";\n\
         APT::Architecture \"{arch}\";\n\
         APT::Architectures {{ \"{arch}\"; }};\n\
         APT::Sandbox::User \"\";\n\
         APT::Update::Error-Mode \"any\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::GzipIndexes \"false\";\n\
         Acquire::Check-Valid-Until \"false\";\n"
    );
    create_dir(&tmp.join("state/lists/partial"))?;
    create_dir(&tmp.join("cache/archives/partial"))?;
    write(&tmp.join("status"), "")?;
    let path = tmp.join("apt.conf");
    write(&path, &conf)?;
    Ok(path)
}

pub fn apt(program: &str, conf: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("APT_CONFIG", conf).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
    command
}
