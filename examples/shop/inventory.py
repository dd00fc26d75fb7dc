#!/usr/bin/python3
"""The example's inventory service: what is in stock. Usage: inventory.py PORT"""

import threading

from service import Refused, serve

lock = threading.Lock()
stock = {"lamp": 12, "chair": 4, "table": 1}


def list_items(_match, _body, _caller):
    with lock:
        return 200, [{"item": item, "stock": count} for item, count in sorted(stock.items())]


def get_item(match, _body, _caller):
    with lock:
        if match[1] not in stock:
            raise Refused(404, "no such item")
        return 200, {"item": match[1], "stock": stock[match[1]]}


def put_item(match, body, _caller):
    count = int(body["stock"])
    if count < 0:
        raise Refused(400, "stock must not be negative")
    with lock:
        stock[match[1]] = count
    return 200, {"item": match[1], "stock": count}


serve(
    [
        ("GET", r"/inventory", list_items),
        ("GET", r"/inventory/([^/]+)", get_item),
        ("PUT", r"/inventory/([^/]+)", put_item),
        ("GET", r"/healthz", lambda *_: (200, {"status": "ok"})),
    ]
)
