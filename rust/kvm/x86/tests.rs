// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what the host cannot see: C structures, kernel memory, calls through the ops.

use kernel::prelude::*;

#[kunit_tests(kvm_irqroute)]
mod suite {
    use super::super::{
        bindings,
        counters::Event,
        fake,
        files::{
            File,
            Table, //
        },
        grace_period::{
            GracePeriod,
            Phase, //
        },
        handled::HandledVectors,
        host::Host,
        index::Index,
        list::SmallList,
        params::Mode,
        snapshot::Snapshot,
        srcu::IrqSrcu,
        stats::Stats,
        vcpu::ThisVcpu,
        vm::Vm, //
    };
    use crate::routing::{
        list::List,
        publication::Succession,
        x86::{
            apic::{
                ApicId,
                BroadcastQuirk,
                LogicalModel, //
            },
            msi::{
                Msi,
                MsiFormat, //
            },
            posting::LowestPriority,
            route::{
                ReservedPins,
                Route, //
            },
            scan::Scan,
            seen::{
                SeenRoute,
                Target, //
            },
            sint::{
                SintError,
                SintRoute, //
            },
            update::Changes,
            vector::VectorSet, //
        },
        Origin,
        Parity, //
    };
    use core::{
        cell::Cell,
        ptr, //
    };
    use kernel::{
        prelude::*,
        str::CString,
        sync::{
            atomic::Relaxed,
            Arc,
            ArcBorrow, //
        }, //
    };

    const LEVEL: u32 = 1 << 15;

    fn vm(parity: Parity) -> Result<Pin<KBox<Vm>>> {
        // SAFETY: The fake KVM's functions do not follow the pointer to the VM, and share nothing
        // but atomics. Its ops are constant and static.
        let host = unsafe { Host::new(fake::kvm(), &fake::OPS) }.ok_or(EINVAL)?;

        KBox::pin_init(Vm::new(host, parity, Stats::unlisted()?), GFP_KERNEL)
    }

    /// A scan by a vCPU that looks like `view` and had nothing to report so far.
    fn scan_of(
        vm: &Vm,
        index: &Option<Arc<Index>>,
        view: &bindings::kvm_irqroute_vcpu_view,
    ) -> Result<Scan> {
        // SAFETY: The fake KVM takes the pointer for one to `view`, which outlives the call.
        let vcpu = unsafe { ThisVcpu::new(fake::vcpu_with(view)) }.ok_or(EINVAL)?;

        Ok(vm.scan(index.as_deref(), &vcpu, &VectorSet::EMPTY))
    }

    fn index(routes: &[bindings::kvm_irq_routing_entry]) -> Result<Option<Arc<Index>>> {
        let (pins, parity) = (ReservedPins(24), Parity::Off);

        Ok(Index::make(None, routes, pins, parity, MsiFormat::Compat)?.index)
    }

    /// Borrows an index as hook calls do.
    fn borrow(index: &Option<Arc<Index>>) -> Option<ArcBorrow<'_, Index>> {
        index.as_ref().map(Arc::as_arc_borrow)
    }

    #[test]
    fn routes_of_userspace() {
        let msi = fake::msi_route(5, 0x1234_5600_fee0_1004, 0x8041);
        assert_eq!(
            Route::from(&msi),
            Route::Msi {
                gsi: 5,
                msi: Msi {
                    address_lo: 0xfee0_1004,
                    address_hi: 0x1234_5600,
                    data: 0x8041,
                },
            }
        );

        let sint = fake::sint_route(7, 3, 2);
        assert_eq!(
            Route::from(&sint),
            Route::Sint(SintRoute {
                gsi: 7,
                vp_index: 3,
                sint: 2,
            })
        );

        let mut other = msi;
        other.type_ = bindings::KVM_IRQ_ROUTING_IRQCHIP;
        assert_eq!(Route::from(&other), Route::Other);
    }

    #[test]
    fn view_of_a_vm() {
        let mut view = fake::split_vm();
        assert_eq!(view.reserved_pins(), ReservedPins(24));
        assert_eq!(view.x2apic_api().format, MsiFormat::Compat);
        assert_eq!(view.x2apic_api().quirk, BroadcastQuirk::On);
        assert_eq!(view.lowest_priority(), LowestPriority::Hashed);

        view.x2apic_format = 1;
        view.broadcast_quirk = 0;
        view.vector_hashing = 0;
        assert_eq!(view.x2apic_api().format, MsiFormat::X2Apic);
        assert_eq!(view.x2apic_api().quirk, BroadcastQuirk::Off);
        assert_eq!(view.lowest_priority(), LowestPriority::ByPriority);
    }

    #[test]
    fn view_of_a_vcpu() {
        let mut view = fake::xapic(9, Some(0x41));
        view.pending_eoi[7] |= 1 << 31;
        view.level_triggered[1] = 1 << 1;

        let mut pending = VectorSet::EMPTY;
        pending.insert(0x41);
        pending.insert(0xff);
        assert_eq!(view.apic().pending_eoi, pending);

        let mut level_triggered = VectorSet::EMPTY;
        level_triggered.insert(0x21);
        assert_eq!(view.level_triggered(), level_triggered);
        assert_eq!(
            view.apic.id(),
            ApicId::XApic {
                id: 9,
                initial_id: 9,
                logical_id: 2,
                model: LogicalModel::Flat,
            }
        );

        view.apic.x2apic_mode = 1;
        view.apic.x2apic_id = 0x123;
        view.apic.ldr = 0x0012_0008;
        assert_eq!(
            view.apic().id,
            ApicId::X2Apic {
                id: 0x123,
                ldr: 0x0012_0008,
            }
        );
    }

    #[test]
    fn index_of_an_empty_table() -> Result {
        assert!(index(&[])?.is_none());
        // Edge, and outside of the reserved pins.
        assert!(index(&[fake::msi_route(0, 0xfee0_0000, 0x41)])?.is_none());
        assert!(index(&[fake::msi_route(24, 0xfee0_0000, LEVEL | 0x41)])?.is_none());
        // An NMI.
        assert!(index(&[fake::msi_route(0, 0xfee0_0000, LEVEL | 0x441)])?.is_none());
        Ok(())
    }

    #[test]
    fn index_of_a_full_table() -> Result {
        let mut routes = KVVec::with_capacity(4096, GFP_KERNEL)?;
        for back in 0..4096u32 {
            let gsi = back ^ 4095;
            let route = if gsi < 4000 {
                fake::msi_route(gsi, 0xfee0_0000 | u64::from(gsi / 1000) << 12, LEVEL | 0x41)
            } else {
                fake::sint_route(gsi, gsi.wrapping_sub(4000), 15)
            };
            routes.push_within_capacity(route)?;
        }

        let (pins, parity) = (ReservedPins(4096), Parity::Off);
        let made = Index::make(None, &routes, pins, parity, MsiFormat::Compat)?;
        let index = made.index.ok_or(EINVAL)?;
        for (id, words) in [(0, [0, 1 << 1, 0, 0]), (3, [0, 1 << 1, 0, 0]), (4, [0; 4])] {
            let vcpu = fake::xapic(id, None);
            let reaching = index
                .level_routes()
                .reaching(&vcpu.apic.id(), vcpu.vm.x2apic_api());

            assert_eq!(reaching.words(), words);
        }
        assert_eq!(index.sints().len(), 96);
        let order = index.sints().iter().map(|route| route.gsi);
        assert!(order.eq(4000..4096));
        Ok(())
    }

    /// Begins an update of a table with the index `old`, all of whose routes stay, and tells whether
    /// readers of older tables are waited for.
    fn begin_adding(
        vm: &Vm,
        view: &bindings::kvm_irqroute_vm_view,
        old: &Option<Arc<Index>>,
        routes: &[bindings::kvm_irq_routing_entry],
    ) -> Result<(bool, Option<Arc<Index>>)> {
        let (origin, succession) = (Origin::Userspace, Succession::Adds);

        vm.begin_update(view, borrow(old), routes, origin, succession)
    }

    /// Begins an update of a table with the index `old`, not all of whose routes stay.
    fn begin(
        vm: &Vm,
        view: &bindings::kvm_irqroute_vm_view,
        old: &Option<Arc<Index>>,
        routes: &[bindings::kvm_irq_routing_entry],
    ) -> Result<Option<Arc<Index>>> {
        let succession = Succession::Changes;
        let (is_awaited, new) =
            vm.begin_update(view, borrow(old), routes, Origin::Userspace, succession)?;

        assert!(is_awaited);
        Ok(new)
    }

    /// Sets a table in place of that with the index `old`, and tells how often the vCPU was asked to
    /// scan before and after.
    fn set(
        vm: &Vm,
        old: &Option<Arc<Index>>,
        routes: &[bindings::kvm_irq_routing_entry],
    ) -> Result<(Option<Arc<Index>>, u32, u32)> {
        fake::STATE.requests.store(0, Relaxed);
        let new = begin(vm, &fake::split_vm(), old, routes)?;
        let before = fake::STATE.requests.load(Relaxed);
        vm.end_update();
        let after = fake::STATE.requests.load(Relaxed).wrapping_sub(before);

        Ok((new, before, after))
    }

    #[test]
    fn update_that_kvm_acts_on() -> Result {
        fake::reset(0x60);
        let vm = vm(Parity::On)?;
        let route = fake::msi_route(0, 0xfee0_0000, LEVEL | 0x41);
        let (index, before, after) = set(&vm, &None, &[route, fake::sint_route(9, 0, 2)])?;

        assert!(index.is_some());
        assert_eq!((before, after), (0, 0));
        assert_eq!(vm.counters().get(Event::Update), 1);
        assert_eq!(vm.counters().get(Event::ScanRequest), 0);
        Ok(())
    }

    #[test]
    fn update_of_level_routes() -> Result {
        fake::reset(0x60);
        let view = fake::split_vm();
        let vm = vm(Parity::Off)?;
        let routes = [
            fake::msi_route(0, 0xfee0_0000, LEVEL | 0x42),
            fake::sint_route(9, 0, 2),
        ];
        let old = index(&[fake::msi_route(0, 0xfee0_0000, LEVEL | 0x41)])?;
        let vcpu = fake::xapic(0, None);
        let handled = |index: &Option<Arc<Index>>| {
            scan_of(&vm, index, &vcpu).map_or([!0; 4], |scan| scan.handled.words())
        };
        let requests = || fake::STATE.requests.load(Relaxed);

        assert_eq!(handled(&old), [0, 1 << 1, 0, 0]);
        let new = begin(&vm, &view, &old, &routes)?;
        assert_eq!(requests(), 1);
        // Whichever table a vCPU finds, it has to know both.
        assert_eq!(handled(&old), [0, 1 << 1 | 1 << 2, 0, 0]);
        assert_eq!(handled(&new), [0, 1 << 1 | 1 << 2, 0, 0]);
        vm.end_update();
        assert_eq!(requests(), 2);
        assert_eq!(fake::STATE.kicks.load(Relaxed), 1);
        assert_eq!(handled(&new), [0, 1 << 2, 0, 0]);

        // Nothing that a scan would see has changed.
        let (same, before, after) = set(&vm, &new, &routes)?;
        assert!(same.is_some_and(|same| new.is_some_and(|new| Arc::ptr_eq(&same, &new))));
        assert_eq!((before, after), (0, 0));
        assert_eq!(vm.counters().get(Event::Update), 2);
        assert_eq!(vm.counters().get(Event::ScanRequest), 2);
        Ok(())
    }

    #[test]
    fn update_of_the_same_routes() -> Result {
        fake::reset(0x60);

        // The first table is set in format 0. In format 1 its destination is another one.
        for (parity, format, skipped) in
            [(Parity::Off, 0, 1), (Parity::Off, 1, 0), (Parity::On, 0, 0)]
        {
            let vm = vm(parity)?;
            let mut view = fake::split_vm();
            let routes = [fake::msi_route(0, 0x0000_0100_fee0_0000, LEVEL | 0x41)];

            begin(&vm, &view, &None, &routes)?;
            vm.end_update();
            view.x2apic_format = format;
            assert_eq!(vm.skip_update(&view, 1, Origin::Userspace), skipped == 1);
            assert_eq!(vm.counters().get(Event::Update), 1);
            assert_eq!(vm.counters().get(Event::UpdateSkipped), skipped);
        }
        Ok(())
    }

    #[test]
    fn update_that_adds_routes() -> Result {
        fake::reset(0x60);
        let vm = vm(Parity::Off)?;
        let (to_0, view) = (fake::xapic(0, None), fake::split_vm());
        let [a, b, c] = [(0, 0x41), (1, 0x42), (2, 0x43)]
            .map(|(pin, vector)| fake::msi_route(pin, 0xfee0_0000, LEVEL | vector));
        let handled = |index: &Option<Arc<Index>>| {
            scan_of(&vm, index, &to_0).map_or([!0; 4], |scan| scan.handled.words())
        };
        let requests = || fake::STATE.requests.load(Relaxed);
        let adds = |old: &Option<Arc<Index>>, routes: &[_]| {
            begin_adding(&vm, &view, old, routes).map(|(is_awaited, new)| {
                assert!(!is_awaited);
                new
            })
        };

        let first = index(&[a])?;
        let second = adds(&first, &[a, b])?;
        assert_eq!(requests(), 1);
        // Who still has the first table has to know the second one, however late it scans.
        assert_eq!(handled(&first), [0, 0b110, 0, 0]);
        let third = adds(&second, &[a, b, c])?;
        assert_eq!(requests(), 2);
        for index in [&first, &second, &third] {
            assert_eq!(handled(index), [0, 0b1110, 0, 0]);
        }

        // Routes that scans have no use for.
        let edge = fake::msi_route(30, 0xfee0_0000, 0x51);
        let fourth = adds(&third, &[a, b, c, edge])?;
        assert_eq!(requests(), 2);
        assert_eq!(handled(&first), [0, 0b1110, 0, 0]);

        // Until an update waits. It takes away what no older table brings back.
        let fifth = begin(&vm, &view, &fourth, &[b, c])?;
        assert_eq!(handled(&first), [0, 0b1110, 0, 0]);
        vm.end_update();
        assert_eq!(handled(&fifth), [0, 0b1100, 0, 0]);
        assert_eq!(requests(), 3);
        assert_eq!(vm.counters().get(Event::Update), 4);
        assert_eq!(vm.counters().get(Event::UpdateUnawaited), 3);
        Ok(())
    }

    #[test]
    fn update_that_adds_to_a_large_index() -> Result {
        fake::reset(0x60);
        let vm = vm(Parity::Off)?;
        let mut view = fake::split_vm();
        let mut routes = KVec::with_capacity(256, GFP_KERNEL)?;
        let (mut index, mut waits) = (None, 0u32);

        view.nr_reserved_pins = 256;
        for pin in 0..256u32 {
            let address = 0xfee0_0000 | u64::from(pin) << 12;

            routes.push_within_capacity(fake::msi_route(pin, address, LEVEL | 0x41))?;
            let (is_awaited, new) = begin_adding(&vm, &view, &index, &routes)?;
            if is_awaited {
                vm.end_update();
                waits = waits.wrapping_add(1);
            }
            // The first hundred together take less than 1 MiB, and all of them more than two.
            assert!(pin >= 100 || waits == 0);
            index = new;
        }
        assert!(waits == 2 || waits == 3);
        Ok(())
    }

    #[test]
    fn update_that_waits_for_others() -> Result {
        fake::reset(0x60);
        let vm = vm(Parity::Off)?;
        let (vcpu, view) = (fake::xapic(0, None), fake::split_vm());
        let level = fake::msi_route(0, 0xfee0_0000, LEVEL | 0x41);
        let edge = fake::msi_route(30, 0xfee0_0000, 0x51);
        let (_, added) = begin_adding(&vm, &view, &None, &[level])?;

        // Scans of the empty table, from before, go on until no one reads it.
        assert_eq!(
            scan_of(&vm, &None, &vcpu)?.handled.words(),
            [0, 1 << 1, 0, 0]
        );
        let same = begin(&vm, &view, &added, &[level, edge])?;
        assert_eq!(
            scan_of(&vm, &None, &vcpu)?.handled.words(),
            [0, 1 << 1, 0, 0]
        );
        vm.end_update();
        assert_eq!(scan_of(&vm, &None, &vcpu)?.handled.words(), [0; 4]);
        assert_eq!(
            scan_of(&vm, &same, &vcpu)?.handled.words(),
            [0, 1 << 1, 0, 0]
        );
        assert_eq!(fake::STATE.requests.load(Relaxed), 1);
        Ok(())
    }

    #[test]
    fn grace_period_that_ends_during_a_scan() -> Result {
        fake::reset(0x60);
        let vm = vm(Parity::Off)?;
        let old = index(&[fake::msi_route(0, 0xfee0_0000, LEVEL | 0x41)])?;
        let new = [fake::msi_route(0, 0xfee0_0000, LEVEL | 0x42)];
        let new = begin(&vm, &fake::split_vm(), &old, &new)?;

        // The last interrupt by the old table may arrive right after the look at the APIC.
        let end = ptr::from_ref(&*vm).expose_provenance();
        fake::STATE.ends_update.store(end, Relaxed);
        let scan = scan_of(&vm, &new, &fake::xapic(0, None))?;
        assert_eq!(scan.handled.words(), [0, 1 << 1 | 1 << 2, 0, 0]);

        fake::STATE.ends_update.store(0, Relaxed);
        let scan = scan_of(&vm, &new, &fake::xapic(0, None))?;
        assert_eq!(scan.handled.words(), [0, 1 << 2, 0, 0]);
        assert_eq!(vm.counters().get(Event::Update), 1);
        Ok(())
    }

    /// What the vCPU has to report by now, below vector 128.
    fn reported() -> [u64; 2] {
        [0, 1].map(|i| fake::STATE.handled[i].load(Relaxed))
    }

    #[test]
    fn table_that_a_vcpu_has_not_scanned() -> Result {
        let routes = |address, vector| [fake::msi_route(0, address, LEVEL | vector)];
        let to_0 = routes(0xfee0_0000, 0x41);
        let to_1 = routes(0xfee0_1000, 0x41);
        let to_all = routes(0xfeef_f000, 0x41);
        // Where vector 0x41 is pending: nowhere, in ISR, in IRR, or where only its own thread sees it.
        let none: &[usize] = &[];
        let places = [none, &[0x120 / 4], &[0x220 / 4], &[usize::MAX]];

        // The table that goes, the one that takes its place, and whether that takes 0x41 from the vCPU
        // with APIC ID 0.
        for (old, new, loses) in [
            (&to_0, &[][..], true),
            (&to_0, &to_0, false),
            (&to_0, &to_1, true),
            (&to_0, &routes(0xfee0_0000, 0x42), true),
            (&to_1, &to_0, false),
            (&to_1, &[], false),
            (&to_all, &[], true),
            (&to_all, &to_1, true),
        ] {
            for place in places {
                fake::reset(0x60);
                fake::STATE.handled[0].store(1 << 0x21, Relaxed);
                for &register in place {
                    match fake::STATE.regs.get(register) {
                        Some(register) => register.store(1 << 1 | 1 << 2, Relaxed),
                        None => fake::STATE.regs_are_shown.store(0, Relaxed),
                    }
                }
                let vm = vm(Parity::Off)?;
                let (old, view) = (index(old)?, fake::split_vm());

                let new = begin(&vm, &view, &old, new)?;
                assert_eq!(reported(), [1 << 0x21, 0]);
                vm.end_update();
                drop(new);
                let expected = if loses && !place.is_empty() {
                    1 << 1
                } else {
                    0
                };
                assert_eq!(reported(), [1 << 0x21, expected]);
            }
        }
        Ok(())
    }

    #[test]
    fn lists_grow_item_by_item_and_at_once() -> Result {
        for before in 0..20u32 {
            for more in [0, 1, 3, 4, 5, 13, 20, 100, 1000] {
                let all = before.wrapping_add(more);
                let mut list = SmallList::<u32, 4>::default();
                let mut rest = KVVec::with_capacity(more as usize, GFP_KERNEL)?;

                for item in 0..before {
                    list.push(item)?;
                }
                for item in before..all {
                    rest.push_within_capacity(item)?;
                }
                list.push_all(&rest)?;
                list.push(all)?;
                assert!(list.iter().copied().eq(0..=all));
            }
        }
        Ok(())
    }

    #[test]
    fn phases_of_a_grace_period() -> Result {
        let old = index(&[fake::msi_route(0, 0xfee0_0000, LEVEL | 0x41)])?;
        let routes = old.as_deref().map(Index::level_routes);
        let changes = Changes::between(routes, None, 0, fake::split_vm().x2apic_api());
        let period = KBox::pin_init(GracePeriod::new(), GFP_KERNEL)?;

        for _ in 0..2 {
            assert!(period.indexes().is_none());
            assert!(period.close().is_none());
            period.begin(old.clone(), None, &changes);
            assert!(matches!(
                period.indexes(),
                Some((Phase::Open, [Some(_), None]))
            ));
            assert!(period.close().is_some());
            assert!(matches!(
                period.indexes(),
                Some((Phase::Closing, [Some(_), None]))
            ));
            period.end();
        }
        Ok(())
    }

    #[test]
    fn update_that_adds_during_a_scan() {
        fake::reset(0x60);
        // SAFETY: The words are static, and nobody else uses them.
        let handled =
            unsafe { HandledVectors::new(fake::STATE.handled.as_ptr().cast_mut().cast()) };
        let set = |words| VectorSet::from_words(words);
        let is_first = Cell::new(true);
        handled.add(&set([0, 1, 0, 2]));

        let scan = handled.replace(|reported| {
            let (expected, found) = if is_first.replace(false) {
                ([0, 1, 0, 2], [8, 0, 0, 0])
            } else {
                ([0, 5, 0, 2], [16, 0, 0, 0])
            };

            assert_eq!(reported, &set(expected));
            if found == [8, 0, 0, 0] {
                // The update comes during the first.
                handled.add(&set([0, 4, 0, 0]));
            }
            Scan {
                handled: set(found),
                highest_stale: None,
            }
        });

        assert_eq!(scan.handled, set([16, 0, 0, 0]));
        assert_eq!(fake::STATE.handled[0].load(Relaxed), 16);
        assert_eq!(reported(), [16, 0]);
    }

    #[test]
    fn update_that_concerns_another_vcpu() -> Result {
        let vm = vm(Parity::Off)?;
        let to_0 = index(&[fake::msi_route(0, 0xfee0_0000, LEVEL | 0x41)])?;
        let to_1 = [fake::msi_route(0, 0xfee0_1000, LEVEL | 0x41)];

        // APIC ID of the vCPU, and how often it is asked before and after: to learn of the route,
        // and to forget about it.
        for (id, expected) in [(0, (0, 1)), (1, (1, 0)), (2, (0, 0))] {
            fake::reset(0x60);
            fake::STATE.apic_id.store(id, Relaxed);
            let (_, before, after) = set(&vm, &to_0, &to_1)?;
            assert_eq!((before, after), expected);
            // What it forgets late does not make it leave the guest.
            assert_eq!(fake::STATE.kicks.load(Relaxed), before);
        }
        Ok(())
    }

    #[test]
    fn update_of_routes_that_were_decoded_in_two_ways() -> Result {
        fake::reset(0x60);
        let mut view = fake::split_vm();
        let vm = vm(Parity::Off)?;
        let to_256 = index(&[fake::msi_route(0, 0x0000_0100_fee0_0000, LEVEL | 0x41)])?;
        let to_1 = [fake::msi_route(0, 0xfee0_1000, LEVEL | 0x41)];

        // By the time of the update, 32-bit destinations are on.
        fake::STATE.apic_id.store(2, Relaxed);
        view.x2apic_format = 1;
        begin(&vm, &view, &to_256, &to_1)?;
        vm.end_update();
        assert_eq!(fake::STATE.requests.load(Relaxed), 2);
        Ok(())
    }

    #[test]
    fn cache_of_vp_indexes() -> Result {
        for (parity, cached) in [(Parity::Off, fake::VCPU_INDEX), (Parity::On, 7)] {
            fake::reset(0x60);
            fake::STATE.vp_index.store(7, Relaxed);
            let vm = vm(parity)?;
            begin(&vm, &fake::split_vm(), &None, &[fake::sint_route(9, 7, 2)])?;
            vm.end_update();

            // Nothing is known of it yet.
            assert_eq!(vm.deliver_sint(7, 2, true), Ok(1));
            assert_eq!(fake::STATE.hint.load(Relaxed), 7);
            assert_eq!(vm.deliver_sint(7, 2, true), Ok(1));
            assert_eq!(fake::STATE.hint.load(Relaxed), cached);

            // One that does not exist is not cached.
            assert_eq!(vm.deliver_sint(8, 2, true), Err(SintError::NoSynic));
            assert_eq!(vm.deliver_sint(8, 2, true), Err(SintError::NoSynic));
            assert_eq!(fake::STATE.hint.load(Relaxed), 8);
        }
        Ok(())
    }

    #[test]
    fn delivery_to_a_sint() -> Result {
        let vm = vm(Parity::Off)?;

        fake::reset(0x60);
        assert_eq!(vm.deliver_sint(0, 2, true), Ok(1));
        assert_eq!(fake::STATE.delivered.load(Relaxed), 0x60);

        fake::reset(0x60);
        assert_eq!(vm.deliver_sint(0, 2, false), Err(SintError::Lowered));
        assert_eq!(vm.deliver_sint(0, 16, true), Err(SintError::NoSynic));
        assert_eq!(vm.deliver_sint(1, 2, true), Err(SintError::NoSynic));
        fake::STATE.sint.store(1 << 16 | 0x60, Relaxed);
        assert_eq!(vm.deliver_sint(0, 2, true), Err(SintError::Masked));
        fake::STATE.active.store(0, Relaxed);
        assert_eq!(vm.deliver_sint(0, 2, true), Err(SintError::NoSynic));

        assert_eq!(fake::STATE.delivered.load(Relaxed), -1);
        assert_eq!(vm.counters().get(Event::SintDelivery), 1);
        Ok(())
    }

    #[test]
    fn end_of_a_sint() -> Result {
        let index = index(&[
            fake::sint_route(9, 0, 2),
            fake::sint_route(8, 0, 2),
            fake::sint_route(7, 1, 2),
            fake::sint_route(6, 0, 3),
        ])?;

        fake::reset(0x60);
        let vm = vm(Parity::Off)?;
        for (vp_index, sint, acked, acks) in [
            (0, 2, 9, 2),
            (1, 2, 7, 3),
            (0, 3, 6, 4),
            (1, 3, 6, 4),
            (0, 16, 6, 4),
            (u32::MAX, u32::MAX, 6, 4),
        ] {
            // SAFETY: The fake KVM has nothing that `irq_srcu` would protect.
            let srcu = unsafe { IrqSrcu::held(vm.host()) };

            vm.ack_sint(&srcu, index.as_deref(), vp_index, sint);
            assert_eq!(fake::STATE.acked.load(Relaxed), acked);
            assert_eq!(fake::STATE.acks.load(Relaxed), acks);
            assert_eq!(vm.counters().get(Event::SintAck), u64::from(acks));
        }
        Ok(())
    }

    #[test]
    fn verification_of_a_delivery() -> Result {
        fake::reset(0x60);
        let vm = vm(Parity::On)?;
        let masked = Err(SintError::Masked);

        vm.verify_sint(0, 2, true, Ok(()), Ok(1));
        // Unmasked while KVM looked at it.
        vm.verify_sint(0, 2, true, masked, Ok(-1));
        vm.verify_sint(0, 2, true, masked, Err(SintError::Masked));
        assert_eq!(vm.counters().get(Event::Difference), 0);
        assert_eq!(vm.counters().get(Event::SintDelivery), 2);

        vm.verify_sint(0, 2, true, Ok(()), Err(SintError::Masked));
        vm.verify_sint(1, 2, true, Err(SintError::NoSynic), Ok(1));
        assert_eq!(vm.counters().get(Event::Difference), 2);

        // What is checked is not done.
        assert_eq!(fake::STATE.delivered.load(Relaxed), -1);
        Ok(())
    }

    #[test]
    fn verification_of_a_scan() -> Result {
        let vm = vm(Parity::On)?;
        let index = index(&[fake::msi_route(3, 0xfee0_1000, LEVEL | 0x41)])?;
        let idle = fake::xapic(0, None);
        let pending = fake::xapic(0, Some(0x41));
        let none = Scan::default();
        let mut stale = none;
        stale.handled.insert(0x41);
        stale.highest_stale = Some(0x41);

        // The interrupt came before, during and after the scan.
        vm.verify_scan(index.as_deref(), &pending, &pending, &stale);
        vm.verify_scan(index.as_deref(), &idle, &pending, &stale);
        vm.verify_scan(index.as_deref(), &idle, &pending, &none);
        assert_eq!(vm.counters().get(Event::Difference), 0);
        assert_eq!(vm.counters().get(Event::Scan), 3);

        vm.verify_scan(index.as_deref(), &pending, &pending, &none);
        vm.verify_scan(index.as_deref(), &idle, &idle, &stale);
        assert_eq!(vm.counters().get(Event::Difference), 2);

        // The meaning of the routes changed in between.
        let mut later = idle;
        later.vm.x2apic_format = 1;
        vm.verify_scan(index.as_deref(), &idle, &later, &stale);
        assert_eq!(vm.counters().get(Event::Difference), 2);
        Ok(())
    }

    #[test]
    fn parity_of_a_vm() {
        assert_eq!(Mode::Rust.parity(false), Parity::Off);
        assert_eq!(Mode::Rust.parity(true), Parity::On);
        assert_eq!(Mode::Verify.parity(false), Parity::On);
    }

    #[test]
    fn modes_of_kvm() {
        for (mode, parity, raw) in [
            (
                Mode::C,
                Parity::Off,
                bindings::kvm_irqroute_mode_KVM_IRQROUTE_C,
            ),
            (
                Mode::Verify,
                Parity::On,
                bindings::kvm_irqroute_mode_KVM_IRQROUTE_VERIFY,
            ),
            (
                Mode::Rust,
                Parity::Off,
                bindings::kvm_irqroute_mode_KVM_IRQROUTE_RUST,
            ),
            (
                Mode::Rust,
                Parity::On,
                bindings::kvm_irqroute_mode_KVM_IRQROUTE_PARITY,
            ),
        ] {
            assert_eq!(mode.as_raw(parity), raw as i32);
        }
    }

    #[test]
    fn routes_that_files_show() {
        let msi = fake::msi_route(5, 0x1234_5600_fee0_1004, 0x8041);
        let sint = fake::sint_route(7, 3, 2);
        let mut irqchip = bindings::kvm_irq_routing_entry {
            gsi: 9,
            type_: bindings::KVM_IRQ_ROUTING_IRQCHIP,
            ..Default::default()
        };
        irqchip.u.irqchip = bindings::kvm_irq_routing_irqchip { irqchip: 2, pin: 8 };
        let mut xen = bindings::kvm_irq_routing_entry {
            gsi: 10,
            type_: bindings::KVM_IRQ_ROUTING_XEN_EVTCHN,
            ..Default::default()
        };
        xen.u.xen_evtchn.port = 3;
        let other = bindings::kvm_irq_routing_entry {
            gsi: 11,
            type_: bindings::KVM_IRQ_ROUTING_S390_ADAPTER,
            ..Default::default()
        };

        for (route, gsi, target) in [
            (
                &msi,
                5,
                Target::Msi(Msi {
                    address_lo: 0xfee0_1004,
                    address_hi: 0x1234_5600,
                    data: 0x8041,
                }),
            ),
            (
                &sint,
                7,
                Target::Sint {
                    vp_index: 3,
                    sint: 2,
                },
            ),
            (&irqchip, 9, Target::Irqchip { chip: 2, pin: 8 }),
            (&xen, 10, Target::Xen { port: 3 }),
            (&other, 11, Target::Other(3)),
        ] {
            assert_eq!(SeenRoute::from(route), SeenRoute { gsi, target });
        }
    }

    /// Tells whether a record of a file is `expected`.
    fn is_record(snapshot: &Snapshot, file: File, number: usize, expected: &CStr) -> bool {
        let same = Cell::new(false);

        snapshot.print(file, number, |args| {
            same.set(CString::try_from_fmt(args).is_ok_and(|line| &*line == expected));
        });
        same.get()
    }

    #[test]
    fn files_of_a_vm() -> Result {
        fake::reset(0x60);
        fake::STATE.apic_id.store(3, Relaxed);
        if let (Some(handled), Some(irr)) =
            (fake::STATE.handled.get(1), fake::STATE.regs.get(0x210 / 4))
        {
            // Vectors 0x41 and 0x42, and 0x25.
            handled.store(0x6, Relaxed);
            irr.store(1 << 5, Relaxed);
        }

        // SAFETY: The fake KVM's functions do not follow the pointer to the VM, and share nothing
        // but atomics. Its ops are constant and static.
        let host = unsafe { Host::new(fake::kvm(), &fake::OPS) }.ok_or(EINVAL)?;
        let mut routes = KVVec::with_capacity(2, GFP_KERNEL)?;
        routes.push_within_capacity(fake::msi_route(5, 0xfee0_3000, LEVEL | 0x41))?;
        routes.push_within_capacity(fake::msi_route(24, 0xfee0_3000, LEVEL | 0x43))?;
        let mut route_postings = KVVec::with_capacity(2, GFP_KERNEL)?;
        route_postings
            .push_within_capacity(bindings::kvm_irqroute_posting_KVM_IRQROUTE_NO_PRODUCER)?;
        route_postings.push_within_capacity(bindings::kvm_irqroute_posting_KVM_IRQROUTE_DENIED)?;
        let table = Table {
            routes,
            view: fake::split_vm(),
            has_chip: true,
            // By their numbers.
            postings: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
            route_postings,
        };
        let snapshot = Snapshot::new(&host, Parity::Off, table)?;

        assert_eq!(snapshot.nr_records(File::Routes), 3);
        assert_eq!(snapshot.nr_records(File::Vcpus), 2);
        assert_eq!(snapshot.nr_records(File::Remarks), 4);
        let line = c"5 msi yes 0x41 level fixed physical:0x3 3 3 - -\n";
        assert!(is_record(&snapshot, File::Routes, 1, line));
        let line = c"24 msi no 0x43 level fixed physical:0x3 3 3 no:denied level_outside_pins\n";
        assert!(is_record(&snapshot, File::Routes, 2, line));
        // The SynIC is that of a vCPU that came later.
        let lines = c"3 apic_id 3\n3 mode xapic_flat\n3 logical_id 0x2\n3 enabled yes\n\
            3 eoi_exit 0x41 gsis 5\n3 eoi_exit 0x42 gsis - stale\n\
            3 requested 0x25\n3 in_service -\n3 vp_index unknown\n3 synic off\n";
        assert!(is_record(&snapshot, File::Vcpus, 1, lines));
        assert!(is_record(&snapshot, File::Remarks, 1, c""));
        let line = c"24 level_outside_pins yes \
            level-triggered, but the 24 pins end below: its EOI is not reported\n";
        assert!(is_record(&snapshot, File::Remarks, 2, line));
        assert!(is_record(&snapshot, File::Remarks, 3, c""));

        assert_eq!(snapshot.nr_records(File::Posting), 11);
        for (number, line) in [
            (1, c"posted - 1\n"),
            (2, c"remapped not_msi 7\n"),
            (3, c"remapped denied 10\n"),
            (4, c"remapped delivery_mode 2\n"),
            (5, c"remapped level 3\n"),
            (6, c"remapped no_target 4\n"),
            (7, c"remapped several 5\n"),
            (8, c"remapped undecided 6\n"),
            (9, c"remapped failed 8\n"),
            (10, c"remapped not_postable 9\n"),
        ] {
            assert!(is_record(&snapshot, File::Posting, number, line));
        }

        // Nobody was asked for anything.
        assert_eq!(fake::STATE.requests.load(Relaxed), 0);
        assert_eq!(fake::STATE.kicks.load(Relaxed), 0);
        Ok(())
    }
}
