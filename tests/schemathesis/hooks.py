"""What the document cannot know: which things there are, and what is no matter of form."""

import hashlib
import hmac
import json
import os
import re
import uuid

import requests
import schemathesis

KNOWN = json.loads(os.environ["PANDO_FUZZ_KNOWN"])
MADE = os.environ["PANDO_FUZZ_MADE"]
# The driver learns what lists show, and would delete the keys that it is let in with.
KEEP = set(KNOWN["keys"])
# These change whether the sandbox answers, so they have one of their own.
DISRUPTIVE = {
    "sandbox_delete", "sandbox_pause", "sandbox_resume", "sandbox_lifecycle_set",
    "sandbox_hibernate", "sandbox_wake",
}
# These end what the others go on with, so they find things of their own.
FINAL = {
    "app_delete", "domain_remove", "repl_close", "schedule_delete", "snapshot_delete", "template_delete",
    "volume_delete",
}
# A stream that is followed ends with its sandbox: with one that is gone, at once.
FOLLOWED = {"sandbox_events", "sandbox_logs"}
NOBODY = "00000000-0000-4000-8000-000000000000"
SIGNATURE = re.compile("sha256=[0-9a-f]{64}")
KEY = re.compile("[!-~]{1,255}")
VOLUME = re.compile("[a-z0-9][a-z0-9_-]{0,62}")

# Of a webhook's payload, what is read; it serves every event.
COMMIT = {"type": "string", "pattern": "^[0-9a-f]{40}$"}
HEAD_REPOSITORY = {"enum": [{"full_name": "owner/repo"}, {"full_name": "fork/repo"}, None]}


def thing(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


PAYLOAD = thing(
    repository=thing(
        full_name={"enum": ["owner/repo"]},
        id={"enum": [KNOWN["repository_number"]]},
        clone_url={"enum": [KNOWN["repository"] + ".git"]},
        html_url={"enum": [KNOWN["repository"]]},
    ),
    ref={"enum": ["refs/heads/main", "refs/heads/other", "refs/tags/v1"]},
    after=COMMIT,
    deleted={"type": "boolean"},
    action={"enum": ["opened", "synchronize", "closed", "labeled"]},
    number={"enum": [1, 2]},
    head_commit={"enum": [None, {"id": "a" * 40, "message": "[skip ci]"}]},
    pull_request=thing(
        title={"enum": ["Topic", "Topic [skip ci]"]},
        head=thing(ref={"enum": ["topic"]}, sha=COMMIT, repo=HEAD_REPOSITORY),
        draft={"type": "boolean"},
        state={"enum": ["open", "closed"]},
    ),
)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for path, operations in raw_schema["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                among = known(path, operation["operationId"], parameter["name"])
                if among:
                    parameter["schema"]["enum"] = among
    webhook = raw_schema["paths"]["/v1/webhooks/github"]["post"]
    webhook["requestBody"]["content"]["application/json"]["schema"] = PAYLOAD
    fields = {name: schema.get("properties", {}) for name, schema in raw_schema["components"]["schemas"].items()}
    for name in ("CreateSandbox", "CreateApp", "UpdateApp"):
        fields[name]["template"] = {"enum": ["base", None]}
    # A build is minutes of work: what is well-formed meets a name that nobody may take.
    fields["BuildTemplate"]["name"] = {"enum": ["base"]}
    # Which hours and days there are, a schema cannot say; and none of these comes soon.
    fields["CreateSchedule"]["cron"] = {"enum": ["0 0 29 2 *", "30 2 1 1 *"]}
    # No two of the same, which a schema cannot say.
    fields["CreateSandbox"]["volumes"]["maxItems"] = 1
    fields["AttachVolume"]["name"] = {"enum": [KNOWN["volume"], "nobodys"]}
    # Plain HTTP is for hosts that the operator allows, and this one allows none.
    url = fields["CreateApp"]["git_url"]
    url["pattern"] = url["pattern"].replace("https?", "https")
    # A token is for https, and this is drawn apart from the address: PATCH has it, too.
    del fields["CreateApp"]["git_token"]


def known(path, operation, parameter):
    """What a parameter is drawn from, where it names a thing."""
    if operation in FINAL:
        return None
    if path.startswith("/v1/sandboxes/") and parameter == "id":
        sandbox = KNOWN["victim"] if operation in DISRUPTIVE else KNOWN["sandbox"]
        gone = [KNOWN["gone"]] if operation in FOLLOWED else []
        return [sandbox, sandbox, sandbox, *gone, NOBODY]
    return {
        ("/v1/apps/", "id"): [KNOWN["app"], NOBODY],
        ("/v1/apps/", "domain"): [KNOWN["domain"], "nobodys.example.com"],
        ("/v1/domains/", "domain"): [KNOWN["domain"], "nobodys.example.com"],
        ("/v1/apps/", "deployment"): [KNOWN["deployment"], NOBODY],
        ("/v1/preview-repos/", "id"): [KNOWN["repository_number"], 1],
        ("/v1/repos/", "id"): [KNOWN["repository_number"], 1],
        ("/v1/apps/", "name"): ["nightly", "nobody"],
        ("/v1/snapshots/", "id"): [KNOWN["snapshot"], NOBODY],
        ("/v1/volumes/", "name"): [KNOWN["volume"], "nobodys"],
        ("/v1/sandboxes/", "schedule_id"): [KNOWN["schedule"], NOBODY],
        ("/v1/sandboxes/", "session"): [KNOWN["session"], "0" * 32],
        ("/v1/webhooks/", "X-GitHub-Event"): ["pull_request", "push", "ping", "star"],
    }.get(("/".join(path.split("/")[:3]) + "/", parameter))


@schemathesis.hook
def filter_path_parameters(context, path_parameters):
    parameters = path_parameters or {}
    operation = context.operation
    if operation.path == "/v1/volumes/{name}" and operation.method.upper() == "GET":
        # A number that a path must not have may be the name of a volume that was made.
        name = str(parameters.get("name")).lower()
        if VOLUME.fullmatch(name) and name not in (KNOWN["volume"], "nobodys"):
            return False
    return parameters.get("prefix") not in KEEP


class Signed(requests.auth.AuthBase):
    """Signs a webhook as the forge does. A signature that has not its form is left as it is."""

    def __call__(self, request):
        given = request.headers.get("X-Hub-Signature-256", "")
        given = given.decode("latin-1") if isinstance(given, bytes) else given
        if SIGNATURE.fullmatch(given):
            body = request.body or b""
            body = body.encode() if isinstance(body, str) else body
            digest = hmac.new(KNOWN["webhook_secret"].encode(), body, hashlib.sha256).hexdigest()
            request.headers["X-Hub-Signature-256"] = f"sha256={digest}"
        return request


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.operation.path == "/v1/webhooks/github":
        kwargs["auth"] = Signed()
    if case.meta is not None and case.meta.phase.name == "stateful":
        # A repeat is told of what the first made, which another scenario may have deleted since.
        if KEY.fullmatch(str(case.headers.get("Idempotency-Key", ""))):
            case.headers["Idempotency-Key"] = str(uuid.uuid4())
    ids = case.path_parameters or {}
    if "follow" in (case.query or {}) and ids.get("id") == KNOWN["sandbox"]:
        ids["id"] = KNOWN["gone"]
    # So does the log of an app that is live, which this one may be by then.
    if "follow" in (case.query or {}) and case.operation.path == "/v1/apps/{id}/logs":
        ids["id"] = NOBODY


@schemathesis.check
def a_400_names_its_field(context, response, case):
    """Unless it is the body as a whole that is wrong."""
    if response.status_code == 400:
        refusal = response.json()
        assert "field" in refusal or refusal["error"].startswith("the body "), refusal


@schemathesis.hook
def after_call(context, case, response):
    """Keeps what was made, so that the run can be told from a leak."""
    if response.status_code in (201, 202):
        with open(MADE, "a") as made:
            made.write(json.dumps([case.operation.definition.raw["operationId"], response.json()]) + "\n")
