//! Python apps: [`needs`] is what they depend on, [`install`] who installs it,
//! [`entry`] where the app is, [`django`] what is Django's own.

mod django;
mod entry;
mod install;
mod needs;

pub(super) use django::settings_module;
pub(super) use needs::Needs;

use super::facts::Facts;
use super::plan::{Plan, Serve};
use super::rules::Rule;
use super::text::quoted;
use super::{DetectError, Framework, node, tools};

/// The settings of a Django project under their own name: which file it is, `manage.py` says.
pub(super) const SETTINGS: &str = "the settings of Django";

pub(super) fn plan(rule: &Rule, facts: &Facts<'_>, why: &str) -> Result<Plan, DetectError> {
    let start = Serve::Command(String::new());
    let mut plan = Plan::new(rule.framework, &facts.sources.app.path, start);
    plan.because(rule.label, why);
    tools::add(&tools::PYTHON, facts, &mut plan)?;
    install::decide(facts, &mut plan)?;
    node::beside::add(facts, &mut plan, true)?;
    // What is printed is seen at once.
    plan.sets("PYTHONUNBUFFERED", "1");
    // uvicorn and gunicorn believe what the edge says on scheme and host: nobody else reaches them.
    plan.sets("FORWARDED_ALLOW_IPS", "*");
    match rule.framework {
        Framework::Django => {
            django::settings(facts, &mut plan);
            django::start(facts, &mut plan);
        }
        _ if facts.starts_itself() => {}
        Framework::Fastapi => fastapi(facts, &mut plan)?,
        Framework::Flask => flask(facts, &mut plan)?,
        _ => plain(facts, &mut plan)?,
    }
    Ok(plan)
}

fn fastapi(facts: &Facts<'_>, plan: &mut Plan) -> Result<(), DetectError> {
    let Some(entry) = entry::of(facts.sources, "FastAPI") else {
        return Err(DetectError::NoEntry { label: "FastAPI", line: "app = FastAPI()" });
    };
    let target = format!("{}:{}", entry.module, entry.name);
    let why = format!("{} makes the app", entry.file);
    let needs = &facts.needs;
    let factory = if entry.is_factory { " --factory" } else { "" };
    if needs.has("hypercorn") && !needs.has("uvicorn") {
        plan.starts(format!("hypercorn --bind 0.0.0.0:$PORT {target}"), why);
    } else {
        let brings = ["uvicorn", "fastapi[standard]", "fastapi[all]", "fastapi-cli"];
        if !brings.iter().any(|name| needs.has(name)) {
            plan.warn("No server is among the dependencies: add uvicorn to them, if nothing else brings it.");
        }
        plan.starts(format!("uvicorn --host 0.0.0.0 --port $PORT{factory} {target}"), why);
    }
    Ok(())
}

fn flask(facts: &Facts<'_>, plan: &mut Plan) -> Result<(), DetectError> {
    let Some(entry) = entry::of(facts.sources, "Flask") else {
        return Err(DetectError::NoEntry { label: "Flask", line: "app = Flask(__name__)" });
    };
    let why = format!("{} makes the app", entry.file);
    let call = if entry.is_factory { "()" } else { "" };
    let target = quoted(&format!("{}:{}{call}", entry.module, entry.name));
    let needs = &facts.needs;
    if needs.has("gunicorn") {
        plan.starts(format!("gunicorn --bind 0.0.0.0:$PORT {target}"), why);
    } else if needs.has("waitress") {
        let call = if entry.is_factory { "--call " } else { "" };
        let target = format!("{}:{}", entry.module, entry.name);
        plan.starts(format!("waitress-serve --listen=0.0.0.0:$PORT {call}{target}"), why);
    } else {
        plan.starts(format!("flask --app {target} run --host 0.0.0.0 --port $PORT"), why);
        plan.warn(
            "Flask's own server is not made for production: add gunicorn to the dependencies.",
        );
    }
    Ok(())
}

/// A server by another name, or a script.
fn plain(facts: &Facts<'_>, plan: &mut Plan) -> Result<(), DetectError> {
    let needs = &facts.needs;
    for (package, class) in
        [("starlette", "Starlette"), ("litestar", "Litestar"), ("quart", "Quart")]
    {
        if needs.has(package)
            && needs.has("uvicorn")
            && let Some(entry) = entry::of(facts.sources, class)
        {
            let target = format!("{}:{}", entry.module, entry.name);
            let why = format!("{} makes the app", entry.file);
            plan.starts(format!("uvicorn --host 0.0.0.0 --port $PORT {target}"), why);
            return Ok(());
        }
    }
    let script = entry::script(facts.sources);
    if needs.has("streamlit")
        && let Some(script) = script.or_else(|| facts.sources.app.first(&["streamlit_app.py"]))
    {
        let command = format!(
            "streamlit run {script} --server.address 0.0.0.0 --server.port $PORT --server.headless true"
        );
        plan.starts(command, "the app depends on streamlit");
        return Ok(());
    }
    let Some(script) = script else { return Err(DetectError::NoScript) };
    plan.starts(format!("python {script}"), format!("{script} is there"));
    Ok(())
}
