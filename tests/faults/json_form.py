"""Reads events as JSON and as protobuf, one of each on a line: both are the same, and become each other."""

import json
import sys

from google.protobuf import json_format
from roster.v1.event_pb2 import Event

count = 0
for line in sys.stdin:
    text, encoded = line.rsplit("\t", 1)
    event = Event.FromString(bytes.fromhex(encoded))
    assert json_format.Parse(text, Event()) == event, text
    assert json_format.MessageToDict(event) == json.loads(text), text
    later = json.loads(text) | {"addedLater": {"anything": [1]}}
    assert json_format.ParseDict(later, Event(), ignore_unknown_fields=True) == event, text
    count += 1
print(count)
