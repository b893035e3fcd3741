// SPDX-License-Identifier: GPL-2.0

//! How files are written, as far as architectures do not differ. Words of a line are separated by a blank;
//! what there is not is a `-`.

use core::fmt::{Display, Formatter, Result};

/// The names of the columns of remarks.
pub(crate) const REMARK_COLUMNS: &str = "gsi remark loses_interrupts reason";

/// The greatest number of routes of a table (KVM_MAX_IRQ_ROUTES).
pub(crate) const MAX_ROUTES: usize = 4096;

/// The line of the remark on a table with so many routes, if there is one.
pub(crate) struct TableRemarkLine(pub(crate) usize);

impl Display for TableRemarkLine {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.0 < MAX_ROUTES {
            return Ok(());
        }
        writeln!(f, "- table_full no there is no room for another route")
    }
}

/// Writes the line of a remark on a route.
pub(crate) fn write_remark(
    f: &mut Formatter<'_>,
    gsi: u32,
    name: &str,
    loses: bool,
    reason: impl Display,
) -> Result {
    writeln!(f, "{gsi} {name} {} {reason}", yes_or_no(loses))
}

/// Writes the names of the remarks on a route as the last word of its line.
pub(crate) fn write_names(
    f: &mut Formatter<'_>,
    mut names: impl Iterator<Item = &'static str>,
) -> Result {
    f.write_str(names.next().unwrap_or("-"))?;
    for name in names {
        write!(f, ",{name}")?;
    }
    f.write_str("\n")
}

/// Returns how yes and no are written.
pub(crate) fn yes_or_no(yes: bool) -> &'static str {
    if yes {
        "yes"
    } else {
        "no"
    }
}
