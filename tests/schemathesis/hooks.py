"""What the document cannot know: which things there are, and what is no matter of form."""

import json
import os

import schemathesis

SANDBOX = os.environ["PANDO_FUZZ_SANDBOX"]
VICTIM = os.environ["PANDO_FUZZ_VICTIM"]
MADE = os.environ["PANDO_FUZZ_MADE"]
# The driver learns what lists show, and would delete the keys that it is let in with.
KEEP = set(os.environ["PANDO_FUZZ_KEEP"].split(","))
# These change whether the sandbox answers, so they have one of their own.
DISRUPTIVE = {"sandbox_delete", "sandbox_pause", "sandbox_resume", "sandbox_lifecycle_set"}
NOBODY = "00000000-0000-4000-8000-000000000000"


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for path, operations in raw_schema["paths"].items():
        for operation in operations.values():
            name, parameters = operation["operationId"], operation.get("parameters", [])
            for parameter in parameters:
                if parameter["name"] == "id" and path.startswith("/v1/sandboxes/"):
                    known = VICTIM if name in DISRUPTIVE else SANDBOX
                    parameter["schema"]["enum"] = [known, known, known, NOBODY]
            # A stream that is followed ends with its sandbox, later than any test.
            operation["parameters"] = [p for p in parameters if p["name"] != "follow"]
    fields = {name: schema.get("properties", {}) for name, schema in raw_schema["components"]["schemas"].items()}
    for name in ("CreateSandbox", "CreateApp"):
        fields[name]["template"] = {"enum": ["base", None]}
    # Plain HTTP is for hosts that the operator allows, and this one allows none.
    url = fields["CreateApp"]["git_url"]
    url["pattern"] = url["pattern"].replace("https?", "https")


@schemathesis.hook
def filter_path_parameters(context, path_parameters):
    return (path_parameters or {}).get("prefix") not in KEEP


@schemathesis.hook
def after_call(context, case, response):
    """Keeps what was made, so that the run can be told from a leak."""
    if response.status_code in (201, 202):
        with open(MADE, "a") as made:
            made.write(json.dumps([case.operation.definition.raw["operationId"], response.json()]) + "\n")
