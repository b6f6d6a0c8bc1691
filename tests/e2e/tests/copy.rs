//! Copying and waking a machine, as the guest sees it.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use pando_e2e::bare::{Bare, BareMachine, copy};
use pando_guest_protocol::control::{FROZEN_LIMIT, ToGuest, ToHost, Who};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const WORKLOAD: &str = include_str!("copy/workload.py");

/// The processes, the kernel's own left out, that are not in the workload's group.
const OUTSIDE: &str = "for process in /proc/[0-9]*; do
    test \"$(tr -d '\\0' < $process/cmdline 2>/dev/null)\" || continue
    grep -q ^0::/workload $process/cgroup 2>/dev/null || echo $process
done";

/// One tick of the workload.
#[derive(Debug, Clone)]
struct Tick {
    number: u64,
    wall: f64,
    monotonic: f64,
    drawn: Vec<String>,
}

/// A machine whose workload is under way.
async fn busy_machine(bare: &mut Bare) -> anyhow::Result<BareMachine> {
    let machine = bare.machine().await?;
    machine.write("/tmp/workload.py", WORKLOAD).await?;
    machine.start(&["python3", "/tmp/workload.py"]).await?;
    until(&machine, "test $(wc -l < /tmp/loop) -ge 5").await?;
    Ok(machine)
}

/// Waits in the guest until a shell condition holds.
async fn until(machine: &BareMachine, condition: &str) -> anyhow::Result<()> {
    let wait = format!("for i in $(seq 300); do {condition} && exit; sleep 0.1; done; exit 1");
    machine.sh(&wait).await.map(drop)
}

/// All ticks so far, once there are more than `least`.
async fn ticks(machine: &BareMachine, least: usize) -> anyhow::Result<Vec<Tick>> {
    until(machine, &format!("test $(wc -l < /tmp/ticks) -gt {least}")).await?;
    let text = machine.sh("cat /tmp/ticks").await?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| parse(line).with_context(|| line.to_owned())).collect()
}

fn parse(line: &str) -> anyhow::Result<Tick> {
    let value: Value = serde_json::from_str(line)?;
    let drawn = value["drawn"].as_array().context("nothing drawn")?;
    Ok(Tick {
        number: value["number"].as_u64().context("no number")?,
        wall: value["wall"].as_f64().context("no time")?,
        monotonic: value["monotonic"].as_f64().context("no time")?,
        drawn: drawn.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
    })
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

async fn echoes(stream: &mut TcpStream, byte: u8) -> anyhow::Result<()> {
    stream.write_all(&[byte]).await?;
    let mut back = [0];
    tokio::time::timeout(Duration::from_secs(30), stream.read_exact(&mut back)).await??;
    ensure!(back == [byte], "it said {back:?}");
    Ok(())
}

/// What a machine was saved from went on in it, and only what was connected to
/// elsewhere is cut.
async fn went_on(machine: &BareMachine, saved: &[Tick]) -> anyhow::Result<Vec<Tick>> {
    let ticks = ticks(machine, saved.len() + 20).await?;
    for (index, tick) in ticks.iter().enumerate() {
        ensure!(tick.number == index as u64, "tick {index} says {}", tick.number);
    }
    // The connection from elsewhere ended in an error, and did not hang.
    until(machine, "test -s /tmp/cut").await?;
    let cut = machine.sh("cat /tmp/cut").await?;
    ensure!(
        ["ConnectionAbortedError", "ConnectionResetError"].contains(&cut.as_str()),
        "it ended as: {cut}"
    );
    // Loopback lives, and the listener too.
    let dots: usize = machine.sh("wc -l < /tmp/loop").await?.parse()?;
    until(machine, &format!("test $(wc -l < /tmp/loop) -gt {dots}")).await?;
    echoes(&mut machine.connect(8000).await?, b'n').await?;
    Ok(ticks)
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_on_as_machines_of_their_own() -> anyhow::Result<()> {
    let mut bare = Bare::start().await?;
    let mut parent = busy_machine(&mut bare).await?;
    let mut from_elsewhere = parent.connect(8000).await?;
    echoes(&mut from_elsewhere, b'a').await?;
    let session = parent.open_python().await?;
    parent.cell(&session, "x = 41").await?;
    let talk = "echo $$; i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done";
    let mut watched = parent.watch(talk).await?;
    let talker = watched.next().await?.lines().next().unwrap_or_default().to_owned();

    // Whatever the agent starts can be held: nothing but the agent is outside.
    let outside = parent.sh(OUTSIDE).await?;
    ensure!(outside == "/proc/1", "outside of the workload: {outside}");

    let image = parent.save().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    parent.go_on().await?;

    // The parent notices nothing.
    for _ in 0..5 {
        ensure!(watched.next().await?.contains("tick"), "the command says something else");
    }
    echoes(&mut from_elsewhere, b'b').await?;
    let in_parent = ticks(&parent, 0).await?;
    // It stood still for as long as it was paused, and it was told so.
    let (before, after) = leap(&in_parent).context("no pause was seen")?;
    let saved = in_parent[..=before].to_vec();
    ensure!(in_parent[after].wall - now() < 1.0, "its clock is ahead");

    let mut drawn: HashSet<String> = HashSet::new();
    let mut names = HashSet::new();
    for name in ["one", "two"] {
        let child = bare.restore(&image, copy(name)).await?;
        let asked = now();
        let told: f64 = child.sh("date +%s.%N").await?.parse()?;
        ensure!(asked - 0.5 < told && told < now() + 0.5, "its clock says {told} after {asked}");
        let ticks = went_on(&child, &saved).await?;
        ensure!(ticks[before].drawn == saved[before].drawn, "it has another past");
        drawn_anew(&mut drawn, &ticks[after..])?;
        ensure!(child.sh("hostname").await? == name, "its name");
        names.insert(child.sh("cat /etc/machine-id").await?);
        // A new process draws other numbers too.
        let fresh = child.sh("head -c 16 /dev/urandom | md5sum").await?;
        ensure!(drawn.insert(fresh), "the kernel's numbers repeat");
        let cell = child.cell(&session, "x + 1").await?;
        ensure!(cell.results.contains("\"42\""), "the session says {cell:?}");
        // What the parent's host watches goes on here unwatched, and is kept.
        child.sh(&format!("kill -0 {talker}")).await?;
        let said = child.logged().await?.len();
        let mut tries = 0..100;
        while child.logged().await?.len() <= said {
            tries.next().context("it says nothing")?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        child.end().await?;
    }
    let went_on = ticks(&parent, in_parent.len()).await?;
    drawn_anew(&mut drawn, &went_on[after..])?;
    names.insert(parent.sh("cat /etc/machine-id").await?);
    ensure!(names.len() == 3, "machine ids: {names:?}");
    echoes(&mut from_elsewhere, b'c').await?;
    parent.end().await?;
    bare.finish().await
}

/// Nothing that was drawn after a leap was drawn before. The first tick may have drawn
/// its numbers already when it was frozen.
fn drawn_anew(drawn: &mut HashSet<String>, ticks: &[Tick]) -> anyhow::Result<()> {
    for text in ticks.iter().skip(1).flat_map(|tick| &tick.drawn) {
        ensure!(drawn.insert(text.clone()), "{text} was drawn twice");
    }
    Ok(())
}

/// The ticks around the longest time that the wall clock shows between two.
fn leap(ticks: &[Tick]) -> Option<(usize, usize)> {
    let gap = |index: &usize| ticks[index + 1].wall - ticks[*index].wall;
    let widest = (0..ticks.len().saturating_sub(1)).max_by(|a, b| gap(a).total_cmp(&gap(b)))?;
    (gap(&widest) > 1.0).then_some((widest, widest + 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_woken_machine_is_the_same_one_later() -> anyhow::Result<()> {
    let mut bare = Bare::start().await?;
    let mut machine = busy_machine(&mut bare).await?;
    let name = machine.sh("hostname; cat /etc/machine-id").await?;
    let mut from_elsewhere = machine.connect(8000).await?;
    echoes(&mut from_elsewhere, b'a').await?;
    let image = machine.save().await?;
    machine.end().await?;
    tokio::time::sleep(Duration::from_secs(5)).await;

    let woken_at = now();
    let woken = bare.restore(&image, Who::Woken).await?;
    ensure!(woken.sh("hostname; cat /etc/machine-id").await? == name, "it has another name");
    let ticks = ticks(&woken, 0).await?;
    let (before, after) = leap(&ticks).context("no sleep was seen")?;
    // The clock was right before the app ran again.
    ensure!(ticks[after].wall > woken_at - 0.1, "it ran at {}", ticks[after].wall - woken_at);
    // Its own time stood still: timers are late, and none of them fires for what is past.
    let slept = ticks[after].wall - ticks[before].wall;
    let own = ticks[after].monotonic - ticks[before].monotonic;
    ensure!(own < slept - 3.0, "{own} s of its own passed in {slept} s");
    went_on(&woken, &ticks[..=before]).await?;
    woken.end().await?;
    bare.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_machine_waits_but_not_for_ever() -> anyhow::Result<()> {
    let mut bare = Bare::start().await?;
    let mut machine = busy_machine(&mut bare).await?;
    machine.freeze().await?;
    // Frozen twice is frozen, and its agent is awake.
    machine.freeze().await?;
    machine.ping().await?;
    let waiting = machine.watch("wc -l < /tmp/ticks; sleep 0.5; wc -l < /tmp/ticks");
    let mut waiting = waiting.await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    machine.ping().await?;
    machine.thaw().await?;
    let first: u64 = waiting.next().await?.trim().parse()?;
    let second: u64 = waiting.next().await?.trim().parse()?;
    ensure!(second > first, "nothing ticks");
    machine.thaw().await?;

    // A server that has begun anew lets it go on.
    machine.freeze().await?;
    let token = machine.token().to_owned();
    machine.send(&ToGuest::Attached { token }).await?;
    machine.wait_for(&ToHost::Attached).await?;
    machine.sh("true").await?;

    // A server that does not come back cannot hold it.
    machine.freeze().await?;
    let frozen = std::time::Instant::now();
    machine.sh("true").await?;
    ensure!(frozen.elapsed() >= FROZEN_LIMIT - Duration::from_secs(1), "it was not frozen");
    machine.end().await?;
    bare.finish().await
}
