//! PHP and Laravel.

use super::facts::Facts;
use super::plan::{Plan, Serve};
use super::rules::Rule;
use super::{DetectError, Framework, node, tools};

pub(super) fn plan(rule: &Rule, facts: &Facts<'_>, why: &str) -> Result<Plan, DetectError> {
    let sources = facts.sources;
    let start = Serve::Command(String::new());
    let mut plan = Plan::new(rule.framework, &sources.app.path, start);
    plan.because(rule.label, why);
    tools::add(&tools::PHP, facts, &mut plan)?;
    if sources.has("composer.json") {
        let why = if sources.has("composer.lock") {
            "composer.lock is there"
        } else {
            "there is no composer.lock"
        };
        plan.installs("composer install --no-dev --no-interaction --optimize-autoloader", why);
    }
    node::beside::add(facts, &mut plan, true)?;
    if rule.framework == Framework::Laravel {
        plan.sets("APP_ENV", "production");
        plan.sets("LOG_CHANNEL", "stderr");
        plan.warn("Laravel needs APP_KEY in the app's environment: `php artisan key:generate --show` makes one.");
    }
    if facts.starts_itself() {
        return Ok(plan);
    }
    let (command, why) = if rule.framework == Framework::Laravel {
        ("php artisan serve --host=0.0.0.0 --port=$PORT", "artisan is there")
    } else if sources.has("public/index.php") {
        ("php -S 0.0.0.0:$PORT -t public public/index.php", "public/index.php is there")
    } else if sources.has("index.php") {
        ("php -S 0.0.0.0:$PORT", "index.php is there")
    } else {
        return Err(DetectError::NoIndexPhp);
    };
    plan.starts(command, why);
    Ok(plan)
}
