//! Elixir and Phoenix.

use super::facts::Facts;
use super::plan::{Plan, Serve};
use super::rules::Rule;
use super::{DetectError, Framework, tools};

pub(super) fn plan(rule: &Rule, facts: &Facts<'_>, why: &str) -> Result<Plan, DetectError> {
    let sources = facts.sources;
    let start = Serve::Command(String::new());
    let mut plan = Plan::new(rule.framework, &sources.app.path, start);
    plan.because(rule.label, why);
    // Elixir's version is wanted first, but Erlang is installed first.
    tools::add(&tools::ELIXIR, facts, &mut plan)?;
    let elixir = plan.tools.pop();
    if tools::is_named(&tools::ERLANG, facts) {
        tools::add(&tools::ERLANG, facts, &mut plan)?;
    } else {
        let version = elixir.as_ref().map_or("", |tool| &tool.version);
        let erlang = tools::erlang_for(version).to_owned();
        tools::push(&mut plan, "erlang", erlang, "that is what this Elixir runs on");
    }
    plan.tools.extend(elixir);
    let mix = sources.text("mix.exs").unwrap_or_default();
    plan.installs(
        "mix local.hex --force && mix local.rebar --force && mix deps.get --only prod",
        "mix.exs is there",
    );
    if sources.has("assets/package.json") {
        tools::add(&tools::NODE, facts, &mut plan)?;
        let command =
            if sources.has("assets/package-lock.json") { "npm ci" } else { "npm install" };
        plan.installs(format!("{command} --prefix assets"), "assets/package.json is there");
    }
    plan.builds("mix compile", "mix.exs is there");
    if mix.contains("assets.deploy") {
        plan.builds("mix assets.deploy", "mix.exs has assets.deploy");
    }
    plan.sets("MIX_ENV", "prod");
    let is_phoenix = rule.framework == Framework::Phoenix;
    if is_phoenix {
        plan.sets("PHX_SERVER", "true");
        if let Some(host) = &facts.settings.host {
            plan.sets("PHX_HOST", host);
            let why = "Phoenix refuses web sockets from hosts that it does not know";
            plan.because(&format!("PHX_HOST is {host}"), why);
        }
        plan.warn("Phoenix in production needs SECRET_KEY_BASE in the app's environment: `mix phx.gen.secret` makes one.");
    }
    if !facts.starts_itself() {
        if is_phoenix {
            plan.starts("mix phx.server", "that is how Phoenix serves");
        } else {
            plan.starts("mix run --no-halt", "mix.exs is there");
        }
    }
    Ok(plan)
}
