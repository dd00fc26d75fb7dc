"""What jsonschema, a third implementation, says of pairs on standard input (a schema a line, then
an instance): V, I, or E when it cannot say."""

import json
import sys

import jsonschema


def verdict(schema, instance):
    try:
        checker = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
        formats = jsonschema.FormatChecker()
        return "V" if checker(schema, format_checker=formats).is_valid(instance) else "I"
    except Exception as e:  # whatever it is, it has no opinion
        return f"E {type(e).__name__}"


lines = sys.stdin.read().splitlines()
for schema, instance in zip(lines[::2], lines[1::2]):
    print(verdict(json.loads(schema), json.loads(instance)))
