//! Cargo's subcommands that come as crates, built once into the cache.

use crate::debian::Cache;
use crate::kit::shell::{cargo, run};
use std::env;
use std::process::Command;

/// A crate with a program of the same name, `cargo-SUBCOMMAND`.
pub struct CargoTool {
    pub name: &'static str,
    pub version: &'static str,
}

impl CargoTool {
    /// Cargo, with this among its subcommands.
    pub fn cargo(&self, cache: &Cache) -> Result<Command, String> {
        let root = cache.root().join(format!("{}-{}", self.name, self.version));
        let programs = root.join("bin");
        if !programs.join(self.name).exists() {
            let exact = format!("={}", self.version);
            let mut install = cargo();
            // A crate's own `rust-toolchain.toml` would bring a second compiler. What two compilers
            // make does not link.
            install.envs(env::var_os("RUSTUP_TOOLCHAIN").map(|toolchain| ("RUSTUP_TOOLCHAIN", toolchain)));
            run(install.args(["install", "--locked", "--quiet", self.name, "--version", &exact, "--root"]).arg(&root))?;
        }
        let others = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([programs].into_iter().chain(env::split_paths(&others)));
        let mut command = cargo();
        command.env("PATH", path.map_err(|error| format!("PATH is no list of folders: {error}"))?);
        Ok(command)
    }
}
