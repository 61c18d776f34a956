"""scim2-cli as an administrator uses it: every command it has, on people and groups. It holds each answer to the schemas that the
server publishes, to the status and the media type, and exits with an error when one does not fit."""

import json
import os
import uuid

from click.testing import CliRunner
from scim2_cli import cli

# In this process: starting Python for each command takes longer than all else.
program = CliRunner(env={
    "SCIM_CLI_URL": os.environ["SCIM_BASE"],
    "SCIM_CLI_HEADERS": f"Authorization: Bearer {os.environ['SCIM_TOKEN']}",
})
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
calls = 0


def scim(*arguments, stdin="", fails=None):
    """Runs a command; gives the answer. With `fails`, the error that it must end with."""
    global calls
    calls += 1
    ended = program.invoke(cli, arguments, input=stdin)
    told = f"scim2 {' '.join(arguments)}: status {ended.exit_code}\n{ended.output}{ended.exception!r}"
    if fails is not None:
        assert ended.exit_code != 0 and fails in ended.output, told
        return None
    assert ended.exit_code == 0, told
    return json.loads(ended.stdout) if ended.stdout.strip() else None


def names(answer):
    return [found["userName"] for found in answer.get("Resources", [])]


mark = uuid.uuid4().hex[:8]
ada, grace = f"ada-{mark}@example.com", f"grace-{mark}@example.com"

# Discovery, and everything at once.
for endpoint in ["schema", "resourcetype", "serviceproviderconfig"]:
    assert scim("query", endpoint), endpoint
everything = scim("search", "--count", "1000")
assert everything["totalResults"] == len(everything["Resources"]) > 0, everything
# A query of the base itself finds the same (RFC 7644 §3.4.2.1).
assert scim("query")["totalResults"] == everything["totalResults"]

# A person: created by options, read with projections, found, changed, replaced.
person = scim(
    "create", "user", "--user-name", ada, "--external-id", mark, "--active", "true", "--display-name", "Ada Lovelace",
    "--name", '{"givenName": "Ada", "familyName": "Lovelace"}',
    "--emails", json.dumps([{"value": ada, "type": "work", "primary": True}]),
)
key = person["id"]
scim("create", "user", "--user-name", ada.upper(), fails="uniqueness")
assert scim("query", "user", key) == person
assert "displayName" not in scim("query", "user", key, "--excluded-attribute", "displayName")
only = scim("query", "user", key, "--attribute", "userName")
assert only["userName"] == ada and "displayName" not in only, only
assert names(scim("query", "user", "--filter", f'userName eq "{ada}"')) == [ada]
assert names(scim("query", "user", "--filter", f'emails[type eq "work"].value eq "{ada}"')) == [ada]
assert scim("query", "user", "--count", "0")["totalResults"] > 0
scim("query", "user", "--filter", 'active gt true', fails="no order")
changed = scim(
    "modify", "user", key, "replace", "displayName", "Countess", "add", f"{ENTERPRISE}:department", "Engines",
    "replace", 'emails[type eq "work"].value', f"new-{ada}", "remove", "name.givenName",
)
assert changed["displayName"] == "Countess" and changed["emails"][0]["value"] == f"new-{ada}", changed
assert changed["name"] == {"familyName": "Lovelace"} and changed[ENTERPRISE] == {"department": "Engines"}, changed
disabled = scim("modify", "user", key, "replace", "active", "false")
assert disabled["active"] is False
replaced = scim("replace", "user", "--id", key, "--user-name", ada, "--active", "true", "--title", "Countess")
assert replaced["title"] == "Countess" and replaced["active"] is True and "emails" not in replaced, replaced

# Several at once, one referring to another; then in order, and by cursor.
bulk = scim("bulk", stdin=json.dumps({
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
    "Operations": [
        {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": f"Engines {mark}",
            "members": [{"value": "bulkId:u"}, {"value": key}]}},
        {"method": "POST", "path": "/Users", "bulkId": "u", "data": {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": grace, "active": True}},
    ]}))
assert [done["status"] for done in bulk["Operations"]] == ["201", "201"], bulk
group, other = (done["location"].rsplit("/", 1)[1] for done in bulk["Operations"])
found = scim("search", "user", "--filter", f'userName co "{mark}"', "--sort-by", "userName", "--sort-order", "descending")
assert names(found) == [grace, ada], found
page = scim("query", "user", "--cursor", "", "--count", "3")
assert len(page["Resources"]) == 3 and scim("query", "user", "--cursor", page["nextCursor"], "--count", "3"), page
assert scim("search", "--filter", f'displayName eq "Engines {mark}"')["totalResults"] == 1

# A group and its members.
members = lambda: {member["value"] for member in scim("query", "group", group).get("members", [])}
assert members() == {key, other}
scim("modify", "group", group, "remove", f'members[value eq "{other}"]')
assert members() == {key}
scim("modify", "group", group, "add", "members", json.dumps([{"value": other}]))
assert members() == {key, other}
assert scim("query", "user", key)["groups"][0]["value"] == group
# A replacement that is silent about the members keeps them; one that names some leaves those.
renamed = scim("replace", "group", "--id", group, "--display-name", f"Numbers {mark}")
assert renamed["displayName"] == f"Numbers {mark}" and members() == {key, other}, renamed
scim("replace", "group", "--id", group, "--display-name", f"Numbers {mark}", "--members", json.dumps([{"value": key}]))
assert members() == {key}
scim("create", "group", "--display-name", f"Lost {mark}", "--members", '[{"value": "nobody"}]', fails="nobody")

# Gone.
scim("delete", "group", group)
scim("delete", "user", other)
scim("delete", "user", key)
scim("query", "user", key, fails="404")
assert scim("search", "--filter", f'userName co "{mark}"')["totalResults"] == 0
print(f"scim2-cli: {calls} commands answered as expected")
