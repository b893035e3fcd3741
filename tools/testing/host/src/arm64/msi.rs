// SPDX-License-Identifier: GPL-2.0

//! Which MSIs can reach an ITS.

use super::{
    property,
    reference::{self, EBUSY, EINVAL, ENODEV},
    routing::arm64::msi::{decide, DeadMsi, Its, Msi},
};
use proptest::{
    collection::vec,
    prelude::{any, Strategy},
    prop_assert, prop_assert_eq, prop_oneof,
    sample::select,
};

const ITSES: [Its; 3] = [Its::None, Its::Elsewhere, Its::AtAddress];
/// IDs around the greatest that an ITS has.
const IDS: [(u32, bool); 6] = [
    (0, true),
    (1, true),
    (0xfffe, true),
    (0xffff, true),
    (0x1_0000, false),
    (u32::MAX, false),
];

#[test]
fn what_is_looked_at_first() {
    for device_id in [None, Some(0), Some(u32::MAX)] {
        for its in ITSES {
            let msi = Msi {
                device_id,
                event_id: u32::MAX,
            };
            let expected = match (its, device_id) {
                (Its::None, _) => DeadMsi::NoIts,
                (_, None) => DeadMsi::NoDeviceId,
                (Its::Elsewhere, _) => DeadMsi::NoDoorbell,
                (Its::AtAddress, _) => DeadMsi::LongId,
            };

            assert_eq!(decide(&msi, its), Err(expected), "{msi:?} {its:?}");
        }
    }
}

#[test]
fn ids_have_sixteen_bits() {
    for (device_id, device_fits) in IDS {
        for (event_id, event_fits) in IDS {
            let msi = Msi {
                device_id: Some(device_id),
                event_id,
            };
            let expected = if device_fits && event_fits {
                Ok(())
            } else {
                Err(DeadMsi::LongId)
            };

            assert_eq!(
                decide(&msi, Its::AtAddress),
                expected,
                "{device_id:#x} {event_id:#x}"
            );
        }
    }
}

/// Generates ITSes and an MSI, many of which meet.
fn cases() -> impl Strategy<Value = (Vec<reference::Its>, reference::Msi)> {
    let doorbells = || select(vec![0x808_0040_u64, 0x818_0040]);
    let addresses = || prop_oneof![12 => doorbells(), 1 => any::<u64>()];
    let short_ids = || prop_oneof![3 => 0..3_u32, 1 => 0xfffd..=0xffff_u32];
    let ids = || prop_oneof![6 => short_ids(), 1 => 0x1_0000..0x1_0003_u32, 1 => any::<u32>()];
    let its = (
        addresses(),
        any::<bool>(),
        vec((short_ids(), short_ids()), 0..16),
    )
        .prop_map(|(doorbell, enabled, mapped)| reference::Its {
            doorbell,
            enabled,
            mapped,
        });
    let msi = (addresses(), ids(), any::<bool>(), ids()).prop_map(
        |(address, data, valid_devid, devid)| reference::Msi {
            address,
            data,
            valid_devid,
            devid,
        },
    );

    (vec(its, 0..3), msi)
}

/// What KVM's view says of them.
fn view(itses: &[reference::Its], msi: &reference::Msi) -> (Msi, Its) {
    let device_id = msi.valid_devid.then_some(msi.devid);
    let its = if itses.is_empty() {
        Its::None
    } else if device_id.is_some() && itses.iter().any(|its| its.doorbell == msi.address) {
        Its::AtAddress
    } else {
        Its::Elsewhere
    };

    (
        Msi {
            device_id,
            event_id: msi.data,
        },
        its,
    )
}

#[test]
fn errors_are_those_of_kvm() {
    property::check(cases(), |(itses, msi)| {
        let c = reference::set_msi(&itses, &msi);
        let (msi, its) = view(&itses, &msi);

        match decide(&msi, its) {
            // It is up to the guest.
            Ok(()) => prop_assert!([0, 1, -EBUSY].contains(&c), "{c}"),
            Err(DeadMsi::NoIts) => prop_assert_eq!(c, -ENODEV),
            Err(DeadMsi::NoDeviceId | DeadMsi::NoDoorbell) => prop_assert_eq!(c, -EINVAL),
            Err(DeadMsi::LongId) => prop_assert!([0, -EBUSY].contains(&c), "{c}"),
        }
        Ok(())
    });
}

#[test]
fn what_is_delivered_is_never_dead() {
    let delivered = property::sample(cases())
        .into_iter()
        .filter(|(itses, msi)| reference::set_msi(itses, msi) == 1);
    let mut nr = 0;

    for (itses, msi) in delivered {
        let (msi, its) = view(&itses, &msi);

        assert_eq!(decide(&msi, its), Ok(()), "{msi:?}");
        nr += 1;
    }
    assert!(nr > 40, "{nr}");
}
