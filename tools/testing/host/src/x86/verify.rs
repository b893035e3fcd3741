// SPDX-License-Identifier: GPL-2.0

//! Whether C and Rust agree.

use super::{
    cases, property, reference,
    routing::x86::{
        scan::Scan,
        sint::SintError::{self, Lowered, Masked, NoSynic},
        vector::VectorSet,
        verify::{scan_agrees, sint_agrees},
    },
};
use proptest::{prop_assert, prop_assert_eq};

fn scan(vectors: &[u8], highest_stale: Option<u8>) -> Scan {
    let mut handled = VectorSet::EMPTY;

    for &vector in vectors {
        handled.insert(vector);
    }

    Scan {
        handled,
        highest_stale,
    }
}

#[test]
fn nothing_arrived() {
    let rust = scan(&[63, 64], Some(64));

    for (vectors, highest_stale, expected) in [
        (&[63, 64][..], Some(64), true),
        (&[63, 64], Some(63), false),
        (&[63, 64], Some(65), false),
        (&[63, 64], None, false),
        (&[64], Some(64), false),
        (&[63], Some(64), false),
        (&[63, 64, 65], Some(64), false),
        (&[62, 63, 64], Some(64), false),
        (&[], None, false),
    ] {
        let c = scan(vectors, highest_stale);

        assert_eq!(scan_agrees(&c, &rust, &rust), expected, "{c:?}");
    }

    let nothing = Scan::default();
    assert!(scan_agrees(&nothing, &nothing, &nothing));
    assert!(!scan_agrees(&scan(&[0], None), &nothing, &nothing));
    assert!(!scan_agrees(&scan(&[0], Some(0)), &nothing, &nothing));
    assert!(!scan_agrees(&scan(&[], Some(0)), &nothing, &nothing));
}

#[test]
fn interrupts_arrived() {
    let before = scan(&[10, 127], Some(10));
    let after = scan(&[10, 20, 127, 128], Some(20));

    for (vectors, highest_stale, expected) in [
        // Equal to one of them.
        (&[10, 127][..], Some(10), true),
        (&[10, 20, 127, 128], Some(20), true),
        // Between.
        (&[10, 20, 127], Some(20), true),
        (&[10, 127, 128], Some(10), true),
        // Below.
        (&[127], Some(10), false),
        (&[10, 20, 128], Some(20), false),
        (&[], None, false),
        // Above.
        (&[10, 20, 127, 128, 129], Some(20), false),
        (&[10, 21, 127], Some(20), false),
        (&[10, 127, 255], Some(10), false),
        // Stale, but not reported.
        (&[10, 20, 127, 128], Some(19), false),
        (&[10, 20, 127, 128], Some(11), false),
        (&[10, 127, 128], Some(20), false),
        // Stale outside.
        (&[10, 127], Some(9), false),
        (&[10, 127], None, false),
        (&[10, 20, 127, 128], Some(21), false),
        (&[10, 20, 127, 128], Some(128), false),
    ] {
        let c = scan(vectors, highest_stale);

        assert_eq!(scan_agrees(&c, &before, &after), expected, "{c:?}");
    }
}

#[test]
fn first_stale_vector_arrived() {
    let before = scan(&[5], None);
    let after = scan(&[0, 5], Some(0));

    for (vectors, highest_stale, expected) in [
        (&[5][..], None, true),
        (&[0, 5], Some(0), true),
        (&[0, 5], Some(1), false),
        (&[0, 5], Some(5), false),
        (&[0], Some(0), false),
    ] {
        let c = scan(vectors, highest_stale);

        assert_eq!(scan_agrees(&c, &before, &after), expected, "{c:?}");
    }

    // Nothing goes away.
    assert!(!scan_agrees(&after, &after, &before));
    assert!(!scan_agrees(&before, &after, &before));
}

/// One vector more or less, and every other stale vector, is seen.
#[test]
fn any_single_difference_counts() {
    property::check(cases::vms_with_arrivals(), |(case, arrivals)| {
        let (before, after) = (case.scan(), case.with_pending(&arrivals).scan());

        for vector in 0..=u8::MAX {
            let mut c = before;
            let mut words = c.handled.words();
            words[usize::from(vector) / 64] ^= 1 << (vector % 64);
            c.handled = VectorSet::from_words(words);

            let arrived = after.handled.contains(vector) && !before.handled.contains(vector);
            prop_assert_eq!(
                scan_agrees(&c, &before, &after),
                arrived,
                "vector {}",
                vector
            );
        }
        for highest_stale in (0..=u8::MAX).map(Some).chain([None]) {
            let c = Scan {
                highest_stale,
                ..after
            };
            let between =
                highest_stale >= before.highest_stale && highest_stale <= after.highest_stale;
            let reported = highest_stale.is_none_or(|vector| after.handled.contains(vector));

            prop_assert_eq!(
                scan_agrees(&c, &before, &after),
                between && reported,
                "stale {:?}",
                highest_stale
            );
        }
        Ok(())
    });
}

/// KVM looks at the pending vectors again for each route, and interrupts arrive in between.
#[test]
fn agrees_with_kvm_while_interrupts_arrive() {
    property::check(cases::vms_with_arrivals(), |(case, arrivals)| {
        let before = case.scan();
        let after = case.with_pending(&arrivals).scan();
        let c = reference::Scan::routes(&case.arch, &case.table, |step| {
            case.with_pending(&arrivals[..step.min(arrivals.len())])
                .lapic
        });

        prop_assert!(scan_agrees(&cases::result(&c), &before, &after));
        Ok(())
    });
}

const OUTCOMES: [Result<(), SintError>; 4] = [Ok(()), Err(Lowered), Err(NoSynic), Err(Masked)];

#[test]
fn synic_stayed_the_same() {
    for (i, c) in OUTCOMES.into_iter().enumerate() {
        for (j, rust) in OUTCOMES.into_iter().enumerate() {
            assert_eq!(sint_agrees(c, rust, rust), i == j, "C {c:?}, Rust {rust:?}");
        }
    }
}

#[test]
fn synic_changed() {
    for (before, after, right) in [
        // Masked, unmasked, activated, deactivated.
        (Ok(()), Err(Masked), [true, false, false, true]),
        (Err(Masked), Ok(()), [true, false, false, true]),
        (Err(NoSynic), Ok(()), [true, false, true, false]),
        (Ok(()), Err(NoSynic), [true, false, true, false]),
        (Err(NoSynic), Err(Masked), [false, false, true, true]),
        (Err(Masked), Err(NoSynic), [false, false, true, true]),
    ] {
        let found = OUTCOMES.map(|c| sint_agrees(c, before, after));

        assert_eq!(found, right, "before {before:?}, after {after:?}");
    }
}
