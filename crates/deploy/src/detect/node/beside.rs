//! The `package.json` of a backend in another language: its assets are installed and
//! built with it.

use super::super::facts::Facts;
use super::super::plan::Plan;
use super::super::{DetectError, Framework, tools};
use super::manager;

/// Adds Node, and the install and build of the assets, to a plan that has the backend's
/// install and not yet its build. `builds` is whether that leaves the assets to their script.
pub(in crate::detect) fn add(
    facts: &Facts<'_>,
    plan: &mut Plan,
    builds: bool,
) -> Result<(), DetectError> {
    let Some(package) = &facts.package else { return Ok(()) };
    let has_build = package.script("build").is_some();
    if !has_build && plan.framework.family() == Framework::Python.family() {
        // Nothing of it is served.
        return Ok(());
    }
    tools::add(&tools::NODE, facts, plan)?;
    let manager = manager::choose(facts, plan.framework, plan)?;
    let (command, why) = manager.install();
    plan.installs(command, why);
    if builds && has_build {
        plan.builds(manager.script("build"), "package.json has a build script");
    }
    Ok(())
}
