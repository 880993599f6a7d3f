//! Tables in documents that commands write. A comment with the table's name precedes each, and
//! another comment ends it.

use crate::kit::file;
use crate::kit::shell::root;
use std::collections::BTreeMap;
use std::fs;

/// A document with such tables, by its path in the repository.
#[derive(Clone, Copy)]
pub struct Document(&'static str);

pub const CONTRIBUTING: Document = Document("CONTRIBUTING.md");
pub const README: Document = Document("README.md");
pub const PEERS: Document = Document("docs/peers.md");
pub const NO_LIBC: Document = Document("docs/no-libc.md");
pub const PERFORMANCE: Document = Document("docs/performance.md");
pub const PORTING: Document = Document("docs/porting.md");
pub const PROOF: Document = Document("docs/proof.md");
pub const MACHINE_CODE: Document = Document("docs/machine-code.md");
pub const CONFORMANCE: Document = Document("test-crates/bare/README.md");
pub const TESTING: Document = Document("docs/testing.md");

impl Document {
    /// Replaces a table. Returns whether the document changed.
    pub fn write(self, name: &str, table: &str) -> Result<bool, String> {
        let before = self.read()?;
        let after = self.replaced(&before, name, table)?;
        file::write(&root().join(self.0), &after)?;
        Ok(after != before)
    }

    /// Returns an error if the document has another table. `command` is the command that writes it.
    pub fn check(self, name: &str, table: &str, command: &str) -> Result<usize, String> {
        let before = self.read()?;
        if self.replaced(&before, name, table)? == before {
            return Ok(1);
        }
        Err(format!("the table {name:?} in {} is stale; run `{command}`. It should be:\n{table}", self.0))
    }

    /// The cells of a table, by the names of their row and column.
    pub fn table(self, name: &str) -> Result<BTreeMap<String, BTreeMap<String, String>>, String> {
        let mut rows = self.rows(name)?.into_iter();
        let header = rows.next().unwrap_or_default();
        let row = |cells: Vec<String>| {
            let mut named = header.iter().cloned().zip(cells);
            Some((named.next()?.1, named.collect()))
        };
        Ok(rows.filter_map(row).collect())
    }

    /// The cells of each row of a table, and first of its header.
    pub fn rows(self, name: &str) -> Result<Vec<Vec<String>>, String> {
        let text = self.read()?;
        let (opening, closing) = (format!("<!-- {name}: "), format!("<!-- end of {name} -->"));
        let block = text.split_once(&opening).and_then(|(_, rest)| Some(rest.split_once(&closing)?.0));
        let block = block.ok_or_else(|| self.no_table(name))?;
        let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect();
        Ok(block.lines().filter(|line| line.starts_with("| ")).map(cells).collect())
    }

    fn read(self) -> Result<String, String> {
        fs::read_to_string(root().join(self.0)).map_err(|error| format!("cannot read {}: {error}", self.0))
    }

    fn replaced(self, text: &str, name: &str, table: &str) -> Result<String, String> {
        let (opening, closing) = (format!("<!-- {name}: "), format!("<!-- end of {name} -->"));
        let parts = text.split_once(&opening).and_then(|(before, rest)| {
            let (comment, rest) = rest.split_once('\n')?;
            let (_, after) = rest.split_once(&closing)?;
            Some(format!("{before}{opening}{comment}\n\n{}\n\n{closing}{after}", table.trim()))
        });
        parts.ok_or_else(|| self.no_table(name))
    }

    fn no_table(self, name: &str) -> String {
        format!("{} has no table {name:?}; add `<!-- {name}: … -->` and `<!-- end of {name} -->` to it", self.0)
    }
}
