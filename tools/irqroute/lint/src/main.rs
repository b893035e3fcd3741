// SPDX-License-Identifier: GPL-2.0

//! Says what is odd about the interrupt routes of an x86 VM: the remarks of kvm_irqroute, by the same
//! code, on a host that needs neither the module nor KVM. For the tests of VMMs, and for files that
//! somebody has sent. Documentation/lint.rst has the formats.

// The module uses the rest.
#[allow(dead_code)]
#[path = "../../../../rust/routing/mod.rs"]
mod routing;

mod json;
mod shown;
mod vm;

use std::{
    env,
    fs::File,
    io::{self, Read, Write},
    process::ExitCode,
};
use vm::{Listing, Vm};

const USAGE: &str = "\
usage: irqroute-lint [OPTION]... [FILE]...

Says what is odd about the routes of an x86 VM. FILEs, or the standard input, are a table with its vCPUs as
JSON, or what the files routes and vcpus of a VM show, one after the other.

  --show LISTING    remarks (default), routes or vcpus, as the files of that name
  --reserved-pins N         of files: args[0] of KVM_CAP_SPLIT_IRQCHIP, else as many as routes tell
  --no-broadcast-quirk      of files: KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK is set

Ends with 1 if a route loses interrupts, with 2 if what is read makes no sense.
";

/// What the command line asks for.
struct Arguments {
    listing: Listing,
    settings: shown::Settings,
    paths: Vec<String>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            listing: Listing::Remarks,
            settings: shown::Settings::default(),
            paths: Vec::new(),
        };

        while let Some(word) = words.next() {
            match word.as_str() {
                "--show" => {
                    let name = words.next().unwrap_or_default();

                    arguments.listing =
                        Listing::new(&name).ok_or_else(|| format!("no listing '{name}'"))?;
                }
                "--reserved-pins" => {
                    let number = words.next().unwrap_or_default();
                    let pins = number
                        .parse()
                        .map_err(|error| format!("reserved pins '{number}': {error}"))?;

                    arguments.settings.reserved_pins = Some(vm::reserved_pins(pins)?);
                }
                "--no-broadcast-quirk" => arguments.settings.broadcast_quirk = false,
                _ if word.starts_with("--") => return Err(format!("no option '{word}'\n{USAGE}")),
                _ => arguments.paths.push(word),
            }
        }
        Ok(arguments)
    }
}

fn read(paths: &[String]) -> Result<String, String> {
    let mut text = String::new();

    if paths.is_empty() {
        io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| format!("standard input: {error}"))?;
    }
    for path in paths {
        File::open(path)
            .and_then(|mut file| file.read_to_string(&mut text))
            .map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(text)
}

fn parse(text: &str, settings: &shown::Settings) -> Result<Vm, String> {
    if text.trim_start().starts_with('{') {
        json::parse(text)
    } else {
        shown::parse(text, settings)
    }
}

/// Prints what is asked for, and tells whether a route loses interrupts.
fn lint(arguments: &Arguments) -> Result<bool, String> {
    let vm = parse(&read(&arguments.paths)?, &arguments.settings)?;

    io::stdout()
        .write_all(vm.list(arguments.listing).as_bytes())
        .map_err(|error| format!("standard output: {error}"))?;
    Ok(vm.loses_interrupts())
}

fn main() -> ExitCode {
    let words = env::args().skip(1);

    if env::args().any(|word| word == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match Arguments::parse(words).and_then(|arguments| lint(&arguments)) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(1),
        Err(error) => {
            eprintln!("irqroute-lint: {error}");
            ExitCode::from(2)
        }
    }
}
