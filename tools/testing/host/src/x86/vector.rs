// SPDX-License-Identifier: GPL-2.0

//! Sets of vectors.

use super::{
    property,
    routing::x86::vector::{VectorSet, NR_VECTORS},
};
use proptest::{array, bits, num, prop_assert_eq};
use std::collections::BTreeSet;

/// Vectors around the boundaries of registers and words.
const EDGES: [u8; 14] = [0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 191, 192, 254, 255];

fn set(vectors: impl IntoIterator<Item = u8>) -> VectorSet {
    let mut set = VectorSet::EMPTY;

    for vector in vectors {
        set.insert(vector);
    }

    set
}

/// Returns the vectors of a set as `contains` tells them.
fn members(set: &VectorSet) -> BTreeSet<u8> {
    (0..=u8::MAX)
        .filter(|&vector| set.contains(vector))
        .collect()
}

#[test]
fn counts_the_vectors_of_x86() {
    assert_eq!(NR_VECTORS, usize::from(u8::MAX) + 1);
}

#[test]
fn empty_set_has_no_vectors() {
    assert_eq!(members(&VectorSet::EMPTY), BTreeSet::new());
    assert_eq!(VectorSet::EMPTY.words(), [0; 4]);
    assert_eq!(VectorSet::default(), VectorSet::EMPTY);
}

#[test]
fn vector_has_its_place_in_the_words() {
    const LOW: u64 = 1;
    const HIGH: u64 = 1 << 63;

    for (vector, words) in [
        (0, [LOW, 0, 0, 0]),
        (1, [2, 0, 0, 0]),
        (63, [HIGH, 0, 0, 0]),
        (64, [0, LOW, 0, 0]),
        (127, [0, HIGH, 0, 0]),
        (128, [0, 0, LOW, 0]),
        (191, [0, 0, HIGH, 0]),
        (192, [0, 0, 0, LOW]),
        (255, [0, 0, 0, HIGH]),
    ] {
        assert_eq!(set([vector]).words(), words, "vector {vector}");
        assert_eq!(
            VectorSet::from_words(words),
            set([vector]),
            "vector {vector}"
        );
    }
}

#[test]
fn vector_has_its_place_in_the_registers() {
    for vector in 0..=u8::MAX {
        let mut registers = [0; 8];
        registers[usize::from(vector) / 32] = 1 << (vector % 32);

        let pending = VectorSet::from_registers(&registers);
        assert_eq!(members(&pending), BTreeSet::from([vector]));
    }
}

#[test]
fn insert_adds_one_vector() {
    for vector in 0..=u8::MAX {
        assert_eq!(members(&set([vector])), BTreeSet::from([vector]));

        // All others are already there.
        let mut others = set((0..=u8::MAX).filter(|&other| other != vector));
        assert!(!others.contains(vector), "vector {vector}");
        others.insert(vector);
        assert_eq!(others.words(), [u64::MAX; 4], "vector {vector}");
        // Inserting twice does not take it out.
        others.insert(vector);
        assert_eq!(others.words(), [u64::MAX; 4], "vector {vector}");
    }
}

#[test]
fn subset_and_union_of_edges() {
    for a in EDGES {
        assert!(VectorSet::EMPTY.is_subset(&set([a])), "{a}");
        assert!(!set([a]).is_subset(&VectorSet::EMPTY), "{a}");
        assert_eq!(set([a]).union(&VectorSet::EMPTY), set([a]), "{a}");

        for b in EDGES {
            let both = BTreeSet::from([a, b]);

            assert_eq!(members(&set([a]).union(&set([b]))), both, "{a} {b}");
            assert_eq!(set([a]).is_subset(&set([b])), a == b, "{a} {b}");
            assert!(set([a]).is_subset(&set([a, b])), "{a} {b}");
            assert_eq!(set([a, b]).is_subset(&set([a])), a == b, "{a} {b}");
        }
    }
}

#[test]
fn intersection_and_difference_of_edges() {
    for a in EDGES {
        for b in EDGES {
            let (one, other) = (set([a]), set([b]));
            let both = set([a, b]);
            let same = BTreeSet::from_iter((a == b).then_some(a));
            let apart = BTreeSet::from_iter((a != b).then_some(a));

            assert_eq!(members(&one.intersection(&other)), same, "{a} {b}");
            assert_eq!(both.intersection(&one), one, "{a} {b}");
            assert_eq!(members(&one.difference(&other)), apart, "{a} {b}");
            assert_eq!(members(&both.difference(&other)), apart, "{a} {b}");
            assert!(one.difference(&both).is_empty(), "{a} {b}");
        }
    }
}

#[test]
fn emptiness_and_highest_of_one_and_two() {
    assert!(VectorSet::EMPTY.is_empty());
    assert_eq!(VectorSet::EMPTY.highest(), None);

    for a in 0..=u8::MAX {
        assert!(!set([a]).is_empty(), "{a}");
        for b in 0..=u8::MAX {
            assert_eq!(set([a, b]).highest(), Some(a.max(b)), "{a} {b}");
        }
    }
}

#[test]
fn registers_are_halves_of_words() {
    property::check(array::uniform8(num::u32::ANY), |registers| {
        let bytes: Vec<u8> = registers.iter().flat_map(|r| r.to_le_bytes()).collect();
        let words: Vec<u64> = bytes
            .chunks(8)
            .map(|word| u64::from_le_bytes(word.try_into().expect("32 bytes in all")))
            .collect();

        let pending = VectorSet::from_registers(&registers);
        prop_assert_eq!(&pending.words()[..], &words[..]);
        Ok(())
    });
}

#[test]
fn sets_behave_like_sets() {
    let words = || array::uniform4(num::u64::ANY);
    // Few vectors, or one set is hardly ever a subset of another.
    let sparse = || array::uniform4(bits::u64::masked(0x8000_0000_0000_0001));

    fn check((a, b): ([u64; 4], [u64; 4])) -> proptest::test_runner::TestCaseResult {
        let (a, b) = (VectorSet::from_words(a), VectorSet::from_words(b));

        prop_assert_eq!(a == b, members(&a) == members(&b));
        prop_assert_eq!(members(&a.union(&b)), &members(&a) | &members(&b));
        prop_assert_eq!(members(&a.intersection(&b)), &members(&a) & &members(&b));
        prop_assert_eq!(members(&a.difference(&b)), &members(&a) - &members(&b));
        prop_assert_eq!(a.is_empty(), members(&a).is_empty());
        prop_assert_eq!(a.highest(), members(&a).last().copied());
        prop_assert_eq!(a.is_subset(&b), members(&a).is_subset(&members(&b)));
        Ok(())
    }

    property::check((words(), words()), check);
    property::check((sparse(), sparse()), check);
}
