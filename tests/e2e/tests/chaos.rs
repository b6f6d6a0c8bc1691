//! Creates and deletes while the server and the VMMs are killed at random moments.
//!
//! `PANDO_CHAOS_CYCLES` says how often each is killed (a few times in every test run,
//! 200 by hand: `make test-chaos`), `PANDO_CHAOS_SEED` repeats a run's choices.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use pando_e2e::{Options, Random, Sandbox, Server, orphans};
use reqwest::Method;
use serde_json::{Value, json};

/// The longest time until a kill: a create or delete takes a fraction of it.
const LONGEST_LIFE: u64 = 400;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn known(server: &Server) -> anyhow::Result<BTreeSet<String>> {
    Ok(server.sandboxes().await?.into_iter().map(|(id, _)| id).collect())
}

/// Creates some and deletes some, all at once; the answers, where there were any.
async fn stir(server: &Server, doomed: &[String], creates: usize) -> (Vec<String>, Vec<String>) {
    let create = || async {
        let request = server.request(Method::POST, "/v1/sandboxes").json(&json!({}));
        let answer = request.send().await.ok()?.error_for_status().ok()?;
        answer.json::<Value>().await.ok()?["id"].as_str().map(str::to_owned)
    };
    let delete = |id: &str| {
        let id = id.to_owned();
        async move { (Sandbox::of(server, &id).delete().await.ok()? == 204).then_some(id) }
    };
    let created = futures_util::future::join_all((0..creates).map(|_| create()));
    let deleted = futures_util::future::join_all(doomed.iter().map(|id| delete(id)));
    let (created, deleted) = tokio::join!(created, deleted);
    (created.into_iter().flatten().collect(), deleted.into_iter().flatten().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_leaks() -> anyhow::Result<()> {
    let cycles = setting("PANDO_CHAOS_CYCLES", 8);
    let seed = setting("PANDO_CHAOS_SEED", u64::from(std::process::id()));
    println!("PANDO_CHAOS_CYCLES={cycles} PANDO_CHAOS_SEED={seed}");
    let mut random = Random::new(seed);
    let mut server = Server::start(Options::default()).await?;
    // What the API has acknowledged; of the doomed nobody may say any more.
    let (mut acknowledged, mut doomed) = (BTreeSet::new(), BTreeSet::<String>::new());
    let (mut servers_left, mut machines_left, mut cycle) = (cycles, cycles, 0);
    while servers_left + machines_left > 0 {
        cycle += 1;
        if cycle % 50 == 0 {
            println!("{servers_left} kills of the server and {machines_left} of VMMs to go");
        }
        let targets: Vec<String> =
            acknowledged.iter().filter(|_| random.below(2) == 0).cloned().collect();
        for id in &targets {
            acknowledged.remove(id);
            doomed.insert(id.clone());
        }
        let creates = random.below(4) as usize;
        let life = Duration::from_millis(random.below(LONGEST_LIFE));
        let strike_server = random.below(servers_left + machines_left) < servers_left;
        let pid = server.pid().context("no server")?;
        let (stirred, killed) = tokio::join!(stir(&server, &targets, creates), async {
            tokio::time::sleep(life).await;
            if strike_server {
                pando_e2e::kill(pid).map(|()| None)
            } else {
                pando_e2e::kill_a_machine(&server, &mut random)
            }
        });
        let (created, deleted) = stirred;
        acknowledged.extend(created);
        for id in &deleted {
            doomed.remove(id);
        }
        if let Some(victim) = killed? {
            acknowledged.remove(&victim);
            doomed.insert(victim);
            machines_left -= 1;
        }
        if strike_server {
            servers_left -= 1;
            server.kill()?;
            server.launch().await.with_context(|| format!("cycle {cycle}"))?;
        }
        let known = known(&server).await?;
        let lost: Vec<_> = acknowledged.difference(&known).collect();
        ensure!(lost.is_empty(), "cycle {cycle}: lost {lost:?}\n{}", server.log_tail());
        let unasked: Vec<_> = known
            .iter()
            .filter(|id| !acknowledged.contains(*id) && !doomed.contains(*id))
            .cloned()
            .collect();
        // Made, and the answer did not arrive: the one who asked can see it in the list.
        acknowledged.extend(unasked);
        for id in &acknowledged {
            let said = Sandbox::of(&server, id).sh("echo on").await;
            ensure!(said.with_context(|| format!("cycle {cycle}: {id}"))? == "on");
        }
    }
    for id in known(&server).await? {
        ensure!(Sandbox::of(&server, &id).delete().await? == 204);
    }
    let left = orphans(&server, &[])?;
    ensure!(left.is_empty(), "{left:?}");
    server.finish()
}
