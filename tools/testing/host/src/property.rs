// SPDX-License-Identifier: GPL-2.0

//! How properties are run.

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngSeed, TestCaseResult, TestRunner},
};

/// How many times proptest's usual number of cases a property is tried.
///
/// A case costs microseconds, and the rarer classes of cases want thousands.
const CASES_FACTOR: u32 = 16;

/// How many values show what a strategy generates.
const SAMPLE_SIZE: usize = 4096;

/// Checks that `property` holds for the values of `strategy`.
#[track_caller]
pub(crate) fn check<S: Strategy>(strategy: S, property: impl Fn(S::Value) -> TestCaseResult) {
    let mut config = Config {
        // A failure prints its smallest case. The source tree stays as it is.
        failure_persistence: None,
        ..Config::default()
    };

    config.cases *= CASES_FACTOR;
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(0);
    }

    if let Err(error) = TestRunner::new(config).run(&strategy, property) {
        panic!("{error}");
    }
}

/// Returns values of `strategy`, for a look at how they are distributed.
pub(crate) fn sample<S: Strategy>(strategy: S) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    let mut value = || strategy.new_tree(&mut runner).map(|tree| tree.current());

    (0..SAMPLE_SIZE)
        .map(|_| value().expect("no strategy rejects values"))
        .collect()
}
