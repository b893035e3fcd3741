// SPDX-License-Identifier: GPL-2.0

//! Which table takes the place of another one.

use super::routing::{arm64::table::is_taken, Origin, Parity};

#[test]
fn default_routes_do_not_replace_those_of_userspace() {
    for userspace_has_set in [false, true] {
        for parity in [Parity::On, Parity::Off] {
            assert!(is_taken(Origin::Userspace, userspace_has_set, parity));
        }
        assert!(is_taken(Origin::Default, userspace_has_set, Parity::On));
        assert_eq!(
            is_taken(Origin::Default, userspace_has_set, Parity::Off),
            !userspace_has_set
        );
    }
}
