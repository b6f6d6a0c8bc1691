use pando_guest_protocol::machine::{Process, Stats};

use super::*;

#[tokio::test]
async fn processes_and_stats_of_this_machine() {
    let agent = Agent::start().await;
    let mut stream = agent.ask(Operation::Processes).await;
    let mut found: Vec<Process> = Vec::new();
    loop {
        let frame = frame::expect(&mut stream).await.unwrap();
        if frame.kind == Kind::End {
            break;
        }
        let lines = frame.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        found.extend(lines.map(|line| serde_json::from_slice::<Process>(line).unwrap()));
    }
    assert!(found.iter().any(|process| process.pid == std::process::id()));
    assert!(found.is_sorted_by_key(|process| process.pid));

    let stats: Stats = agent.answer(Operation::Stats).await.json().unwrap();
    assert!((0.0..=100.0).contains(&stats.cpu_percent), "{stats:?}");
}
