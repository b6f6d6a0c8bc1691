//! Ruby and Rails.

use super::facts::Facts;
use super::plan::{Plan, Serve};
use super::rules::Rule;
use super::{DetectError, Framework, node, tools};

pub(super) fn plan(rule: &Rule, facts: &Facts<'_>, why: &str) -> Result<Plan, DetectError> {
    let sources = facts.sources;
    let start = Serve::Command(String::new());
    let mut plan = Plan::new(rule.framework, &sources.app.path, start);
    plan.because(rule.label, why);
    tools::add(&tools::RUBY, facts, &mut plan)?;
    if sources.has("Gemfile") {
        let is_locked = sources.has("Gemfile.lock");
        let why = if is_locked { "Gemfile.lock is there" } else { "there is no Gemfile.lock" };
        plan.installs("bundle install", why);
        if is_locked {
            plan.sets("BUNDLE_FROZEN", "true");
        }
        plan.sets("BUNDLE_PATH", "vendor/bundle");
        plan.sets("BUNDLE_WITHOUT", "development:test");
    }
    if rule.framework == Framework::Rails {
        rails(facts, &mut plan)?;
        return Ok(plan);
    }
    plan.sets("RACK_ENV", "production");
    if facts.starts_itself() {
        return Ok(plan);
    }
    if !sources.has("config.ru") {
        let Some(script) = sources.app.first(&["app.rb", "main.rb", "server.rb"]) else {
            return Err(DetectError::NoRack);
        };
        plan.starts(
            format!("bundle exec ruby {script} -o 0.0.0.0 -p $PORT"),
            format!("{script} is there"),
        );
    } else if facts.has_gem("puma") {
        let why = "config.ru is there and Gemfile names puma";
        plan.starts("bundle exec puma -b tcp://0.0.0.0:$PORT", why);
    } else {
        plan.starts("bundle exec rackup -o 0.0.0.0 -p $PORT", "config.ru is there");
    }
    Ok(plan)
}

fn rails(facts: &Facts<'_>, plan: &mut Plan) -> Result<(), DetectError> {
    // Rails builds these with its own, where they belong to it.
    node::beside::add(facts, plan, facts.has_gem("vite_rails"))?;
    let lock = facts.sources.text("Gemfile.lock").unwrap_or_default();
    let pipelines = ["sprockets-rails", "propshaft", "vite_rails"];
    let pipeline =
        pipelines.iter().find(|gem| facts.has_gem(gem) || lock.contains(&format!(" {gem} (")));
    if let Some(gem) = pipeline {
        plan.builds(
            "SECRET_KEY_BASE_DUMMY=1 bundle exec rails assets:precompile",
            format!("it has {gem}"),
        );
    }
    for (name, value) in [
        ("RAILS_ENV", "production"),
        ("RAILS_LOG_TO_STDOUT", "1"),
        ("RAILS_SERVE_STATIC_FILES", "1"),
    ] {
        plan.sets(name, value);
    }
    plan.warn(
        "Rails in production needs SECRET_KEY_BASE or RAILS_MASTER_KEY in the app's environment. It may redirect to https (force_ssl) and refuse hosts that are not in config.hosts.",
    );
    if !facts.starts_itself() {
        plan.starts("bundle exec rails server -b 0.0.0.0 -p $PORT", "that is how Rails serves");
    }
    Ok(())
}
