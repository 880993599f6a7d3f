//! Writes this target's column of `numbers.txt` as constants.

use std::env::var;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=numbers.txt");
    let port = match (&*var("CARGO_CFG_TARGET_ARCH")?, &*var("CARGO_CFG_TARGET_POINTER_WIDTH")?) {
        ("x86_64", "32") => "x32".to_string(),
        (arch, _) => arch.trim_end_matches("r6").replace("mips32", "mips"),
    };
    if port.starts_with("sparc") {
        println!("cargo:rustc-cfg=barepoll_unstable_asm"); // this program has its own assembly for it
    }
    let table = fs::read_to_string("numbers.txt")?;
    let mut lines =
        table.lines().filter(|line| !line.starts_with("# ") || line.starts_with("#  ")).map(str::split_whitespace);
    let header = lines.next().and_then(|mut names| names.position(|name| name == port));
    let column = header.ok_or_else(|| format!("numbers.txt has no column for {port}"))?;
    let mut code = String::new();
    for mut line in lines {
        let Some(name) = line.next() else { continue };
        let value = line.nth(column - 1).ok_or_else(|| format!("numbers.txt: {name} has no value for {port}"))?;
        let (name, kind) = (
            name.to_uppercase(),
            if matches!(name, "fork" | "clone" | "sigreturn") { "Option<usize>" } else { "usize" },
        );
        let value = match (value, kind) {
            ("-", _) => "None".to_string(),
            (value, "usize") => value.to_string(),
            (value, _) => format!("Some({value})"),
        };
        code += &format!("pub const {name}: {kind} = {value};\n");
    }
    fs::write(Path::new(&var("OUT_DIR")?).join("numbers.rs"), code)?;
    Ok(())
}
