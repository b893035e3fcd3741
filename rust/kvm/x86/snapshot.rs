// SPDX-License-Identifier: GPL-2.0

//! A VM as it is when a file is opened.

use super::{
    bindings,
    files::{
        cond_resched,
        File,
        Table, //
    },
    host::Host,
    posting::{
        way,
        Postings,
        POSTINGS, //
    },
    vcpu::Urgency, //
};
use crate::routing::{
    lines::{
        TableRemarkLine,
        REMARK_COLUMNS, //
    },
    x86::{
        apic::X2ApicApi,
        lines::{
            PostingLine,
            RemarkLines,
            RouteLine,
            VcpuLines,
            POSTING_COLUMNS,
            ROUTE_COLUMNS,
            VCPU_COLUMNS, //
        },
        route::ReservedPins,
        seen::{
            SeenRoute,
            SeenVcpu,
            SeenVm, //
        },
        sint::{
            Sint,
            SintRegister,
            Synic, //
        }, //
    },
    Parity, //
};
use core::cell::Cell;
use kernel::{
    fmt,
    prelude::*, //
};

/// A VM as it is when a file is opened.
pub(crate) struct Snapshot {
    parity: Parity,
    api: X2ApicApi,
    pins: Option<ReservedPins>,
    routes: KVVec<SeenRoute>,
    vcpus: KVVec<SeenVcpu>,
    postings: Postings,
    route_postings: KVVec<u32>,
}

impl Host {
    /// Looks at all vCPUs, none of which is asked for anything. Process context. Until KVM has set up
    /// the VM there are none, and KVM looks at nothing else.
    fn look_at_vcpus(&self) -> Result<KVVec<SeenVcpu>> {
        let mut room = 0;

        loop {
            let vcpus = Cell::new(KVVec::with_capacity(room, GFP_KERNEL_ACCOUNT)?);
            let nr = Cell::new(0usize);

            self.request_scan(Urgency::BeforeNextEntry, |apic, vcpu| {
                let mut seen =
                    SeenVcpu::new(apic.x2apic_id, apic.id(), vcpu.handled(), vcpu.pending());
                let mut list = vcpus.take();

                seen.enabled = apic.enabled();
                nr.set(nr.get().wrapping_add(1));
                // Those for which there is no room are looked at again.
                let _ = list.push_within_capacity(seen);
                vcpus.set(list);
                false
            });
            if nr.get() <= room {
                return Ok(vcpus.take());
            }
            room = nr.get();
        }
    }

    /// Finds out the VP indexes of vCPUs, and their SINTs. Process context.
    fn look_at_synics(&self, vcpus: &mut [SeenVcpu]) {
        let [first, ..] = Sint::ALL;
        // SAFETY: FFI call without preconditions, it returns a constant of KVM's headers.
        let max_vcpus = unsafe { bindings::irqroute_max_vcpus() };
        let mut left = vcpus.len();

        // Usually the index of a vCPU is its VP index, and the first ones are all.
        for vp_index in 0..max_vcpus {
            if left == 0 {
                break;
            }
            cond_resched();
            let found = self.read_synic(vp_index, first, u32::MAX);
            let Some(vcpu) = vcpus.get_mut(found.vcpu_index as usize) else {
                continue;
            };

            left = left.wrapping_sub(1);
            vcpu.vp_index = Some(vp_index);
            if found.vp.is_some() {
                vcpu.sints = Some(Sint::ALL.map(|sint| {
                    match self.read_synic(vp_index, sint, found.vcpu_index).synic {
                        Synic::Active(register) => register,
                        Synic::Absent => SintRegister::RESET,
                    }
                }));
            }
        }
    }
}

impl Snapshot {
    /// Looks at a VM whose current table is `table`. Process context. Returns `ENOMEM` if there is no
    /// memory.
    pub(crate) fn new(host: &Host, parity: Parity, table: Table) -> Result<Self> {
        let api = table.view.x2apic_api();
        let pins = table.has_chip.then(|| table.view.reserved_pins());
        let mut routes = KVVec::with_capacity(table.routes.len(), GFP_KERNEL_ACCOUNT)?;

        for route in table.routes.iter() {
            routes.push_within_capacity(SeenRoute::from(route))?;
        }

        let mut vcpus = host.look_at_vcpus()?;

        host.look_at_synics(&mut vcpus);
        if let Some(pins) = pins {
            for vcpu in vcpus.iter_mut() {
                cond_resched();
                vcpu.note_pins(&routes, pins, api);
            }
        }

        Ok(Self {
            parity,
            api,
            pins,
            routes,
            vcpus,
            postings: table.postings,
            route_postings: table.route_postings,
        })
    }

    fn seen(&self) -> SeenVm<'_> {
        SeenVm {
            parity: self.parity,
            api: self.api,
            pins: self.pins,
            routes: &self.routes,
            vcpus: &self.vcpus,
        }
    }

    /// Returns how many records a file has: the first one names the columns.
    pub(crate) fn nr_records(&self, file: File) -> usize {
        match file {
            File::Routes => self.routes.len().wrapping_add(1),
            File::Vcpus => self.vcpus.len().wrapping_add(1),
            File::Posting => POSTINGS.len().wrapping_add(1),
            // And one about the table.
            File::Remarks => self.routes.len().wrapping_add(2),
        }
    }

    /// Prints a record of a file by its number. Process context.
    pub(crate) fn print(&self, file: File, number: usize, print: impl Fn(fmt::Arguments<'_>)) {
        let vm = self.seen();
        let Some(number) = number.checked_sub(1) else {
            let columns = match file {
                File::Routes => ROUTE_COLUMNS,
                File::Vcpus => VCPU_COLUMNS,
                File::Posting => POSTING_COLUMNS,
                File::Remarks => REMARK_COLUMNS,
            };

            return print(format_args!("{columns}\n"));
        };

        cond_resched();
        if file == File::Posting {
            let posting = POSTINGS.get(number);
            let irqfds = posting.and_then(|(number, _)| self.postings.get(*number as usize));

            if let (Some((_, way)), Some(irqfds)) = (posting, irqfds) {
                print(format_args!("{}", PostingLine(*way, *irqfds)));
            }
            return;
        }
        match (file, self.routes.get(number), self.vcpus.get(number)) {
            (File::Routes, Some(route), _) => {
                let posting = self.route_postings.get(number);
                let way = posting.and_then(|posting| way(*posting));

                print(format_args!("{}", RouteLine(&vm, route, way)));
            }
            (File::Remarks, Some(route), _) => print(format_args!("{}", RemarkLines(&vm, route))),
            (File::Remarks, None, _) => {
                print(format_args!("{}", TableRemarkLine(vm.routes.len())));
            }
            (File::Vcpus, _, Some(vcpu)) => print(format_args!("{}", VcpuLines(&vm, vcpu))),
            _ => (),
        }
    }
}
