// SPDX-License-Identifier: GPL-2.0

//! How routes and remarks are written.

use super::routing::arm64::{
    msi::Msi,
    seen::{RemarkLine, RouteLine, SeenRoute, SeenVm, Target, ROUTE_COLUMNS},
};

fn msi(device_id: Option<u32>, event_id: u32) -> Target {
    Target::Msi {
        address: 0x808_0040,
        msi: Msi {
            device_id,
            event_id,
        },
    }
}

#[test]
fn routes_and_remarks() {
    for (nr_spis, has_its, target, line, remark) in [
        (64, false, Target::Pin(0), "irqchip intid:32 - - -", ""),
        (64, false, Target::Pin(63), "irqchip intid:95 - - -", ""),
        (
            64,
            true,
            Target::Pin(64),
            "irqchip pin:64 - - no_spi",
            "no_spi yes the VM has 64 SPIs",
        ),
        (
            0,
            true,
            Target::Pin(0),
            "irqchip pin:0 - - no_spi",
            "no_spi yes the VM has 0 SPIs",
        ),
        (
            64,
            true,
            msi(Some(0xffff), 0xffff),
            "msi address:0x8080040 0xffff 0xffff -",
            "",
        ),
        (
            64,
            false,
            msi(Some(3), 8),
            "msi address:0x8080040 0x8 0x3 no_its",
            "no_its yes the VM has no ITS",
        ),
        (
            64,
            true,
            msi(None, 8),
            "msi address:0x8080040 0x8 - no_device_id",
            "no_device_id yes the MSI has no device ID",
        ),
        (
            64,
            true,
            msi(Some(0x1_0000), 8),
            "msi address:0x8080040 0x8 0x10000 long_id",
            "long_id yes an ID has more than 16 bits",
        ),
        (
            64,
            true,
            msi(Some(3), 0x1_0000),
            "msi address:0x8080040 0x10000 0x3 long_id",
            "long_id yes an ID has more than 16 bits",
        ),
        (64, true, Target::Other(3), "type_3 - - - -", ""),
    ] {
        let (vm, route) = (SeenVm { nr_spis, has_its }, SeenRoute { gsi: 5, target });
        let remark = match remark {
            "" => String::new(),
            remark => format!("5 {remark}\n"),
        };

        assert_eq!(RouteLine(&vm, &route).to_string(), format!("5 {line}\n"));
        assert_eq!(RemarkLine(&vm, &route).to_string(), remark);
        assert_eq!(
            line.split(' ').count() + 1,
            ROUTE_COLUMNS.split(' ').count(),
            "{line}"
        );
    }
}
