//! The tables of creates, execs and memory, each beside the bare hypervisor.

use std::time::Duration;

use crate::memory::Memory;
use crate::sample::Sample;
use crate::{Arguments, create, crowd, floor};

/// How many turns the runs are made in.
const TURNS: usize = 5;

pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let &Arguments { ref data, runs, at_once, network_pool: pool, .. } = arguments;
    let (mut cold, mut warm) = (create::Create::default(), create::Create::default());
    let (mut restore, mut exec) = (Sample::default(), Sample::default());
    // In turns, for how fast a machine is changes from minute to minute. The server bakes
    // what is missing; the floor restores the same files after it.
    for _ in 0..TURNS {
        let runs = runs.div_ceil(TURNS);
        cold.extend(create::measure(data, pool, "0", runs).await?);
        warm.extend(create::measure(data, pool, "4", runs).await?);
        let floor = floor::measure(data, pool, runs, 0).await?;
        restore.extend(floor.restore);
        exec.extend(floor.exec);
    }
    let cold_crowd = crowd::measure(data, pool, "0", at_once).await?;
    let warm_crowd = crowd::measure(data, pool, "32", at_once).await?;
    let floor = floor::measure(data, pool, 0, at_once).await?;

    heading(&format!("one after another, n={runs}"));
    row("bare hypervisor: files to `ready` (the floor)", &restore, &restore);
    for (what, measured) in [("warm slots", &warm), ("no warm slots", &cold)] {
        for (step, sample) in measured.rows() {
            row(&format!("{what}: {step}"), sample, &restore);
        }
    }
    println!();
    heading("exec of `true`, not the first of its machine");
    row("the agent asked directly (the floor)", &exec, &exec);
    row("through the API", &warm.exec, &exec);
    println!();
    heading(&format!("{at_once} at once"));
    row("bare hypervisor: each (the floor)", &floor.crowd, &floor.crowd);
    row("warm slots: each create, through the API", &warm_crowd.creates, &floor.crowd);
    row("no warm slots: each create, through the API", &cold_crowd.creates, &floor.crowd);
    let all = |what: &str, span: Duration| {
        let ratio = span.as_secs_f64() / floor.crowd_all.as_secs_f64();
        println!("| {what}: until the last | {:.1} | | {ratio:.2} |", span.as_secs_f64() * 1e3);
    };
    all("bare hypervisor", floor.crowd_all);
    all("warm slots", warm_crowd.all);
    all("no warm slots", cold_crowd.all);
    println!();
    println!(
        "| memory of an idle VMM, mean of {at_once} | resident MiB | proportional MiB | private MiB |"
    );
    println!("| --- | --- | --- | --- |");
    for (what, memory) in [("bare hypervisor", &floor.memory), ("Pando", &warm_crowd.memory)] {
        let [resident, proportional, private] = Memory::mean_mib(memory);
        println!("| {what} | {resident:.1} | {proportional:.1} | {private:.1} |");
    }
    Ok(())
}

fn heading(what: &str) {
    println!("| {what} | p50 ms | p99 ms | p50 / floor |");
    println!("| --- | --- | --- | --- |");
}

fn row(what: &str, sample: &Sample, floor: &Sample) {
    println!(
        "| {what} | {:.1} | {:.1} | {:.2} |",
        sample.percentile(50),
        sample.percentile(99),
        sample.percentile(50) / floor.percentile(50)
    );
}
