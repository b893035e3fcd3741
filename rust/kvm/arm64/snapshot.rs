// SPDX-License-Identifier: GPL-2.0

//! A VM as it is when a file is opened.

use super::{
    files::{
        cond_resched,
        File,
        Table, //
    },
    host::Host, //
};
use crate::routing::{
    arm64::seen::{
        RemarkLine,
        RouteLine,
        SeenRoute,
        SeenVm,
        ROUTE_COLUMNS, //
    },
    lines::{
        TableRemarkLine,
        REMARK_COLUMNS, //
    },
    Parity, //
};
use kernel::{
    fmt,
    prelude::*, //
};

/// A VM as it is when a file is opened.
pub(crate) struct Snapshot {
    vm: SeenVm,
    routes: KVVec<SeenRoute>,
}

impl Snapshot {
    /// Looks at a VM whose current table is `table`. Process context. Returns `ENOMEM` if there is no
    /// memory.
    pub(crate) fn new(_host: &Host, _parity: Parity, table: Table) -> Result<Self> {
        let vm = SeenVm {
            nr_spis: table.view.nr_spis,
            has_its: table.has_chip,
        };
        let mut routes = KVVec::with_capacity(table.routes.len(), GFP_KERNEL_ACCOUNT)?;

        for route in table.routes.iter() {
            routes.push_within_capacity(route.seen())?;
        }
        Ok(Self { vm, routes })
    }

    /// Returns how many records a file has: the first one names the columns.
    pub(crate) fn nr_records(&self, file: File) -> usize {
        match file {
            File::Routes => self.routes.len().wrapping_add(1),
            // And one about the table.
            File::Remarks => self.routes.len().wrapping_add(2),
        }
    }

    /// Prints a record of a file by its number. Process context.
    pub(crate) fn print(&self, file: File, number: usize, print: impl Fn(fmt::Arguments<'_>)) {
        let vm = &self.vm;
        let Some(number) = number.checked_sub(1) else {
            let columns = match file {
                File::Routes => ROUTE_COLUMNS,
                File::Remarks => REMARK_COLUMNS,
            };

            return print(format_args!("{columns}\n"));
        };

        cond_resched();
        match (file, self.routes.get(number)) {
            (File::Routes, Some(route)) => print(format_args!("{}", RouteLine(vm, route))),
            (File::Remarks, Some(route)) => print(format_args!("{}", RemarkLine(vm, route))),
            (File::Remarks, None) => {
                print(format_args!("{}", TableRemarkLine(self.routes.len())));
            }
            _ => (),
        }
    }
}
