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

use routing::x86::apic::BroadcastQuirk;
use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, ErrorKind, Read, Write},
    path::PathBuf,
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
    paths: Vec<PathBuf>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut arguments = Self {
            listing: Listing::Remarks,
            settings: shown::Settings::default(),
            paths: Vec::new(),
        };

        while let Some(word) = words.next() {
            let mut value = || {
                let value = words.next().unwrap_or_default();

                value.to_string_lossy().into_owned()
            };

            match word.to_str() {
                Some("--show") => {
                    let name = value();

                    arguments.listing =
                        Listing::new(&name).ok_or_else(|| format!("no listing '{name}'"))?;
                }
                Some("--reserved-pins") => {
                    let number = value();
                    let pins = number
                        .parse()
                        .map_err(|error| format!("reserved pins '{number}': {error}"))?;

                    arguments.settings.reserved_pins = Some(vm::reserved_pins(pins)?);
                }
                Some("--no-broadcast-quirk") => {
                    arguments.settings.quirk = BroadcastQuirk::Off;
                }
                Some(option) if option.starts_with('-') => {
                    return Err(format!("no option '{option}'\n{USAGE}"));
                }
                _ => arguments.paths.push(word.into()),
            }
        }
        Ok(arguments)
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Appends what `source` has to `text`, if its last line is complete.
fn append(text: &mut String, name: &str, mut source: impl Read) -> Result<(), String> {
    source
        .read_to_string(text)
        .map_err(|error| format!("{name}: {error}"))?;
    if !(is_json(text) || text.is_empty() || text.ends_with('\n')) {
        return Err(format!("{name}: the last line has no end"));
    }
    Ok(())
}

fn read(paths: &[PathBuf]) -> Result<String, String> {
    let mut text = String::new();

    if paths.is_empty() {
        append(&mut text, "standard input", io::stdin())?;
    }
    for path in paths {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;

        append(&mut text, &name, file)?;
    }
    Ok(text)
}

fn parse(text: &str, settings: &shown::Settings) -> Result<Vm, String> {
    if is_json(text) {
        if *settings != shown::Settings::default() {
            return Err("JSON has fields for what the options say".into());
        }
        json::parse(text)
    } else {
        shown::parse(text, settings)
    }
}

/// Prints a text, as far as somebody reads it.
fn print(text: &str) -> Result<(), String> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Does what the command line asks for, and tells whether a route loses interrupts.
fn run() -> Result<bool, String> {
    if env::args_os().any(|word| word == "--help" || word == "-h") {
        return print(USAGE).map(|()| false);
    }

    let arguments = Arguments::parse(env::args_os().skip(1))?;
    let vm = parse(&read(&arguments.paths)?, &arguments.settings)?;

    print(&vm.list(arguments.listing))?;
    Ok(vm.loses_interrupts())
}

fn main() -> ExitCode {
    match run() {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(1),
        Err(error) => {
            eprintln!("irqroute-lint: {error}");
            ExitCode::from(2)
        }
    }
}
