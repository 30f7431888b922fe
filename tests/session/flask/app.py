"""A service with Flask-Session on Redis: the one that somebody is moving away from.

Every setting of Flask can be given as `FLASK_NAME` in the environment, such as `FLASK_SESSION_USE_SIGNER`; Redis as `REDIS_URL`.
With `FLASK_TAGGED` its sessions are written by Flask's own serializer of JSON.
"""

import os
import pickle
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import redis
from flask import Flask, abort, flash, jsonify, request, session
from flask.sessions import session_json_serializer
from flask_session import Session
from serving import serve

# What both of Flask-Session's formats and Flask's tagged JSON can hold.
EVERYWHERE = {
    "nothing": None,
    "yes": True,
    "count": 3,
    "small": -(2**63),
    "big": 2**64 - 1,
    "ratio": 0.5,
    "text": 'é "quoted" \\ \u2028',
    "list": [1, ["two", {"three": 3}], {}],
    "pair": (1, "two"),
    "bytes": b"\xff\x00",
    "cart": UUID("12345678-1234-5678-1234-567812345678"),
    "seen": datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
}
# And what only Flask-Session's can.
FLASK_SESSION = {
    "micros": datetime(2024, 1, 2, 3, 4, 5, 678900, tzinfo=timezone.utc),
    "born": datetime(1900, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc),
    "local": datetime(2024, 1, 2, 3, 4, 5),
    "elsewhere": datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
    "day": date(2024, 1, 2),
    "for": timedelta(days=1, seconds=2),
    "price": Decimal("1.50"),
    "tags": {7},
    "numbers": {1: "one", 1.5: "more"},
    "nan": float("nan"),
    "many": {str(n): n for n in range(300)},
    "long": "x" * 70_000,
}


class Tagged:
    """Flask's own serializer, as Flask-Session calls one."""

    def encode(self, session):
        return session_json_serializer.dumps(dict(session)).encode()

    def decode(self, data):
        return session_json_serializer.loads(data.decode())


app = Flask(__name__)
app.config.from_prefixed_env()
app.config["SESSION_TYPE"] = "redis"
app.config["SESSION_REDIS"] = client = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=2)
Session(app)
if app.config.get("TAGGED"):
    app.session_interface.serializer = Tagged()


@app.post("/login")
def login():
    session["user"] = request.get_json()["username"]
    flash("welcome", "greeting")
    return jsonify(user=session["user"])


@app.post("/fill")
def fill():
    session.update(EVERYWHERE if app.config.get("TAGGED") else EVERYWHERE | FLASK_SESSION)
    return jsonify(fields=len(session))


@app.get("/who")
def who():
    return jsonify(user=session.get("user"))


@app.post("/huge")
def huge():
    session["huge"] = 2**64
    return jsonify()


@app.post("/age")
def age():
    """Makes the record one of before 0.7. It stays so, as long as Flask does not write each at every request."""
    key = app.config.get("SESSION_KEY_PREFIX", "session:") + session.sid
    data = client.get(key) or abort(404)
    client.set(key, pickle.dumps(app.session_interface.serializer.decode(data)), keepttl=True)
    return jsonify()


@app.post("/logout")
def logout():
    session.clear()
    return jsonify()


if __name__ == "__main__":
    serve(app)
