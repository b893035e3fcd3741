// SPDX-License-Identifier: GPL-2.0

//! Runs the command. What is expected is from KVM's API and from what a VM has printed.

use proptest::prelude::*;
use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

const COLUMNS: &str = "gsi remark loses_interrupts reason\n";

/// Runs the command on `input`: returns its status, and what it prints and complains about.
fn run(options: &[&str], input: &str) -> (i32, String, String) {
    // CARGO_BIN_EXE_irqroute-lint is no name that a shell lets pass, and rustc may be behind a script.
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new(test.ancestors().nth(2).unwrap().join("irqroute-lint"))
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    // It may end before it has read all.
    let _ = command.stdin.take().unwrap().write_all(input.as_bytes());
    let output = command.wait_with_output().unwrap();

    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Checks the remarks on a VM as JSON, and that the status says whether they lose interrupts.
#[track_caller]
fn expect(json: &str, remarks: &str) {
    let (status, printed, complaints) = run(&[], json);

    assert_eq!(complaints, "");
    assert_eq!(printed, format!("{COLUMNS}{remarks}"));
    assert_eq!(status, i32::from(remarks.contains(" yes ")));
}

#[track_caller]
fn expect_error(options: &[&str], input: &str, complaint: &str) {
    let (status, printed, complaints) = run(options, input);

    assert_eq!((status, printed.as_str()), (2, ""));
    assert!(complaints.contains(complaint), "{complaints}");
}

/// The literal block of the page that begins with `columns`.
fn block(page: &str, columns: &str) -> String {
    page.lines()
        .skip_while(|line| line.trim() != columns)
        .take_while(|line| !line.is_empty())
        .fold(String::new(), |text, line| text + line.trim() + "\n")
}

/// The page has what the module has printed of a VM with each remark.
#[test]
fn agrees_with_the_module() {
    let page = include_str!("../../../../Documentation/observing.rst");
    let routes = block(
        page,
        "gsi type pin vector trigger delivery destination apic_ids vcpus posted remarks",
    );
    let vcpus = block(page, "vcpu what value");
    let remarks = block(page, COLUMNS.trim());

    assert!(routes.lines().count() > 10 && vcpus.lines().count() > 10);
    assert!(remarks.lines().count() > 10);
    for input in [format!("{routes}{vcpus}"), format!("{vcpus}{routes}")] {
        let (status, printed, complaints) = run(&[], &input);

        assert_eq!(complaints, "");
        assert_eq!(printed, remarks);
        assert_eq!(status, 1);
        assert_eq!(run(&["--show", "routes"], &input).1, routes);
    }
}

/// The example of the page prints what it says.
#[test]
fn example_of_the_page() {
    let page = include_str!("../../../../Documentation/lint.rst");
    let json = block(page, "{");

    assert!(json.lines().count() > 10);
    assert_eq!(
        run(&[], &json),
        (1, block(page, COLUMNS.trim()), String::new())
    );
}

const TWO_CPUS: &str = r#""vcpus": [{"id": 0, "mode": "x2apic"}, {"id": 1, "mode": "x2apic"}]"#;

#[test]
fn nothing_is_odd() {
    expect(
        &format!(
            r#"{{"reserved_pins": 24, {TWO_CPUS}, "routes": [
                {{"gsi": 4, "msi": {{"address_lo": "0xfee01000", "data": "0x8034"}}}},
                {{"gsi": 24, "msi": {{"address_lo": "0xfee00000", "data": 53}}}}]}}"#
        ),
        "",
    );
    expect(r#"{"vcpus": [], "routes": []}"#, "");
}

#[test]
fn level_routes_end_with_the_pins() {
    let level = |pins: &str, gsi: u32| {
        format!(
            r#"{{{pins} {TWO_CPUS}, "routes": [
                {{"gsi": {gsi}, "msi": {{"address_lo": "0xfee00000", "data": "0x8034"}}}}]}}"#
        )
    };
    let outside = "level-triggered, but the 24 pins end below: its EOI is not reported\n";

    expect(&level(r#""reserved_pins": 24,"#, 23), "");
    expect(
        &level(r#""reserved_pins": 24,"#, 24),
        &format!("24 level_outside_pins yes {outside}"),
    );
    // No split irqchip.
    expect(&level("", 24), "");
}

#[test]
fn vectors_begin_at_16() {
    for (vector, remarks) in [
        (15, "1 vector_below_16 yes vector 0xf is never delivered\n"),
        (16, ""),
    ] {
        expect(
            &format!(
                r#"{{{TWO_CPUS}, "routes": [
                    {{"gsi": 1, "msi": {{"address_lo": "0xfee00000", "data": {vector}}}}}]}}"#
            ),
            remarks,
        );
    }
}

#[test]
fn an_nmi_loses_nothing() {
    expect(
        &format!(
            r#"{{{TWO_CPUS}, "routes": [
                {{"gsi": 1, "msi": {{"address_lo": "0xfee00000", "data": "0x400"}}}}]}}"#
        ),
        "1 no_vector no delivery mode nmi has no vector, and no EOI\n",
    );
}

#[test]
fn destinations_are_matched_as_kvm_does() {
    // The vCPUs, flags, address_lo and address_hi; and whether somebody is reached.
    let cases = [
        (r#"{"id": 1}"#, "", "0xfee01000", "0x0", true),
        (r#"{"id": 1}"#, "", "0xfee02000", "0x0", false),
        (r#"{"id": 1, "apic_id": 2}"#, "", "0xfee02000", "0x0", true),
        (
            r#"{"id": 1, "logical_id": 4}"#,
            "",
            "0xfee0c004",
            "0x0",
            true,
        ),
        (
            r#"{"id": 1, "logical_id": 4}"#,
            "",
            "0xfee08004",
            "0x0",
            false,
        ),
        (
            r#"{"id": 1, "logical_id": "0x24", "mode": "xapic_cluster"}"#,
            "",
            "0xfee2c004",
            "0x0",
            true,
        ),
        (
            r#"{"id": 1, "logical_id": "0x24", "mode": "xapic_cluster"}"#,
            "",
            "0xfee1c004",
            "0x0",
            false,
        ),
        // High bits of the destination.
        (
            r#"{"id": 257, "mode": "x2apic"}"#,
            "",
            "0xfee01000",
            "0x100",
            false,
        ),
        (
            r#"{"id": 257, "mode": "x2apic"}"#,
            r#""KVM_X2APIC_API_USE_32BIT_IDS""#,
            "0xfee01000",
            "0x100",
            true,
        ),
        // The logical x2APIC ID of 0x101 is 0x100002.
        (
            r#"{"id": 257, "mode": "x2apic"}"#,
            r#""KVM_X2APIC_API_USE_32BIT_IDS""#,
            "0xfee02004",
            "0x100000",
            true,
        ),
        // 0xff is everybody, but not in x2APIC mode without the quirk.
        (
            r#"{"id": 1, "mode": "x2apic"}"#,
            "",
            "0xfeeff000",
            "0x0",
            true,
        ),
        (
            r#"{"id": 1, "mode": "x2apic"}"#,
            r#""KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK""#,
            "0xfeeff000",
            "0x0",
            false,
        ),
        (
            r#"{"id": 1}"#,
            r#""KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK""#,
            "0xfeeff000",
            "0x0",
            true,
        ),
    ];

    for (vcpu, flags, low, high, reached) in cases {
        expect(
            &format!(
                r#"{{"x2apic_api": [{flags}], "vcpus": [{vcpu}], "routes": [{{"gsi": 30, "msi":
                    {{"address_lo": "{low}", "address_hi": "{high}", "data": 64}}}}]}}"#
            ),
            if reached {
                ""
            } else {
                "30 reaches_nobody yes no vCPU accepts the destination\n"
            },
        );
    }
}

#[test]
fn sints() {
    expect(
        r#"{"vcpus": [{"id": 3, "sints": {"2": "0x60"}}, {"id": 4, "vp_index": 9},
            {"id": 5, "sints": {"2": "0x60"}}], "routes": [
            {"gsi": 1, "hv_sint": {"vcpu": 0, "sint": 2}},
            {"gsi": 2, "hv_sint": {"vcpu": 0, "sint": 3}},
            {"gsi": 3, "hv_sint": {"vcpu": 9, "sint": 2}},
            {"gsi": 4, "hv_sint": {"vcpu": 1, "sint": 2}},
            {"gsi": 5, "hv_sint": {"vcpu": 0, "sint": 16}},
            {"gsi": 6, "hv_sint": {"vcpu": 2, "sint": 2}}]}"#,
        "2 sint_masked yes SINT 3 is masked\n\
         3 synic_off yes the SynIC of VP 9 is not active\n\
         4 no_such_vp yes no vCPU has VP index 1\n\
         5 no_such_sint yes there is no SINT 16\n",
    );
}

/// The vCPU whose place it is, if it has that VP index; else the first one that has.
#[test]
fn vp_index_of_several() {
    let vm = |vcpus: &str, vp: u32| {
        format!(
            r#"{{"vcpus": [{vcpus}], "routes": [{{"gsi": 40, "hv_sint": {{"vcpu": {vp}, "sint": 2}}}}]}}"#
        )
    };
    let on =
        |id: u32, vp: u32| format!(r#"{{"id": {id}, "vp_index": {vp}, "sints": {{"2": 96}}}}"#);
    let off = |id: u32, vp: u32| format!(r#"{{"id": {id}, "vp_index": {vp}}}"#);
    let is_off = |vp: u32| format!("40 synic_off yes the SynIC of VP {vp} is not active\n");

    expect(&vm(&[on(0, 1), off(1, 1)].join(","), 1), &is_off(1));
    expect(&vm(&[off(0, 1), on(1, 1)].join(","), 1), "");
    expect(&vm(&[off(0, 7), on(1, 7)].join(","), 7), &is_off(7));
    expect(&vm(&[on(0, 7), off(1, 7)].join(","), 7), "");
    expect(&vm(&on(0, 1023), 1023), "");
    expect_error(&[], &vm(&on(0, 1024), 0), "VP index 1024");
}

#[test]
fn other_targets_are_not_judged() {
    expect(
        r#"{"vcpus": [], "routes": [
            {"gsi": 1, "irqchip": {"irqchip": 0, "pin": 1}},
            {"gsi": 1, "irqchip": {"irqchip": 2, "pin": 1}},
            {"gsi": 2, "xen_evtchn": {"port": 7, "vcpu": 0, "priority": 4294967295}}]}"#,
        "",
    );
}

#[test]
fn full_table() {
    let routes = |nr: u32| {
        let list: Vec<_> = (0..nr)
            .map(|gsi| format!(r#"{{"gsi": {gsi}, "irqchip": {{"irqchip": 2, "pin": 0}}}}"#))
            .collect();

        format!(r#"{{"vcpus": [], "routes": [{}]}}"#, list.join(","))
    };

    expect(&routes(4095), "");
    expect(
        &routes(4096),
        "- table_full no there is no room for another route\n",
    );
    expect_error(&[], &routes(4097), "4097 routes, of 4096 at most");
}

#[test]
fn what_kvm_refuses() {
    let msi = r#""msi": {"address_lo": 0, "data": 64}"#;

    for (input, complaint) in [
        (
            format!(r#"{{"vcpus": [], "routes": [{{"gsi": 1, {msi}}}, {{"gsi": 1, {msi}}}]}}"#),
            "GSI 1: two routes",
        ),
        (
            r#"{"vcpus": [], "routes": [{"gsi": 1, "irqchip": {"irqchip": 2, "pin": 1}},
                {"gsi": 1, "irqchip": {"irqchip": 2, "pin": 2}}]}"#
                .into(),
            "GSI 1: two routes",
        ),
        (
            format!(r#"{{"vcpus": [], "routes": [{{"gsi": 4096, {msi}}}]}}"#),
            "GSI 4096, of 4096",
        ),
        (
            r#"{"x2apic_api": ["KVM_X2APIC_API_USE_32BIT_IDS"], "vcpus": [], "routes": [{"gsi": 1,
                "msi": {"address_lo": 0, "address_hi": 1, "data": 64}}]}"#
                .into(),
            "GSI 1: with 32-bit IDs",
        ),
        (
            r#"{"reserved_pins": 4097, "vcpus": [], "routes": []}"#.into(),
            "4097 reserved pins",
        ),
        (
            r#"{"vcpus": [{"id": 1}, {"id": 2}, {"id": 1}], "routes": []}"#.into(),
            "two vCPUs 1",
        ),
        (
            r#"{"vcpus": [{"id": 4096}], "routes": []}"#.into(),
            "vCPU 4096, of 4096",
        ),
        (
            format!(
                r#"{{"vcpus": [{}], "routes": []}}"#,
                (0..1025).map(|id| format!(r#"{{"id": {id}}}"#)).collect::<Vec<_>>().join(",")
            ),
            "VP index 1024, of 1024",
        ),
        (
            r#"{"vcpus": [], "routes": [{"gsi": 2, "xen_evtchn": {"port": 7, "vcpu": 0, "priority": 0}}]}"#
                .into(),
            "the priority has to be",
        ),
        (
            r#"{"vcpus": [], "routes": [{"gsi": 2, "flags": 1, "hv_sint": {"vcpu": 0, "sint": 0}}]}"#
                .into(),
            "GSI 2: flags 0x1",
        ),
        (
            r#"{"vcpus": [], "routes": [{"gsi": 2, "flags": 2, "msi": {"address_lo": 0, "data": 0}}]}"#
                .into(),
            "GSI 2: flags 0x2",
        ),
        (
            r#"{"reserved_pins": 0, "vcpus": [], "routes": [{"gsi": 1, "irqchip": {"irqchip": 2, "pin": 1}}]}"#
                .into(),
            "GSI 1: no pin 1 of irqchip 2",
        ),
    ] {
        expect_error(&[], &input, complaint);
    }
}

#[test]
fn pins_of_interrupt_controllers() {
    for (chip, pins) in [(0, 8), (1, 8), (2, 24), (3, 0)] {
        let route = |pin: u32| {
            format!(
                r#"{{"vcpus": [], "routes": [{{"gsi": 1, "irqchip": {{"irqchip": {chip}, "pin": {pin}}}}}]}}"#
            )
        };

        if pins > 0 {
            expect(&route(pins - 1), "");
        }
        expect_error(
            &[],
            &route(pins),
            &format!("no pin {pins} of irqchip {chip}"),
        );
    }
}

#[test]
fn what_makes_no_difference() {
    expect(
        r#"{"x2apic_api": ["KVM_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST"],
            "vcpus": [{"id": 4095, "mode": "xapic_reserved", "apic_id": 1}],
            "routes": [{"gsi": 1, "flags": 1,
                "msi": {"address_lo": "0xfee01000", "data": 64, "devid": 7}}]}"#,
        "",
    );
}

/// Files that were cut short, or are not of one VM.
#[test]
fn files_are_whole() {
    let routes = "gsi type pin vector trigger delivery destination apic_ids vcpus posted remarks\n\
                  4 msi yes 0x34 level fixed physical:0x1 1 1 - -\n";
    let vcpus =
        "vcpu what value\n1 apic_id 1\n1 mode x2apic\n1 logical_id 0x2\n1 enabled yes\n1 eoi_exit 0x34 gsis 4\n\
                 1 requested -\n1 in_service -\n1 vp_index 0\n1 synic on\n";
    let files = format!("{routes}{vcpus}");

    assert_eq!(run(&[], &files), (0, COLUMNS.into(), String::new()));
    assert_eq!(run(&[], &files.replace('\n', "\r\n")).0, 0);
    for end in 1..files.len() {
        // Here are the routes, and no vCPU.
        if end != routes.len() + "vcpu what value\n".len() {
            assert_eq!(run(&[], &files[..end]).0, 2, "{}", &files[..end]);
        }
    }

    for (options, input, complaint) in [
        (
            &[][..],
            format!("{files}{vcpus}"),
            "line 13: this file was read before",
        ),
        (
            &[],
            format!("{files}1 mode x2apic\n"),
            "line 13: this was said before",
        ),
        (
            &["--reserved-pins", "4"],
            files.clone(),
            "GSI 4 is a pin, of 4 reserved ones",
        ),
        (
            &[],
            files.replace(
                "\nvcpu",
                "\n3 msi no 0x34 level fixed physical:0x1 - - - -\nvcpu",
            ),
            "GSI 3 is no pin, of 5 reserved ones",
        ),
        (
            &[],
            files.replace("\nvcpu", "\n9 xen yes - - - port:1 - - - -\nvcpu"),
            "line 3: 'yes' is unknown",
        ),
        (
            &[],
            format!("{files}1 sint 16 masked gsis 7\n"),
            "line 13: SINT 16",
        ),
        (
            &[],
            files.replace("apic_id 1", "apic_id +1"),
            "line 4: '+1' is unknown",
        ),
    ] {
        expect_error(options, &input, complaint);
    }
}

#[test]
fn what_makes_no_sense() {
    for (input, complaint) in [
        ("", "neither JSON, nor"),
        ("vcpu what value\n", "the routes are missing"),
        (
            "gsi type pin vector trigger delivery destination apic_ids vcpus posted remarks\n",
            "the vCPUs are missing",
        ),
        ("what\n", "line 1: neither JSON, nor"),
        (
            "gsi type destination event_id device_id remarks\n",
            "of x86",
        ),
        ("{", "EOF"),
        (r#"{"vcpus": []}"#, "missing field `routes`"),
        (
            r#"{"vcpus": [], "routes": [], "pins": 1}"#,
            "unknown field `pins`",
        ),
        (r#"{"vcpus": [], "routes": [{"gsi": 1}]}"#, "GSI 1: no msi"),
        (
            r#"{"vcpus": [], "routes": [{"gsi": 1, "irqchip": {"irqchip": 2, "pin": 1},
                "hv_sint": {"vcpu": 0, "sint": 0}}]}"#,
            "GSI 1: more than one target",
        ),
        (r#"{"vcpus": [], "routes": [{"gsi": -1}]}"#, "32 bits"),
        (
            r#"{"vcpus": [], "routes": [{"gsi": 4294967296}]}"#,
            "32 bits",
        ),
        (r#"{"vcpus": [{"id": "1"}], "routes": []}"#, "32 bits"),
        (
            r#"{"vcpus": [{"id": 1, "apic_id": 256}], "routes": []}"#,
            "8 bits",
        ),
        (
            r#"{"vcpus": [{"id": 1, "mode": "x2apic", "apic_id": 2}], "routes": []}"#,
            "in mode x2apic",
        ),
        (
            r#"{"vcpus": [{"id": 1, "sints": {"16": 1}}], "routes": []}"#,
            "SINT 16",
        ),
        (
            "vcpu what value\n0 colour red\n",
            "line 2: 'colour' is unknown",
        ),
        (
            "vcpu what value\n0 sint 2 vector 0x60 gsis -\n",
            "line 2: SINT 2",
        ),
        (
            "gsi type pin vector trigger delivery destination apic_ids vcpus posted remarks\n1 msi yes\n",
            "line 2: a route has 11 columns",
        ),
    ] {
        expect_error(&[], input, complaint);
    }
    expect_error(
        &["--no-broadcast-quirk"],
        "{}",
        "JSON has fields for what the options say",
    );
    expect_error(&["-x"], "", "no option '-x'");
    expect_error(&["--colour"], "", "no option '--colour'");
    expect_error(&["--show", "colours"], "", "no listing 'colours'");
    expect_error(&["--reserved-pins", "many"], "", "reserved pins 'many'");
    expect_error(&["--reserved-pins", "4097"], "", "4097 reserved pins");
    expect_error(&["/nonexistent"], "", "/nonexistent: ");
}

/// Routes that mean nobody, and vCPUs that take nothing.
#[test]
fn files_show_who_takes_nothing() {
    let routes = "gsi type pin vector trigger delivery destination apic_ids vcpus posted remarks\n\
                  4 msi yes - - - unset - - - -\n\
                  5 msi yes 0x35 edge fixed invalid - - - reaches_nobody\n\
                  6 msi yes 0x36 edge fixed physical:0x1 1 1 - -\n\
                  7 msi yes 0x00 edge nmi physical:0x1 1 1 - no_vector\n";
    let invalid = "5 reaches_nobody yes no vCPU accepts the destination\n";
    let disabled = "6 reaches_nobody yes no vCPU accepts the destination\n";
    let nmi = "7 no_vector no delivery mode nmi has no vector, and no EOI\n";
    let nmi_to_nobody = "7 reaches_nobody yes no vCPU accepts the destination\n";

    for (enabled, remarks) in [
        ("yes", vec![invalid, nmi]),
        ("no:spiv", vec![invalid, disabled, nmi]),
        ("no:apic_base", vec![invalid, disabled, nmi, nmi_to_nobody]),
    ] {
        let files = format!(
            "{routes}vcpu what value\n1 apic_id 1\n1 mode x2apic\n1 logical_id 0x2\n\
             1 enabled {enabled}\n1 vp_index 0\n1 synic off\n"
        );

        assert_eq!(
            run(&[], &files),
            (1, COLUMNS.to_string() + &remarks.concat(), String::new())
        );
    }
}

/// Files do not show what was set by KVM_CAP_X2APIC_API and KVM_CAP_SPLIT_IRQCHIP.
#[test]
fn options_say_what_files_do_not() {
    let files = "gsi type pin vector trigger delivery destination apic_ids vcpus posted remarks\n\
                 4 msi yes 0x34 level fixed physical:0xff - - - -\n\
                 30 msi no 0x35 level fixed physical:0x1 - - - -\n\
                 vcpu what value\n1 apic_id 1\n1 mode x2apic\n1 logical_id 0x2\n1 enabled yes\n\
                 1 vp_index 0\n1 synic off\n";
    let outside = |pins| {
        format!("30 level_outside_pins yes level-triggered, but the {pins} pins end below: its EOI is not reported\n")
    };
    let nobody = "4 reaches_nobody yes no vCPU accepts the destination\n";

    for (options, remarks) in [
        (&[][..], outside(5)),
        (&["--reserved-pins", "24"], outside(24)),
        (&["--no-broadcast-quirk"], nobody.to_string() + &outside(5)),
    ] {
        assert_eq!(
            run(options, files),
            (
                i32::from(!remarks.is_empty()),
                format!("{COLUMNS}{remarks}"),
                String::new()
            )
        );
    }
}

/// A VM with random vCPUs and routes, whose reserved pins and whose quirk are known.
fn vms() -> impl Strategy<Value = (u32, bool, String)> {
    let vcpu = (0..4usize, any::<u8>(), any::<bool>(), 0..18u32, 0..5u32);
    let route = (0..6u8, any::<u8>(), any::<u16>(), 0..4u32, 0..18u32);

    (
        0..8u32,
        any::<[bool; 2]>(),
        prop::collection::vec(vcpu, 0..5),
        prop::collection::vec(route, 0..8),
    )
        .prop_map(|(pins, [wide, no_quirk], vcpus, routes)| {
            let mut flags = Vec::new();
            let mut text = String::new();

            if wide {
                flags.push(r#""KVM_X2APIC_API_USE_32BIT_IDS""#);
            }
            if no_quirk {
                flags.push(r#""KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK""#);
            }
            for (id, (mode, logical, synic, sint, vp_index)) in (0..).zip(vcpus) {
                let mode = ["x2apic", "xapic_flat", "xapic_cluster", "xapic_reserved"][mode];
                let separator = if id == 0 { "" } else { "," };

                write!(text, r#"{separator}{{"id": {id}, "mode": "{mode}""#).unwrap();
                if mode != "x2apic" {
                    write!(text, r#", "logical_id": {logical}"#).unwrap();
                }
                if vp_index != 4 {
                    write!(text, r#", "vp_index": {vp_index}"#).unwrap();
                }
                if synic && sint < 16 {
                    write!(text, r#", "sints": {{"{sint}": {logical}}}"#).unwrap();
                }
                text.push('}');
            }

            let routes: Vec<_> = (0..)
                .zip(routes)
                .map(|(gsi, (kind, mda, data, vp, sint))| {
                    let target = match kind {
                        0 => format!(r#""hv_sint": {{"vcpu": {vp}, "sint": {sint}}}"#),
                        1 => format!(
                            r#""xen_evtchn": {{"port": {sint}, "vcpu": 0, "priority": "0xffffffff"}}"#
                        ),
                        _ => format!(
                            r#""msi": {{"address_lo": {}, "address_hi": {}, "data": {}}}"#,
                            // Small IDs, which vCPUs have; now and then everybody.
                            0xfee0_0000
                                | u32::from(if mda > 0xc0 { 0xff } else { mda & 7 }) << 12
                                | u32::from(mda >> 3 & 1) << 2,
                            if mda & 0x70 == 0 { 0x100 } else { 0 },
                            // Vectors that are used twice.
                            data & 0x8713,
                        ),
                    };

                    format!(r#"{{"gsi": {gsi}, {target}}}"#)
                })
                .collect();

            (
                pins,
                no_quirk,
                format!(
                    r#"{{"reserved_pins": {pins}, "x2apic_api": [{}], "vcpus": [{text}], "routes": [{}]}}"#,
                    flags.join(","),
                    routes.join(",")
                ),
            )
        })
}

/// What is listed of a VM leads to the same remarks as the VM.
#[test]
fn listings_can_be_read_again() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0),
        ..ProptestConfig::default()
    });
    let seen = std::cell::Cell::new(0);

    runner
        .run(&vms(), |(pins, no_quirk, json)| {
            let listed = run(&["--show", "routes"], &json).1 + &run(&["--show", "vcpus"], &json).1;
            let pins = pins.to_string();
            let mut options = vec!["--reserved-pins", &pins];

            if no_quirk {
                options.push("--no-broadcast-quirk");
            }
            let from_json = run(&[], &json);

            prop_assert_eq!(&from_json.2, "");
            prop_assert_eq!(run(&options, &listed), from_json.clone());
            seen.set(seen.get() + from_json.1.lines().count() - 1);
            Ok(())
        })
        .unwrap();
    assert!(seen.get() > 100, "{} remarks", seen.get());
}
