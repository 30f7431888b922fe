"""A service as the documentation of flask-jwt-extended has it: the one that somebody is moving away from.

Every setting of Flask can be given as `FLASK_NAME` in the environment, such as `FLASK_JWT_SECRET_KEY`; Redis as `REDIS_URL`.
"""

import os
import time
from datetime import timedelta

import redis
from flask import Flask, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
    set_access_cookies,
    set_refresh_cookies,
    unset_jwt_cookies,
)
from serving import serve

app = Flask(__name__)
app.config["JWT_TOKEN_LOCATION"] = ["headers", "cookies"]
app.config["JWT_COOKIE_CSRF_PROTECT"] = True
app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(minutes=15)
app.config.from_prefixed_env()

jwt = JWTManager(app)
revoked = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True, socket_timeout=2)


@jwt.token_in_blocklist_loader
def is_revoked(_header, payload):
    return revoked.get("blacklist:" + payload["jti"]) is not None


@app.post("/login")
def login():
    identity = request.get_json()["username"]
    access = create_access_token(identity=identity, fresh=True, additional_claims={"roles": ["reader"]})
    refresh = create_refresh_token(identity=identity)
    response = jsonify(access_token=access, refresh_token=refresh)
    set_access_cookies(response, access)
    set_refresh_cookies(response, refresh)
    return response


@app.post("/refresh")
@jwt_required(refresh=True)
def refresh():
    access = create_access_token(identity=get_jwt_identity(), fresh=False)
    response = jsonify(access_token=access)
    set_access_cookies(response, access)
    return response


@app.delete("/logout")
@jwt_required(verify_type=False)
def logout():
    token = get_jwt()
    revoked.set("blacklist:" + token["jti"], "", ex=max(1, token["exp"] - int(time.time())))
    response = jsonify(msg=f"{token['type']} token revoked")
    unset_jwt_cookies(response)
    return response


@app.route("/protected", methods=["GET", "POST"])
@jwt_required()
def protected():
    return jsonify(sub=get_jwt_identity(), fresh=get_jwt()["fresh"])


@app.get("/fresh")
@jwt_required(fresh=True)
def fresh():
    return jsonify(sub=get_jwt_identity())


if __name__ == "__main__":
    serve(app)
