#!/usr/bin/python3
"""The example's orders service: keeps orders in memory. Usage: orders.py PORT"""

import itertools
import threading

from service import Refused, serve

lock = threading.Lock()
orders = {}
numbers = itertools.count(1)


def list_orders(_match, _body, caller):
    with lock:
        return 200, [order for order in orders.values() if order["customer"] == caller]


def get_order(match, _body, _caller):
    with lock:
        order = orders.get(match[1])
    if not order:
        raise Refused(404, "no such order")
    return 200, order


def create_order(_match, body, caller):
    item, quantity = str(body["item"]), int(body["quantity"])
    if quantity < 1:
        raise Refused(400, "quantity must be at least 1")
    with lock:
        order = {"id": str(next(numbers)), "customer": caller, "item": item, "quantity": quantity}
        orders[order["id"]] = order
    return 201, order


def delete_order(match, _body, _caller):
    with lock:
        if not orders.pop(match[1], None):
            raise Refused(404, "no such order")
    return 204, None


serve(
    [
        ("GET", r"/orders", list_orders),
        ("POST", r"/orders", create_order),
        ("GET", r"/orders/([^/]+)", get_order),
        ("DELETE", r"/orders/([^/]+)", delete_order),
        ("GET", r"/healthz", lambda *_: (200, {"status": "ok"})),
    ]
)
