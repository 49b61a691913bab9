"""Reads exports as those do who get them: formats.py csv < export; formats.py ocsf < lines of exports of OCSF.

csv: prints the rows as JSON, every value as it was; fails where a spreadsheet could take a cell for a formula, by whichever
separator it reads. ocsf: prints what is wrong by the published schema of the version that each line names.
"""

import csv
import io
import json
import re
import sys
from importlib import resources

OPERATORS = "=+-@\uff1d\uff0b\uff0d\uff20"


def undo(cell):
    """The value of a cell."""
    return re.sub(f"'([{re.escape(OPERATORS)}'\\t\\r\\n])", r"\1", cell)


def read_csv(text):
    for delimiter in ",;|\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            for cell in row:
                assert not cell.startswith(tuple(OPERATORS + "\t\r\n")), (delimiter, cell)
                seen = cell.lstrip(" \t\r\n\"\ufeff\u200b\u00a0")
                assert not seen.startswith(tuple(OPERATORS)), (delimiter, cell)
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    print(json.dumps([{name: undo(cell) for name, cell in row.items()} for row in rows]))


class Schema:
    """The schema of a version."""

    def __init__(self, version):
        from ocsf_json_schema import OcsfJsonSchemaEmbedded

        files = resources.files("ocsf_json_schema") / "ocsf"
        self.published = json.loads((files / f"{version}.json").read_text())
        self.embedded = OcsfJsonSchemaEmbedded(self.published)
        self.classes, self.validators = {uid["uid"]: name for name, uid in self.published["classes"].items()}, {}

    def validator(self, name, profiles):
        from jsonschema import Draft202012Validator

        key = (name, *profiles)
        if key not in self.validators:
            self.validators[key] = Draft202012Validator(self.embedded.get_class_schema(name, list(profiles)))
        return self.validators[key]

    def faults(self, event):
        name = self.classes[event["class_uid"]]
        for fault in self.validator(name, event["metadata"].get("profiles", [])).iter_errors(event):
            yield f"{fault.json_path}: {fault.message[:300]}"
        # What a JSON schema does not say: names are those of their numbers, and nothing is out of use.
        its = self.published["classes"][name]
        attributes = its["attributes"]
        caption = lambda field: attributes[field]["enum"].get(str(event[field]), {}).get("caption")
        if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
            yield "type_uid is of another activity"
        for field, wanted in [
            ("class_name", its["caption"]),
            ("category_name", its["category_name"]),
            ("type_name", caption("type_uid")),
            ("severity", caption("severity_id")),
            ("status", caption("status_id")),
            ("activity_name", event["activity_name"] if event["activity_id"] == 99 else caption("activity_id")),
        ]:
            if event[field] != wanted:
                yield f"{field} is {event[field]!r}, not {wanted!r}"
        for field in event:
            if "@deprecated" in attributes.get(field, {}):
                yield f"{field} is out of use"


def read_ocsf(text):
    schemas, faults, count = {}, set(), 0
    for line in text.splitlines():
        event = json.loads(line)
        version = event["metadata"]["version"]
        if version not in schemas:
            schemas[version] = Schema(version)
        for fault in schemas[version].faults(event):
            faults.add(f"{version}: {event['metadata']['event_code']}: {fault}")
        count += 1
    print(json.dumps({"lines": count, "versions": sorted(schemas), "faults": sorted(faults)}))


if __name__ == "__main__":
    sys.stdin.reconfigure(encoding="utf-8", newline="")
    {"csv": read_csv, "ocsf": read_ocsf}[sys.argv[1]](sys.stdin.read())
