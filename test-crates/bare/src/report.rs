//! The output: lines, TAP 14, or JSON.

use crate::options::Format;
use crate::system::print;
use core::fmt::{self, Display, Write};

/// Prints what happens, and counts it.
pub struct Report {
    format: Format,
    passed: u32,
    failed: u32,
}

/// A check's subject, its name, and the source that decides it.
#[derive(Copy, Clone)]
pub struct Name(pub &'static str, pub &'static str, pub &'static str);

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.0, self.1)
    }
}

impl Report {
    pub fn new(format: Format) -> Self {
        Self { format, passed: 0, failed: 0 }
    }

    /// Begins a run of so many checks.
    pub fn begin(&self, checks: usize, is_first_process: bool) {
        // Firmware may have left the cursor in the middle of a line.
        if is_first_process || self.format == Format::Lines {
            print(format_args!("\n"));
        }
        match self.format {
            Format::Lines => {}
            Format::Tap => print(format_args!("TAP version 14\n1..{checks}\n")),
            Format::Json => print(format_args!("{{\"checks\":{checks}}}\n")),
        }
    }

    /// Says a fact of this machine.
    pub fn fact(&self, name: &str, value: fmt::Arguments<'_>) {
        match self.format {
            Format::Lines => print(format_args!("{name}: {value}\n")),
            Format::Tap => print(format_args!("# {name}: {value}\n")),
            Format::Json => print(format_args!("{{{}:{}}}\n", Quoted(name), Quoted(value))),
        }
    }

    /// A check begins. If it never ends, this is the last line.
    pub fn start(&self, name: Name) {
        match self.format {
            Format::Lines => {}
            Format::Tap => print(format_args!("# running {name}\n")),
            Format::Json => print(format_args!("{{\"running\":{}}}\n", Quoted(name))),
        }
    }

    /// A check has ended.
    pub fn end(&mut self, name: Name, outcome: Result<(), impl Display>) {
        let failure = outcome.err();
        if failure.is_some() {
            self.failed += 1;
        } else {
            self.passed += 1;
        }
        let number = self.passed + self.failed;
        match (self.format, failure) {
            (Format::Lines, None) => print(format_args!("ok {name}\n")),
            (Format::Lines, Some(failure)) => print(format_args!("FAILED {name}: {failure}\n")),
            (Format::Tap, None) => print(format_args!("ok {number} - {name}\n")),
            (Format::Tap, Some(failure)) => {
                print(format_args!(
                    "not ok {number} - {name}\n  ---\n  message: {}\n  source: {}\n  ...\n",
                    Quoted(failure),
                    Quoted(name.2)
                ));
            }
            (Format::Json, None) => print(format_args!("{{{},\"outcome\":\"ok\"}}\n", Fields(name))),
            (Format::Json, Some(failure)) => {
                print(format_args!("{{{},\"outcome\":\"failed\",\"reason\":{}}}\n", Fields(name), Quoted(failure)));
            }
        }
    }

    /// Names a check that does not run.
    pub fn list(&self, name: Name) {
        match self.format {
            Format::Json => print(format_args!("{{{}}}\n", Fields(name))),
            Format::Lines | Format::Tap => print(format_args!("{name}\n")),
        }
    }

    /// Prints the counts. Returns the program's exit status.
    pub fn close(&self) -> usize {
        let Self { passed, failed, .. } = self;
        match self.format {
            Format::Lines => print(format_args!("conformance: {passed} passed, {failed} failed\n")),
            Format::Tap => print(format_args!("# {passed} passed, {failed} failed\n")),
            Format::Json => print(format_args!("{{\"passed\":{passed},\"failed\":{failed}}}\n")),
        }
        if *failed == 0 {
            0
        } else {
            1
        }
    }
}

/// A check's name, sentence and source, as fields of a JSON object.
struct Fields(Name);

impl Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name) = self;
        write!(f, "\"name\":{},\"sentence\":{}", Quoted(name), Quoted(Sentence(name.1)))?;
        write!(f, ",\"source\":{}", Quoted(name.2))
    }
}

/// A name with spaces for its underscores.
struct Sentence(&'static str);

impl Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.split('_').enumerate().try_for_each(|(place, word)| {
            f.write_str(if place == 0 { "" } else { " " })?;
            f.write_str(word)
        })
    }
}

/// A JSON string, which is also one of YAML.
struct Quoted<T>(T);

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escaped<'a, 'f>(&'a mut fmt::Formatter<'f>);

        impl Write for Escaped<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                text.chars().try_for_each(|c| match c {
                    '"' | '\\' => write!(self.0, "\\{c}"),
                    '\0'..='\x1f' => write!(self.0, "\\u{:04x}", u32::from(c)),
                    _ => self.0.write_char(c),
                })
            }
        }

        f.write_char('"')?;
        write!(Escaped(f), "{}", self.0)?;
        f.write_char('"')
    }
}
