//! Who installs a Python app's packages, and how. Whoever it is, they end up in
//! `.venv` beside the app, which goes before PATH.

use super::super::facts::Facts;
use super::super::plan::Plan;
use super::super::{DetectError, tools};

const VENV: &str = ".venv";

pub(super) fn decide(facts: &Facts<'_>, plan: &mut Plan) -> Result<(), DetectError> {
    let sources = facts.sources;
    let pyproject = sources.text("pyproject.toml").unwrap_or_default();
    // A member of a uv workspace has its lockfile, and its .venv, at the root.
    let uv_root = sources.above.iter().position(|dir| {
        dir.has("uv.lock")
            && dir.text("pyproject.toml").is_some_and(|it| it.contains("[tool.uv.workspace]"))
    });
    let mut venv = VENV.to_owned();
    if sources.has("uv.lock") || sources.text("pyproject.toml").and(uv_root).is_some() {
        tools::add(&tools::UV, facts, plan)?;
        let why = match uv_root.filter(|_| !sources.has("uv.lock")) {
            Some(at) => {
                venv = format!("{}{VENV}", "../".repeat(at + 1));
                format!("{} is there", sources.above[at].path_of("uv.lock"))
            }
            None => "uv.lock is there".to_owned(),
        };
        plan.installs("uv sync --frozen --no-dev", why);
    } else if sources.has("poetry.lock") || pyproject.contains("[tool.poetry]") {
        tools::add(&tools::POETRY, facts, plan)?;
        // The project itself is run from its folder: it need not be a package.
        let why = if sources.has("poetry.lock") {
            "poetry.lock is there"
        } else {
            "pyproject.toml has [tool.poetry]"
        };
        plan.installs("poetry install --no-interaction --only main --no-root", why);
        plan.sets("POETRY_VIRTUALENVS_IN_PROJECT", "true");
    } else if sources.has("Pipfile.lock") {
        tools::add(&tools::PIPENV, facts, plan)?;
        plan.installs("pipenv sync", "Pipfile.lock is there");
        plan.sets("PIPENV_VENV_IN_PROJECT", "1");
    } else if sources.has("Pipfile") {
        tools::add(&tools::PIPENV, facts, plan)?;
        plan.installs("pipenv install --skip-lock", "Pipfile is there, and no Pipfile.lock");
        plan.sets("PIPENV_VENV_IN_PROJECT", "1");
    } else {
        let (what, why) = if sources.has("requirements.txt") {
            ("-r requirements.txt", "requirements.txt is there")
        } else if let Some(file) = sources.app.first(&[
            "requirements/production.txt",
            "requirements/prod.txt",
            "requirements/base.txt",
        ]) {
            plan.installs(pip(&format!("-r {file}")), format!("{file} is there"));
            plan.path = vec![format!("{venv}/bin")];
            return Ok(());
        } else if let Some(file) = sources.app.first(&["pyproject.toml", "setup.py"]) {
            plan.installs(pip("."), format!("{file} is there, and no lockfile"));
            plan.path = vec![format!("{venv}/bin")];
            return Ok(());
        } else {
            return Ok(());
        };
        plan.installs(pip(what), why);
    }
    plan.path = vec![format!("{venv}/bin")];
    Ok(())
}

fn pip(what: &str) -> String {
    format!("python -m venv {VENV} && {VENV}/bin/pip install {what}")
}
