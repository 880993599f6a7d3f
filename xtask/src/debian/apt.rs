//! apt with a state folder of its own. It shares this machine's mirrors and network settings.

use super::index::Entry;
use super::system::{create_dir, run, write};
use super::{Result, Suite};
use std::path::{Path, PathBuf};
use std::process::Command;

const HELPER: &str = "/usr/lib/apt/apt-helper";
const NETWORK: [&str; 5] =
    ["Acquire::http", "Acquire::https", "Acquire::Proxy", "Acquire::ForceIPv", "Acquire::Retries"];
const INSTALLED: &str = "Status: install ok installed\nArchitecture: all\nVersion: 9999\n\n";

pub struct Apt {
    state: PathBuf,
    conf: PathBuf,
}

impl Apt {
    /// The sources and the lists are in `state`, all else goes into `tmp`.
    ///
    /// apt takes the packages in `installed` for installed, in a version above all others.
    pub fn new(tmp: &Path, state: &Path, arch: &str, installed: &[&str]) -> Result<Self> {
        let network = run(Command::new("apt-config").arg("dump"))?;
        let network = network.lines().filter(|line| NETWORK.iter().any(|prefix| line.starts_with(prefix)));
        let network: String = network.flat_map(|line| [line, "\n"]).collect();
        let (at, from) = (tmp.display(), state.display());
        let text = format!(
            "{network}\
             Dir::Etc::main \"/dev/null\";\n\
             Dir::Etc::parts \"/dev/null\";\n\
             Dir::Etc::preferences \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"/dev/null\";\n\
             Dir::Etc::sourcelist \"{from}/sources.list\";\n\
             Dir::Etc::sourceparts \"/dev/null\";\n\
             Dir::State \"{from}\";\n\
             Dir::State::status \"{at}/status\";\n\
             Dir::Cache \"{at}/cache\";\n\
             Dir::Cache::pkgcache \"\";\n\
             Dir::Cache::srcpkgcache \"\";\n\
             APT::Architecture \"{arch}\";\n\
             APT::Architectures {{ \"{arch}\"; }};\n\
             APT::Install-Recommends \"false\";\n\
             APT::Sandbox::User \"\";\n\
             APT::Update::Error-Mode \"any\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::GzipIndexes \"true\";\n\
             Acquire::Check-Valid-Until \"false\";\n"
        );
        create_dir(&state.join("lists/partial"))?;
        create_dir(&tmp.join("cache/archives/partial"))?;
        let status = |name| format!("Package: {name}\n{INSTALLED}");
        write(&tmp.join("status"), &installed.iter().map(status).collect::<String>())?;
        let conf = tmp.join("apt.conf");
        write(&conf, &text)?;
        Ok(Self { state: state.into(), conf })
    }

    /// Fetches the lists of this suite, and checks the mirror's signature.
    pub fn update(&self, mirror: &str, Suite(suite): Suite) -> Result<()> {
        let source = format!("deb [signed-by={}] {mirror} {suite} main\n", keyring()?);
        write(&self.state.join("sources.list"), &source)?;
        run(self.command("apt-get").args(["-q", "update"])).map(drop)
    }

    /// The paragraph of each package's newest version.
    pub fn available(&self) -> Result<String> {
        run(self.command("apt-cache").arg("dumpavail"))
    }

    /// The names of `roots` and of everything they depend on, a line each.
    pub fn closure(&self, roots: &[&str]) -> Result<String> {
        let uris = run(self.command("apt-get").args(["-qq", "--print-uris", "install"]).args(roots))?;
        Ok(uris.lines().filter_map(name).flat_map(|name| [name, "\n"]).collect())
    }

    /// Fetches the mirror's file of each package to a path, and checks its SHA-256.
    pub fn download<'a>(&self, mirror: &str, files: impl Iterator<Item = (&'a Entry<'a>, &'a PathBuf)>) -> Result<()> {
        let mut helper = self.command(HELPER);
        helper.arg("download-file");
        for (entry, path) in files {
            helper.arg(format!("{mirror}{}", entry.file)).arg(path).arg(format!("SHA256:{}", entry.sha256));
        }
        run(&mut helper).map(drop)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.conf).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

/// The package's name in a line `'<uri>' <name>_<version>_<arch>.deb <size> <hash>`.
fn name(line: &str) -> Option<&str> {
    let (name, _) = line.split(' ').nth(1)?.split_once('_')?;
    Some(name)
}

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

fn keyring() -> Result<&'static str> {
    const PLACES: [&str; 2] =
        ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];
    let place = PLACES.into_iter().find(|place| Path::new(place).exists());
    place.ok_or_else(|| "cannot find Debian's keys; install the package debian-archive-keyring".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_uri_names_its_package() {
        let line = "'http://mirror/pool/main/g/gmp/libgmp10_6.2_amd64.deb' libgmp10_2%3a6.2_amd64.deb 5 SHA256:0";
        assert_eq!(name(line), Some("libgmp10"));
        assert_eq!(name("Reading package lists..."), None);
    }
}
